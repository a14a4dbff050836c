"""The wiring, and the only place that builds clients: health server -> lease -> caches -> kopf operator and engine.

Standbys serve probes and metrics and wait for the lease. Losing it ends the process at once: another leader may be at work already.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable

import kopf

from keyturn import handlers
from keyturn.adapters.aws.connections import Connections as AwsClients
from keyturn.adapters.aws.identity import AwsKey
from keyturn.adapters.kube.access import load_access
from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.client import Limits as ClientLimits
from keyturn.adapters.kube.events import KubeRecorder
from keyturn.adapters.kube.lease import Elector, LeaseTimes
from keyturn.adapters.kube.lists import items, paths, serves
from keyturn.adapters.kube.objects import KubeObjects
from keyturn.adapters.kube.secrets import KubeSecrets
from keyturn.adapters.kube.watch import SecretWatch
from keyturn.adapters.kube.workload_views import workload_view
from keyturn.adapters.kube.workloads import KubeWorkloads
from keyturn.api import GROUP, VERSION
from keyturn.domain.failures import OutsideError
from keyturn.domain.observed import WorkloadKind
from keyturn.domain.workload_kinds import PLACES
from keyturn.engine.bare_pods import BarePods
from keyturn.engine.engine import Engine
from keyturn.engine.execute import Executor
from keyturn.engine.gather import Gatherer
from keyturn.engine.keys import Kind
from keyturn.engine.publish import Publisher
from keyturn.engine.queue import Queue
from keyturn.engine.reach import Connections
from keyturn.engine.reconcile import Reconciler
from keyturn.engine.unwatched import Lookout
from keyturn.engine.world import World, key_of
from keyturn.settings import Settings
from keyturn.telemetry import logs
from keyturn.telemetry.health import HealthServer, LoopLag, leader_or_standby, recent
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.observer import MetricsObserver

SILENCE = 90.0  # seconds: three times of what a watch, a lease or a pass is silent at most
RETRY = 2.0
RUSH, RUSH_CHECK = 15.0, 0.1  # seconds: for how long the first looks may come before kopf, at most
FIRST_RESYNC = 60.0  # seconds: what went between our list and kopf's is in neither

_log = logging.getLogger(__name__)


class Leader:
    """The operator proper: everything that only the leader does."""

    def __init__(self, settings: Settings, client: KubeClient, for_kopf: KubeClient, metrics: Metrics) -> None:
        self._settings, self._client, self._for_kopf, self._metrics = settings, client, for_kopf, metrics
        self._poll_results: dict[AwsKey, str] = {}
        self.world = World()
        now = client.clock.now
        queue = Queue(time.monotonic, now)
        metrics.queue_depth(lambda: len(queue.backlog))
        objects, secrets, workloads = KubeObjects(client), KubeSecrets(client), KubeWorkloads(client)
        self._aws = AwsClients(self._source_changed, on_call=metrics.aws_request, on_poll=self._polled, threads=settings.aws_threads)
        connections = Connections(self.world, self._aws, objects, own_namespace=settings.namespace)
        gatherer = Gatherer(
            world=self.world,
            connections=connections,
            workloads=workloads,
            bare_pods=BarePods(workloads, now),
            limits=settings.limits,
            clock=now,
        )
        self.recorder = KubeRecorder(client, instance=settings.identity, busy=lambda: queue.crowd > 0)
        observer = MetricsObserver(metrics)
        reconciler = Reconciler(
            world=self.world,
            connections=connections,
            gatherer=gatherer,
            executor=Executor(world=self.world, objects=objects, secrets=secrets, workloads=workloads, gatherer=gatherer),
            publisher=Publisher(world=self.world, objects=objects, recorder=self.recorder),
            observer=observer,
            clock=now,
            queue=queue,
        )
        self.engine = Engine(world=self.world, queue=queue, reconciler=reconciler, observer=observer, workers=settings.workers)
        self.lookout = Lookout(unwatched=self.world.unwatched, secrets=secrets, wake=self.engine.awaited)
        self.watch = SecretWatch(client, self.engine.target_changed, namespaces=settings.namespaces or None)
        self.filled = False
        self._kinds: list[WorkloadKind] = []

    def _source_changed(self, _: object, secret_id: str) -> None:
        self.engine.source_changed(secret_id)

    def _polled(self, key: AwsKey, result: str, seconds: float) -> None:
        self._metrics.aws_poll(result, seconds)
        before, self._poll_results[key] = self._poll_results.get(key, "OK"), result
        if result != before:
            self.engine.access_changed()

    async def run(self) -> None:
        """Lead until a signal comes or a part ends."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._aws.close)
            parts = [self._start(self.watch.run(), "watch of Secrets", stack), self._start(self.recorder.run(), "events", stack)]
            await _first([self._start(self._ready(), "caches", stack), *parts])
            parts += [self._start(self.engine.run(), "engine", stack), self._start(self._resync(), "resync", stack)]
            parts.append(self._start(self.lookout.run(), "lookout", stack))
            operator = self._start(self._kopf_after_the_rush(), "kopf", stack)
            if (ended := await _first([operator, *parts])) is not operator:
                raise RuntimeError(f"{ended.get_name()} has ended")

    async def _ready(self) -> None:
        await self._first_fill()
        await self.watch.synced.wait()
        self.filled = True
        _log.info("caches are filled: %d RotatingSecrets", len(self.world.objects.keys(Kind.SECRET)))

    @staticmethod
    def _start(work: Awaitable[object], name: str, stack: contextlib.AsyncExitStack) -> asyncio.Task[object]:
        async def body() -> object:
            return await work

        async def stop() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        task = asyncio.create_task(body(), name=name)
        stack.push_async_callback(stop)
        return task

    async def _kopf_after_the_rush(self) -> None:
        """What kopf lists first is known from our own list, and what follows are echoes of the first looks: those come before it."""
        end = time.monotonic() + RUSH
        while self.engine.in_rush and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells when it is over
            await asyncio.sleep(RUSH_CHECK)
        await self._kopf()

    def _kopf(self) -> Awaitable[None]:
        """kopf ends by SIGTERM or SIGINT, and closes its session then: it has one of its own, that logs in as ours does."""
        registry = handlers.registry(self.engine, workload_view, self._kinds)

        @kopf.on.login(registry=registry)
        async def login(**_: object) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(server=self._for_kopf.url, aiohttp_session=self._for_kopf.session)

        namespaces = self._settings.namespaces
        return kopf.operator(
            registry=registry,
            settings=handlers.settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
        )

    # caches

    async def _first_fill(self) -> None:
        """Everything is listed before anything is decided: a consumer that is not known yet must not count as none."""
        while True:
            try:
                rollouts = PLACES[WorkloadKind.ROLLOUT]
                if await serves(self._client, rollouts.api, rollouts.plural):
                    self._kinds = list(PLACES)
                else:
                    self._kinds = [kind for kind in PLACES if kind is not WorkloadKind.ROLLOUT]
                await self.fill()
            except OutsideError as error:
                _log.warning("the caches cannot be filled: %s", error.message)
                await asyncio.sleep(RETRY)
            else:
                return

    async def fill(self) -> None:
        """List every kind; what is remembered and was not listed is gone."""
        for kind in Kind:
            namespaces = () if kind is Kind.CLUSTER_CONNECTION else self._settings.namespaces
            before, seen = set(self.world.objects.keys(kind)), set()
            for path in paths(f"/apis/{GROUP}/{VERSION}", handlers.PLURALS[kind], namespaces):
                async for raw in items(self._client, path):
                    seen.add(key_of(kind, raw))
                    self.engine.object_changed(kind, raw)
            for key in before - seen:
                known = self.world.objects.raw(key)
                if known is not None:
                    self.engine.object_gone(kind, known)
        for workload in self._kinds:
            place = PLACES[workload]
            remembered, listed = self.world.workload_names(workload), set()
            for path in paths(place.api, place.plural, self._settings.namespaces):
                async for raw in items(self._client, path):
                    view = workload_view(workload, raw)
                    listed.add((view.namespace, view.name))
                    self.engine.workload_changed(view)
            for namespace, name in remembered - listed:
                self.engine.workload_gone(namespace, workload, name)

    async def _resync(self) -> None:
        """Now and then everything is listed again: a lost event costs time, never correctness."""
        pause = min(FIRST_RESYNC, self._settings.resync_seconds)
        while True:
            await asyncio.sleep(pause)
            pause = self._settings.resync_seconds
            try:
                await self.fill()
            except OutsideError as error:
                _log.warning("the caches could not be compared with the API server: %s", error.message)


