"""Hints become keys: who is woken by what, and how a pass that fails is met again without harm to the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from tests.support.eventually import eventually
from tests.support.fakes import Outside, SilentObserver
from tests.support.observed import NAMESPACE, mirror, rotating_secret, target, workload
from tests.support.process import Cosmos, DueTimes, Process

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import WorkloadKind
from keyturn.engine.engine import FIRST_RETRY, LAST_RETRY, Engine
from keyturn.engine.keys import Key, Kind
from keyturn.engine.queue import Queue
from keyturn.engine.world import World

NAME = "orders-db"
SECRET, RUN, OVER = Key(Kind.SECRET, NAMESPACE, NAME), Key(Kind.RUN, NAMESPACE, "open"), Key(Kind.RUN, NAMESPACE, "over")
CONNECTION = Key(Kind.CLUSTER_CONNECTION, "", "default")


class Hall:
    """An engine that knows one RotatingSecret with an open and a finished run, and has nothing to do."""

    def __init__(self, *, runs: bool = True) -> None:
        self.cosmos = Cosmos()
        self.secret = self.cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": self.cosmos.aws.name})
        if runs:
            self.run = self.cosmos.objects.add("RotationRun", NAMESPACE, "open", {"secretRef": {"name": NAME}})
            over = self.cosmos.objects.add("RotationRun", NAMESPACE, "over", {"secretRef": {"name": NAME}})
            over["status"] = {"completionTime": "2026-03-01T11:00:00Z"}
        self.process = Process(self.cosmos)
        self.engine = self.process.engine
        self.process.queue.due.clear()

    def touched(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "metadata": {**raw["metadata"], "resourceVersion": self.cosmos.outside.next_version()}}

    @property
    def woken(self) -> set[Key]:
        return set(self.process.queue.due)


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_an_object_that_changes_is_looked_at_with_its_open_runs(hall: Hall) -> None:
    hall.engine.object_changed(Kind.SECRET, hall.touched(hall.secret))
    assert hall.woken == {SECRET, RUN}


def test_an_echo_of_what_is_known_wakes_nobody(hall: Hall) -> None:
    hall.engine.object_changed(Kind.SECRET, hall.secret)
    assert hall.woken == set()


def test_what_is_known_is_an_echo_and_what_is_newer_is_none(hall: Hall) -> None:
    assert hall.engine.is_echo(Kind.SECRET, hall.secret)
    assert not hall.engine.is_echo(Kind.SECRET, hall.touched(hall.secret))


def test_first_looks_are_a_rush_until_a_run_is_under_way_or_nothing_is_due() -> None:
    cosmos = Cosmos()
    queue = Queue(time.monotonic, Outside().clock)
    engine = Engine(world=World(), queue=queue, reconciler=Process(cosmos).engine.reconciler, observer=SilentObserver())
    assert not engine.in_rush
    engine.object_changed(Kind.SECRET, cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": cosmos.aws.name}))
    assert engine.in_rush
    engine.object_changed(Kind.RUN, cosmos.objects.add("RotationRun", NAMESPACE, "open", {"secretRef": {"name": NAME}}))
    assert not engine.in_rush


def test_a_run_that_changes_wakes_its_rotating_secret(hall: Hall) -> None:
    hall.engine.object_changed(Kind.RUN, hall.touched(hall.run))
    assert hall.woken == {RUN, SECRET}


def test_a_run_that_is_gone_wakes_its_rotating_secret(hall: Hall) -> None:
    hall.engine.object_gone(Kind.RUN, hall.run)
    assert SECRET in hall.woken
    assert hall.process.world.objects.raw(RUN) is None


def test_a_connection_that_changes_wakes_those_who_use_it(hall: Hall) -> None:
    raw = hall.cosmos.objects.stored["ClusterAWSConnection", "", "default"]
    hall.engine.object_changed(Kind.CLUSTER_CONNECTION, hall.touched(raw))
    assert hall.woken == {CONNECTION, SECRET}


def test_what_aws_tells_wakes_the_objects_of_that_secret(hall: Hall) -> None:
    hall.engine.source_changed("shop/another")
    assert hall.woken == set()
    hall.engine.source_changed(hall.cosmos.aws.name)
    assert hall.woken == {SECRET, RUN}


def test_a_managed_secret_that_changes_wakes_who_writes_it(hall: Hall) -> None:
    view = target(rotating_secret(), mirror())
    hall.engine.target_changed(NAMESPACE, NAME, view, view.labels)
    assert hall.woken == {SECRET, RUN}
    hall.process.queue.due.clear()
    hall.engine.target_changed(NAMESPACE, NAME, view, view.labels)
    assert hall.woken == set()
    hall.engine.target_changed(NAMESPACE, NAME, None, {})
    assert hall.woken == {SECRET, RUN}


def test_a_consumer_that_changes_wakes_the_run_that_rolls_out() -> None:
    hall = Hall()
    rolling = {"workloads": [{"kind": "Deployment", "name": "api", "state": "Restarting"}]}
    hall.engine.object_changed(Kind.RUN, {**hall.touched(hall.run), "status": rolling})
    hall.process.queue.due.clear()
    hall.engine.workload_changed(workload())
    assert hall.woken == {RUN}
    assert hall.process.reconciler.recount == set()


def test_a_consumer_that_changes_is_counted_anew_as_long_as_the_open_run_does_not_count_it() -> None:
    hall = Hall()
    hall.engine.workload_changed(workload())
    assert (hall.woken, hall.process.reconciler.recount) == ({RUN, SECRET}, {SECRET})


def test_a_consumer_that_changes_is_counted_anew_where_no_run_is_open() -> None:
    hall = Hall(runs=False)
    hall.engine.workload_changed(workload())
    assert (hall.woken, hall.process.reconciler.recount) == ({SECRET}, {SECRET})


def test_a_workload_that_has_not_changed_wakes_nobody(hall: Hall) -> None:
    hall.engine.workload_changed(workload())
    hall.process.queue.due.clear()
    hall.engine.workload_changed(workload())
    assert hall.woken == set()


def test_an_event_from_before_our_own_write_wakes_nobody(hall: Hall) -> None:
    hall.engine.workload_changed(workload(generation=2))
    hall.process.queue.due.clear()
    hall.engine.workload_changed(workload(generation=1))
    assert hall.woken == set()


@pytest.mark.parametrize("change", ["it stops to use the Secret", "it is gone"])
def test_a_workload_that_no_longer_uses_the_secret_wakes_who_writes_it(change: str) -> None:
    hall = Hall(runs=False)
    hall.engine.workload_changed(workload())
    hall.process.queue.due.clear()
    if change == "it is gone":
        hall.engine.workload_gone(NAMESPACE, WorkloadKind.DEPLOYMENT, "api")
    else:
        hall.engine.workload_changed(replace(workload(generation=2), uses=()))
    assert hall.woken == {SECRET}


# --- passes that fail -------------------------------------------------------------------------------------------------


class Failing:
    """Stands in for the reconciler: every pass ends the same way."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def reconcile(self, key: Key) -> None:
        """Fail, if there is something to fail with."""
        if self.error is not None:
            raise self.error


