"""More workloads of one Secret than a run's record has rows: all are restarted, once, and counted, also where the process dies midway."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import Crash
from tests.support.kstatus import check_conditions
from tests.support.observed import workload
from tests.support.process import Cosmos, Process

from keyturn.domain.consumers import annotation_of
from keyturn.engine.keys import Key, Kind

NAMESPACE, NAME, MANY = "shop", "orders-db", 130


async def before() -> Cosmos:
    """130 workloads run on the first content, and somebody promotes v2."""
    cosmos = Cosmos()
    cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": cosmos.aws.name})
    for number in range(MANY):
        cosmos.workloads.add(workload(f"w{number:03}"))
    await Process(cosmos).run()
    cosmos.outside.now += timedelta(hours=1)
    cosmos.outside.writes.clear()
    cosmos.aws.promote("v2", '{"username": "app", "password": "canary-2"}')
    return cosmos


def run_of(cosmos: Cosmos) -> dict[str, Any]:
    (run,) = cosmos.objects.all("RotationRun")
    return dict(run["status"])


def all_once(cosmos: Cosmos) -> bool:
    return cosmos.workloads.restarts == {("Deployment", f"w{number:03}"): 1 for number in range(MANY)}


async def test_all_are_restarted_once_and_counted_though_a_hundred_are_listed() -> None:
    cosmos = await before()
    await Process(cosmos).run(passes=2000)
    assert all_once(cosmos)
    status = run_of(cosmos)
    assert (len(status["workloads"]), status["moreWorkloads"], status["summary"]["adopted"]) == (100, 30, "130/130")
    assert status["adoption"] == {"pods": MANY, "podsOnVersion": MANY, "workloads": MANY, "restarting": 0}
    (secret,) = cosmos.objects.all("RotatingSecret")
    assert (secret["status"]["adoption"]["workloads"], secret["status"]["summary"]["adopted"]) == (MANY, "130/130")
    assert [text for kind in ("RotatingSecret", "RotationRun") for raw in cosmos.objects.all(kind) for text in check_conditions(raw)] == []


@pytest.mark.parametrize("restarts", [1, 49, 99, 101, 129])
async def test_a_process_that_dies_after_any_number_of_restarts_leaves_enough_behind_for_the_next(restarts: int) -> None:
    cosmos = await before()
    whole = await before()
    await Process(whole).run(passes=2000)
    indexes = [index for index, write in enumerate(whole.outside.writes, start=1) if write == "restart"]
    cosmos.outside.crash_after = indexes[restarts - 1]
    with pytest.raises(Crash):
        await Process(cosmos).run(passes=2000)
    await Process(cosmos).run(passes=2000)
    assert all_once(cosmos)
    assert run_of(cosmos)["summary"]["adopted"] == "130/130"


async def test_the_cap_counts_the_restarts_of_the_workloads_that_are_not_listed() -> None:
    cosmos = await before()
    process, most = Process(cosmos), 0
    for _ in range(2000):
        cosmos.work()
        process.hear()
        key = min(process.queue.due, key=lambda one: (process.queue.due[one], one), default=None)
        if key is None or process.queue.due[key] > cosmos.outside.now + timedelta(minutes=30):
            break
        cosmos.outside.now = max(cosmos.outside.now, process.queue.due.pop(key))
        already = sum(cosmos.workloads.restarts.values())
        await process.look(key)
        most = max(most, sum(cosmos.workloads.restarts.values()) - already)
    assert all_once(cosmos)
    assert most == 50


async def test_a_workload_that_was_marked_before_the_content_came_is_restarted_by_another_mark() -> None:
    cosmos = Cosmos()
    cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": cosmos.aws.name})
    cosmos.workloads.add(workload("api", template_annotations={annotation_of(NAME): "v2.2"}))  # restored from a backup, say
    await Process(cosmos).run()
    cosmos.outside.now += timedelta(hours=1)
    cosmos.aws.promote("v2", '{"username": "app", "password": "canary-2"}')
    process = Process(cosmos)
    await process.run()
    assert run_of(cosmos)["summary"]["step"] == "Adopted"
    assert cosmos.workloads.restarts == {("Deployment", "api"): 1}
    assert cosmos.workloads.views["Deployment", "api"].template_annotations == {annotation_of(NAME): "v2.2.1"}
    process.queue.put(Key(Kind.SECRET, NAMESPACE, NAME))
    await process.run()
    assert cosmos.workloads.restarts == {("Deployment", "api"): 1}
