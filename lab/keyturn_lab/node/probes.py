"""Startup, readiness and liveness probes of one container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import aiohttp

from keyturn_lab.node.api import UNREACHABLE, Json
from keyturn_lab.node.container import Container
from keyturn_lab.node.mounts import Mounter

Kind = Literal["startupProbe", "readinessProbe", "livenessProbe"]
KINDS: tuple[Kind, ...] = ("startupProbe", "readinessProbe", "livenessProbe")
UNREADY_PERIOD = 0.2
"""Until a container was ready once, it is asked more often: a rollout in a test should not wait for the probe's period."""
DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}


class Prober:
    """Runs the probes of one run of a container; cancel its tasks when the run is over."""

    def __init__(
        self,
        container: Container,
        *,
        address: str,
        session: aiohttp.ClientSession,
        mounter: Mounter,
        on_change: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._container, self._address, self._session, self._mounter = container, address, session, mounter
        self._on_change, self._on_failure = on_change, on_failure

    def start(self) -> list[asyncio.Task[None]]:
        """One task for each probe that the container has."""
        return [asyncio.create_task(self._run(kind)) for kind in KINDS if kind in self._container.spec]

    async def _run(self, kind: Kind) -> None:
        probe = DEFAULTS | self._container.spec[kind]
        await asyncio.sleep(probe["initialDelaySeconds"])
        passed = failed = 0
        was_ready = False
        while True:
            if kind != "startupProbe" and not self._container.started:
                await asyncio.sleep(0.05)
                continue
            passed, failed = (passed + 1, 0) if await self._passes(probe) else (0, failed + 1)
            if self._settled(kind, passed >= probe["successThreshold"], failed >= probe["failureThreshold"]):
                return
            was_ready = was_ready or self._container.ready
            quick = kind == "readinessProbe" and not was_ready
            await asyncio.sleep(min(probe["periodSeconds"], UNREADY_PERIOD) if quick else probe["periodSeconds"])

    def _settled(self, kind: Kind, good: bool, bad: bool) -> bool:
        """Act on enough successes or failures; True when this probe is over."""
        container = self._container
        if kind == "readinessProbe":
            ready = good or (container.ready and not bad)
            if ready != container.ready:
                container.ready = ready
                self._on_change()
            return False
        if kind == "startupProbe" and good:
            container.started, container.ready = True, "readinessProbe" not in container.spec
            self._on_change()
            return True
        if bad:
            self._on_failure(f"container {container.name}: {kind} failed")
        return bad

    async def _passes(self, probe: Json) -> bool:
        try:
            return await asyncio.wait_for(self._ask(probe), probe["timeoutSeconds"])
        except UNREACHABLE:
            return False

    async def _ask(self, probe: Json) -> bool:
        if http := probe.get("httpGet"):
            address = f"{http.get('host') or self._address}:{self._port(http['port'])}"
            url = f"{http.get('scheme', 'HTTP').lower()}://{address}{http.get('path', '/')}"
            headers = {header["name"]: header["value"] for header in http.get("httpHeaders") or []}
            async with self._session.get(url, ssl=False, headers=headers, allow_redirects=False) as response:
                return 200 <= response.status < 400
        if tcp := probe.get("tcpSocket"):
            _, writer = await asyncio.open_connection(tcp.get("host") or self._address, self._port(tcp["port"]))
            writer.close()
            return True
        return await self._execute(probe["exec"]["command"])

    async def _execute(self, command: list[str]) -> bool:
        pid = self._container.pid
        if pid is None:
            return False
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *self._mounter.enter(pid), *command, env=self._container.environment, stdin=quiet, stdout=quiet, stderr=quiet
        )
        try:
            return await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        ports = self._container.spec.get("ports") or []
        return next((int(entry["containerPort"]) for entry in ports if entry.get("name") == port), 0)