def engine_that_fails(error: Exception | None) -> tuple[Engine, DueTimes, Failing]:
    hall = Hall(runs=False)
    queue, failing = DueTimes(Outside()), Failing(error)
    engine = Engine(
        world=hall.process.world,
        queue=queue,
        reconciler=failing,  # type: ignore[arg-type]  # one method of it is all that a pass calls
        observer=SilentObserver(),
    )
    return engine, queue, failing


async def waits(engine: Engine, queue: DueTimes, passes: int) -> list[float]:
    """The seconds until the next look, after each pass."""
    found = []
    for _ in range(passes):
        queue.due.clear()
        await engine._pass(SECRET)
        found.append((queue.due[SECRET] - Outside().now) / timedelta(seconds=1))
    return found


def refused(kind: FailureKind) -> OutsideError:
    return OutsideError(kind, reason="Refused", message="m")


async def test_a_pass_that_fails_for_a_while_is_repeated_with_growing_pauses() -> None:
    engine, queue, _ = engine_that_fails(refused(FailureKind.TRANSIENT))
    pauses = await waits(engine, queue, 12)
    for count, pause in enumerate(pauses):
        base = min(FIRST_RETRY * 2 ** min(count, 9), LAST_RETRY)
        assert 0.75 * base <= pause <= 1.25 * base


@pytest.mark.parametrize("kind", [FailureKind.DENIED, FailureKind.FORBIDDEN, FailureKind.INVALID])
async def test_a_pass_that_somebody_must_mend_is_repeated_slowly(kind: FailureKind) -> None:
    engine, queue, _ = engine_that_fails(refused(kind))
    (pause,) = await waits(engine, queue, 1)
    assert pause >= 7


async def test_a_pass_that_succeeds_ends_the_pauses() -> None:
    engine, queue, failing = engine_that_fails(refused(FailureKind.TRANSIENT))
    await waits(engine, queue, 5)
    failing.error = None
    await engine._pass(SECRET)
    failing.error = refused(FailureKind.TRANSIENT)
    (pause,) = await waits(engine, queue, 1)
    assert pause <= 1.25 * FIRST_RETRY