async def _first(tasks: list[asyncio.Task[object]]) -> asyncio.Task[object]:
    """The first task that ends; what it raised is raised here."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return done.pop()


async def run(settings: Settings) -> int:
    """Run the operator until a signal comes; answers the exit code."""
    logs.setup(settings.log_level, as_json={"auto": None, "json": True, "text": False}[settings.log_format])
    metrics = Metrics(version=importlib.metadata.version("keyturn"))
    access = await load_access()
    limits = ClientLimits(connections=settings.connections)
    async with (
        KubeClient(access, limits=limits, on_request=metrics.kube_request) as client,
        KubeClient(access, limits=limits, on_request=metrics.kube_request, lent=True) as for_kopf,
    ):
        seconds = settings.lease_seconds
        elector = Elector(
            client,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            identity=settings.identity,
            times=LeaseTimes(duration=seconds, renew=seconds * 2 / 3, retry=min(2.0, seconds / 7)),
        )
        leader = Leader(settings, client, for_kopf, metrics)
        lag = LoopLag(metrics.event_loop_lag)
        heard = recent(lambda: leader.watch.last_contact, time.monotonic, within=SILENCE * 2)
        async with HealthServer(
            host=settings.host,
            port=settings.port,
            alive={"watch of Secrets": _while(lambda: leader.filled, heard), "workers": leader.engine.stuck},
            ready={
                "leadership": leader_or_standby(
                    leading=lambda: elector.leading,
                    caches_filled=lambda: leader.filled,
                    last_contact=lambda: elector.last_contact,
                    clock=time.monotonic,
                    within=SILENCE / 3,
                )
            },
            metrics=metrics.render,
        ):
            lagging = asyncio.create_task(lag.run())
            try:
                return await lead(elector, leader, metrics)
            finally:
                lagging.cancel()


def _while(condition: Callable[[], bool], check: Callable[[], str | None]) -> Callable[[], str | None]:
    """A check that counts only while a condition holds."""
    return lambda: check() if condition() else None


async def lead(elector: Elector, leader: Leader, metrics: Metrics) -> int:
    """Wait for the lease, lead, and give the lease back at a clean end."""
    me = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):  # until kopf takes the signals over
        loop.add_signal_handler(number, lambda: me.cancel() if me else None)
    parts: list[asyncio.Task[None]] = []
    try:
        await elector.acquire()
        metrics.leader(True)
        parts += [holding := asyncio.create_task(elector.hold(), name="lease"), leading := asyncio.create_task(leader.run(), name="leader")]
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        for part in reversed(parts):  # whoever gets the lease next must find nobody at work
            part.cancel()
            await asyncio.wait([part])
        if elector.leading:
            await elector.release()
        return 0
    if holding.done():
        _log.error("leadership is lost: leaving at once")
        os._exit(1)
    holding.cancel()
    await elector.release()
    metrics.leader(False)
    leading.result()
    return 0
