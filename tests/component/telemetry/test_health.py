"""The probes' answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
import pytest_asyncio
from tests.support.eventually import eventually

from keyturn.telemetry.health import Check, HealthServer, LoopLag, leader_or_standby, recent, task_alive


class Probed:
    """A server and what its checks answer."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.standby: str | None = None
        self.server = HealthServer(
            host="127.0.0.1",
            port=0,
            alive={"workers": lambda: self.problem, "watch": lambda: None},
            ready={"leadership": lambda: self.standby},
            metrics=lambda: b"keyturn_leader 1\n",
        )

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.server.port}{path}") as response:
            return response.status, await response.text()


@pytest_asyncio.fixture
async def probed() -> AsyncIterator[Probed]:
    probed = Probed()
    async with probed.server:
        yield probed


async def test_all_is_well(probed: Probed) -> None:
    assert await probed.get("/healthz") == (200, "ok\n")
    assert await probed.get("/readyz") == (200, "ok\n")


async def test_a_dead_part_fails_health_and_is_named(probed: Probed, caplog: pytest.LogCaptureFixture) -> None:
    probed.problem = "has ended"
    assert await probed.get("/healthz") == (503, "workers: has ended\n")
    assert (await probed.get("/readyz"))[0] == 200
    await probed.get("/healthz")
    assert [record.getMessage() for record in caplog.records if record.name == "keyturn.telemetry.health"] == [
        "/healthz: workers: has ended"
    ]


async def test_not_being_ready_is_not_being_dead(probed: Probed) -> None:
    probed.standby = "standby, API server silent for 60 s"
    assert await probed.get("/readyz") == (503, "leadership: standby, API server silent for 60 s\n")
    assert (await probed.get("/healthz"))[0] == 200


async def test_metrics_are_scraped_as_prometheus_text(probed: Probed) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{probed.server.port}/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await response.text() == "keyturn_leader 1\n"


async def test_the_port_is_free_again_after_the_end() -> None:
    probed = Probed()
    async with probed.server:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await probed.get("/healthz")


async def test_a_task_is_alive_before_it_starts_and_until_it_ends() -> None:
    tasks: list[asyncio.Task[object]] = []
    check = task_alive(lambda: tasks[0] if tasks else None)
    assert check() is None
    tasks.append(asyncio.create_task(asyncio.sleep(0, result=None)))
    assert check() is None
    await tasks[0]
    assert check() == "has ended"


def test_silence_is_counted_from_the_last_time_something_was_heard() -> None:
    heard: float | None = None
    check = recent(lambda: heard, lambda: 100.0, within=30)
    assert check() == "never heard"
    heard = 60.0
    assert check() == "silent for 40 s"
    heard = 70.0
    assert check() is None


@pytest.mark.parametrize(
    ("leading", "filled", "contact", "problem"),
    [
        (True, True, None, None),
        (True, False, 100.0, "leading, caches not filled yet"),
        (False, False, 95.0, None),
        (False, False, 10.0, "standby, API server silent for 90 s"),
        (False, True, None, "standby, API server never heard"),
    ],
)
def test_ready_is_a_leader_with_its_caches_or_a_standby_with_an_api_server(
    leading: bool, filled: bool, contact: float | None, problem: str | None
) -> None:
    check: Check = leader_or_standby(
        leading=lambda: leading, caches_filled=lambda: filled, last_contact=lambda: contact, clock=lambda: 100.0, within=30
    )
    assert check() == problem


async def test_a_blocked_event_loop_shows_as_lag() -> None:
    seen: list[float] = []
    lag = LoopLag(seen.append, interval=0.01)
    task = asyncio.create_task(lag.run())
    await eventually(lambda: len(seen) > 1, what="the first measurements")
    time.sleep(0.2)  # noqa: ASYNC251 - blocking the loop is what is tested
    before = len(seen)
    await eventually(lambda: len(seen) > before, what="the next measurement")
    assert max(seen) >= 0.15
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