async def test_a_defect_in_one_pass_is_logged_without_its_variables_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    engine, queue, _ = engine_that_fails(KeyError("field"))
    (pause,) = await waits(engine, queue, 1)
    assert pause >= 7
    assert "the pass failed" in caplog.text


# --- workers that do not get on ---------------------------------------------------------------------------------------


class Hanging:
    """Stands in for the reconciler: a pass ends when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def reconcile(self, key: Key) -> None:
        """Wait."""
        await self.go.wait()


class Floor:
    """An engine at work, with the real queue."""

    def __init__(self, *, workers: int) -> None:
        self.hanging, self.queue = Hanging(), Queue(time.monotonic, Outside().clock)
        self.engine = Engine(
            world=World(),
            queue=self.queue,
            reconciler=self.hanging,  # type: ignore[arg-type]  # one method of it is all that a pass calls
            observer=SilentObserver(),
            workers=workers,
        )
        self.work = asyncio.create_task(self.engine.run())

    async def taken(self, count: int) -> None:
        """Until so many keys are being worked on."""
        await eventually(lambda: len(self.engine._begun) == count, what="the passes to begin")


@pytest_asyncio.fixture
async def floor() -> AsyncIterator[Floor]:
    floor = Floor(workers=2)
    yield floor
    floor.work.cancel()
    with suppress(asyncio.CancelledError):
        await floor.work


async def test_workers_that_have_nothing_to_do_are_well_however_long_it_lasts(floor: Floor) -> None:
    floor.queue.put(SECRET, due=time.monotonic() + 1000)
    await eventually(lambda: floor.engine._tasks, what="the workers")
    assert floor.engine.stuck(silence=-1, longest=-1) is None


async def test_an_engine_that_has_not_begun_is_well() -> None:
    hall = Hall(runs=False)
    engine = Engine(
        world=hall.process.world,
        queue=Queue(time.monotonic, Outside().clock),
        reconciler=hall.process.reconciler,
        observer=SilentObserver(),
    )
    engine.queue.put(SECRET, due=time.monotonic() - 1000)
    assert engine.stuck(silence=1) is None


async def test_objects_that_wait_while_no_pass_ends_are_told_after_a_while(floor: Floor) -> None:
    for name in ("one", "two", "three"):
        floor.queue.put(Key(Kind.SECRET, NAMESPACE, name))
    await floor.taken(2)
    assert floor.engine.stuck() is None
    await eventually(lambda: floor.engine.stuck(silence=0.01), what="the silence")
    assert "1 objects are due, and no pass has ended for" in (floor.engine.stuck(silence=0.01) or "")
    floor.hanging.go.set()
    await floor.taken(0)
    await eventually(lambda: not floor.queue.backlog, what="the last pass")
    assert floor.engine.stuck(silence=0.0) is None


async def test_an_object_that_has_just_become_due_is_no_silence_after_a_quiet_hour(floor: Floor) -> None:
    await eventually(lambda: floor.engine._tasks, what="the workers")
    for name in ("one", "two"):
        floor.queue.put(Key(Kind.SECRET, NAMESPACE, name))
    await floor.taken(2)
    floor.engine._beat -= 3600
    floor.queue.put(SECRET)
    assert floor.queue.backlog
    assert floor.engine.stuck(silence=60) is None


async def test_one_pass_that_never_ends_is_told_though_nobody_else_waits(floor: Floor) -> None:
    floor.queue.put(SECRET)
    await floor.taken(1)
    assert floor.engine.stuck(silence=0) is None
    await eventually(lambda: floor.engine.stuck(longest=0.01), what="the time to pass")
    assert f"a pass over {SECRET} has not ended" in (floor.engine.stuck(longest=0.01) or "")


async def test_a_worker_that_has_ended_is_told(floor: Floor) -> None:
    await eventually(lambda: floor.engine._tasks, what="the workers")
    floor.engine._tasks[0].cancel()
    await eventually(floor.engine.stuck, what="the end of a worker")
    assert floor.engine.stuck() == "1 of 2 have ended"


async def test_a_worker_that_breaks_ends_them_all() -> None:
    class Breaking(SilentObserver):
        """Fails where no pass catches it."""

        def passed(self, key: Key, result: str, seconds: float, waited: float) -> None:
            """Fail."""
            raise LookupError

    floor = Floor(workers=2)
    floor.engine.observer = Breaking()
    floor.hanging.go.set()
    floor.queue.put(SECRET)
    with pytest.raises(ExceptionGroup):
        await floor.work
