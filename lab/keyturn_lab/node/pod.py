"""The life of one pod: wait for what it refers to, init containers, containers with their restarts, and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from keyturn_lab.node.api import RETRY_SECONDS, UNREACHABLE, Json, Refused
from keyturn_lab.node.container import Container, MountFailed, now
from keyturn_lab.node.host import Host
from keyturn_lab.node.probes import Prober
from keyturn_lab.node.references import Missing
from keyturn_lab.node.reporter import CONFLICT, GONE, Reporter
from keyturn_lab.node.settings import LONGEST_BACKOFF_FACTOR
from keyturn_lab.node.status import Observed, outcome
from keyturn_lab.node.workspace import Unsupported, Workspace

CONFIG_RETRY_SECONDS = 1.0
DEFAULT_GRACE_SECONDS = 30
log = logging.getLogger(__name__)


class Pod:
    """A pod that is bound to this node."""

    def __init__(self, item: Json, *, address: str, host: Host) -> None:
        self.item, self.address, self._host = item, address, host
        metadata, spec = item["metadata"], item["spec"]
        self.uid, self.namespace, self.name = metadata["uid"], metadata["namespace"], metadata["name"]
        self.phase = "Pending"
        self._workspace = Workspace(lambda: self.item, address=address, host=host, on_change=self._on_reference)
        self.init = [self._container(entry, "initContainerStatuses") for entry in spec.get("initContainers") or []]
        self.main = [self._container(entry, "containerStatuses") for entry in spec["containers"]]
        self._started = (item.get("status") or {}).get("startTime") or now()
        self._ending = asyncio.Event()
        self._reference_changed = asyncio.Event()
        self._reporter = Reporter(item, observe=self._observe, host=host)
        self._said: set[str] = set()
        self._update: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._life = self._spawn(self._live())
        self._reporting = self._spawn(self._reporter.run())

    @property
    def containers(self) -> list[Container]:
        """Init containers and containers."""
        return [*self.init, *self.main]

    def update(self, item: Json) -> None:
        """The API server has a newer state of it."""
        metadata = ("labels", "annotations")
        changed = any(item["metadata"].get(field) != self.item["metadata"].get(field) for field in metadata)
        self.item = item
        self._reporter.changed()
        if changed:
            self._on_reference()
        if item["metadata"].get("deletionTimestamp"):
            self.end(item["metadata"].get("deletionGracePeriodSeconds", DEFAULT_GRACE_SECONDS))

    def end(self, grace: float) -> None:
        """SIGTERM now, SIGKILL after `grace` seconds; asked again, the shorter grace counts. Then the object goes too."""
        if not self._ending.is_set():
            self._stop()
            self._spawn(self._finish())
        asyncio.get_running_loop().call_later(grace, self.kill)

    def abandon(self, grace: float) -> None:
        """As `end`, but nobody is told: the node itself goes."""
        self._reporting.cancel()
        self._stop()
        asyncio.get_running_loop().call_later(grace, self.kill)

    def kill(self) -> None:
        """SIGKILL to everything that still runs."""
        for container in self.containers:
            container.kill()

    async def ended(self) -> None:
        """Returns when no process of it runs any more."""
        await asyncio.wait([self._life])

    def release(self) -> None:
        """It is gone: drop its files and tasks."""
        for task in self._tasks:
            task.cancel()
        self._workspace.destroy()

    def _stop(self) -> None:
        self._ending.set()
        self._reference_changed.set()
        for container in self.containers:
            container.ask_to_stop()

    def _container(self, spec: Json, field: str) -> Container:
        """After a restart of the node, a container that ran counts one restart more."""
        before = next((entry for entry in (self.item.get("status") or {}).get(field) or [] if entry["name"] == spec["name"]), None)
        restarts = before["restartCount"] + ("running" in (before.get("state") or {})) if before else 0
        logs = self._host.logs / f"{self.namespace}_{self.name}_{self.uid[:8]}"
        return Container(spec, logs=logs, restarts=restarts)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self) -> None:
        try:
            await self._wait_for_references()
            for container in self.init:
                if not await self._run(container, until_success=True):
                    self.phase = "Pending" if self._ending.is_set() else "Failed"
                    return
                container.ready = True
            if self._ending.is_set():
                return
            self.phase = "Running"
            self._spawn(self._renew_tokens())
            await asyncio.gather(*(self._run(container) for container in self.main))
            if not self._ending.is_set():
                self.phase = outcome(self.main)
        except Exception as error:  # the boundary of one pod: whatever goes wrong with it must not end the node, nor fail the pod
            log.exception("pod %s/%s", self.namespace, self.name)
            await self._say("NodeError", f"{type(error).__name__} in the lab's node; see its log")
        finally:
            self._reporter.changed()

    async def _wait_for_references(self) -> None:
        while not self._ending.is_set():
            self._reference_changed.clear()
            try:
                await self._workspace.check()
            except (Missing, Unsupported, Refused) as error:
                await self._say("CreateContainerConfigError", str(error))
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._reference_changed.wait(), CONFIG_RETRY_SECONDS)
            except UNREACHABLE:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _run(self, container: Container, *, until_success: bool = False) -> bool:
        """Run a container as often as the restart policy says; True when its last run succeeded."""
        policy = self.item["spec"].get("restartPolicy", "Always")
        while not self._ending.is_set():
            code = await self._run_once(container)
            if code == 0 and (until_success or policy != "Always"):
                return True
            if self._ending.is_set() or (policy == "Never" and code is not None):
                return code == 0
            initial = self._host.tunables.now().restart_backoff
            wait = container.back_off(initial, initial * LONGEST_BACKOFF_FACTOR)
            if code is not None and wait:
                container.wait_in_back_off(wait)
            self._reporter.changed()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait or 0.01)
            if code is not None and not self._ending.is_set():
                container.last_state = container.last_state if wait else container.state
                container.begin_next_run()
        return False

    async def _run_once(self, container: Container) -> int | None:
        """The exit code of one run; None where the container could not be started, which is no failure of the pod."""
        try:
            command = await self._workspace.command(container.spec)
            if self._ending.is_set():
                return None
            await container.start(command)
        except (Missing, Refused, OSError) as error:
            await self._say("CreateContainerConfigError", str(error), only=container)
            return None
        probes = self._prober(container).start()
        self._reporter.changed()
        if self._ending.is_set():  # asked to end while it was being started
            container.ask_to_stop()
        try:
            return await container.wait()
        except MountFailed as error:
            await self._say("CreateContainerError", f"mounting its volumes failed: {error}", only=container)
            return None
        finally:
            for probe in probes:
                probe.cancel()
            self._reporter.changed()

    def _prober(self, container: Container) -> Prober:
        def restart(reason: str) -> None:
            self._spawn(self._reporter.event("Unhealthy", reason))
            grace = self.item["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
            container.ask_to_stop()
            pid = container.pid
            asyncio.get_running_loop().call_later(grace, lambda: container.kill() if container.pid == pid else None)

        host = self._host
        return Prober(
            container,
            address=self.address,
            session=host.probe_session,
            mounter=host.mounter,
            on_change=self._reporter.changed,
            on_failure=restart,
        )

    def _on_reference(self) -> None:
        """Something that the pod refers to has changed; its files follow after the delay, several changes at once."""
        self._reference_changed.set()
        if self.phase == "Running" and not self._ending.is_set() and (self._update is None or self._update.done()):
            self._update = self._spawn(self._update_volumes(self._host.tunables.now().secret_delay))

    async def _update_volumes(self, delay: float) -> None:
        await asyncio.sleep(delay)
        if self.phase != "Running":
            return
        try:
            if await self._workspace.materialise():
                log.info("pod %s/%s: volumes updated", self.namespace, self.name)
        except Missing as error:  # as in kubelet, the files stay as they are
            log.info("pod %s/%s: %s", self.namespace, self.name, error)
        except (Refused, *UNREACHABLE):
            await asyncio.sleep(RETRY_SECONDS)
            await self._update_volumes(0)

    async def _renew_tokens(self) -> None:
        while (seconds := self._workspace.references.next_renewal()) is not None:
            await asyncio.sleep(max(seconds, RETRY_SECONDS))
            await self._update_volumes(0)

    async def _say(self, reason: str, message: str, *, only: Container | None = None) -> None:
        """The pod waits, and says why: in its status, and once in an event."""
        for container in [only] if only else self.containers:
            if "terminated" not in container.state or only:
                container.state = {"waiting": {"reason": reason, "message": message}}
        self._reporter.changed()
        if message not in self._said:
            self._said.add(message)
            await self._reporter.event(reason, message)

    def _observe(self, conditions: list[Json]) -> Observed:
        return Observed(
            pod=self.item,
            phase=self.phase,
            init=self.init,
            main=self.main,
            address=self.address,
            node_address=self._host.settings.address,
            started=self._started,
            conditions=conditions,
        )

    async def _finish(self) -> None:
        """Its last status, and then the object goes: only the node may say that a pod's processes are gone."""
        await self.ended()
        self._reporting.cancel()
        if self.phase not in ("Succeeded", "Failed"):
            self.phase = outcome(self.main)
        while True:
            try:
                with suppress(Refused):  # its last status is worth less than its end
                    await self._reporter.report()
                await self._reporter.delete()
            except Refused as error:
                if error.status in (GONE, CONFLICT):
                    return
                await asyncio.sleep(RETRY_SECONDS)
            except UNREACHABLE:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
