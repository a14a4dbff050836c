"""/healthz, /readyz and /metrics: the truth, on the leader and on standbys.

Alive is false only for what a restart can mend: an event loop that is stuck, a worker loop or a watch that is dead. Ready is false while
this replica cannot do its part: leading with its caches filled, or standing by and able to reach the API server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Self

from aiohttp import web

from keyturn.telemetry.metrics import CONTENT_TYPE

Check = Callable[[], str | None]
"""None: all is well. Otherwise what is wrong, in a few words."""

_log = logging.getLogger(__name__)


class LoopLag:
    """How late the event loop is: a task that sleeps a little, and looks when it wakes up."""

    def __init__(self, observe: Callable[[float], None] | None = None, *, interval: float = 0.5) -> None:
        self._observe, self._interval = observe, interval
        self.last = 0.0

    async def run(self) -> None:
        """For ever."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + self._interval
            await asyncio.sleep(self._interval)
            self.last = max(0.0, clock() - due)
            if self._observe:
                self._observe(self.last)


class HealthServer:
    """Serves the probes and the metrics, from before the lease is asked for until the very end. An async context manager."""

    def __init__(
        self, *, host: str, port: int, alive: Mapping[str, Check], ready: Mapping[str, Check], metrics: Callable[[], bytes]
    ) -> None:
        self._host, self._wanted_port = host, port
        self._alive, self._ready, self._metrics = alive, ready, metrics
        self._wrong: dict[str, bool] = {}
        self._runner: web.AppRunner | None = None
        self.port = port  # the real one, once started with port 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._scrape)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return self._answer("/healthz", self._alive)

    async def _readyz(self, _: web.Request) -> web.Response:
        return self._answer("/readyz", self._ready)

    def _answer(self, path: str, checks: Mapping[str, Check]) -> web.Response:
        """200 and `ok`, or 503 and a line for each check that failed; a change is logged, because nobody sees the body of a probe."""
        wrong = "; ".join(f"{name}: {problem}" for name, check in checks.items() if (problem := check()))
        if bool(wrong) != self._wrong.get(path, False):
            _log.log(logging.WARNING if wrong else logging.INFO, "%s: %s", path, wrong or "ok")
        self._wrong[path] = bool(wrong)
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    async def _scrape(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": CONTENT_TYPE})


def task_alive(task: Callable[[], asyncio.Task[object] | None]) -> Check:
    """A check that a background task has not ended; one that has not been started yet is fine."""

    def check() -> str | None:
        running = task()
        return "has ended" if running is not None and running.done() else None

    return check


def recent(last: Callable[[], float | None], clock: Callable[[], float], *, within: float) -> Check:
    """A check that something was heard within so many seconds."""

    def check() -> str | None:
        moment = last()
        if moment is None:
            return "never heard"
        silence = clock() - moment
        return f"silent for {silence:.0f} s" if silence > within else None

    return check


def leader_or_standby(
    *,
    leading: Callable[[], bool],
    caches_filled: Callable[[], bool],
    last_contact: Callable[[], float | None],
    clock: Callable[[], float],
    within: float,
) -> Check:
    """The check for /readyz: a leader has its caches filled; a standby has heard the API server lately."""
    reachable = recent(last_contact, clock, within=within)

    def check() -> str | None:
        if leading():
            return None if caches_filled() else "leading, caches not filled yet"
        problem = reachable()
        return f"standby, API server {problem}" if problem else None

    return check
