"""The process dies after any of its writes, and another one takes over: the same end, no second rotation, no second restart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import Crash
from tests.support.kstatus import check_conditions
from tests.support.observed import workload
from tests.support.process import Cosmos, Process

from keyturn.domain.observed import WorkloadKind

Scene = Callable[[Cosmos], None]
NAMESPACE, NAME = "shop", "orders-db"


def everything_new(cosmos: Cosmos) -> None:
    """A RotatingSecret and its consumers are applied together, AWS has v1."""
    cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": cosmos.aws.name, "rollout": WAVES})
    cosmos.workloads.add(workload("api"))
    cosmos.workloads.add(workload("worker", WorkloadKind.STATEFUL_SET))


WAVES = {"workloads": [{"kind": "StatefulSet", "name": "worker", "wave": 1}]}


def promoted(cosmos: Cosmos) -> None:
    """Somebody promotes v2."""
    cosmos.aws.promote("v2", '{"username": "app", "password": "canary-2"}')


def rotate_now(cosmos: Cosmos) -> None:
    """A person asks for a rotation."""
    cosmos.objects.add("RotationRun", NAMESPACE, "now", {"secretRef": {"name": NAME}, "action": "Rotate", "trigger": "Manual"})


def scheduled(cosmos: Cosmos) -> None:
    """A schedule whose slot is minutes away."""
    cosmos.aws.last_rotated = cosmos.outside.now - timedelta(hours=3, minutes=55)
    cosmos.objects.edit("RotatingSecret", NAMESPACE, NAME, {"rotation": {"schedule": {"every": "4h", "window": "0s"}}})


def edited(cosmos: Cosmos) -> None:
    """The keys are edited."""
    keys = [{"from": "password", "to": "PASSWORD"}]
    cosmos.objects.edit("RotatingSecret", NAMESPACE, NAME, {"target": {"keys": keys}})


def edited_without_effect(cosmos: Cosmos) -> None:
    """A required key that is there anyway."""
    cosmos.objects.edit("RotatingSecret", NAMESPACE, NAME, {"target": {"require": ["password"]}})


def deleted_by_hand(cosmos: Cosmos) -> None:
    """Somebody deletes the Secret."""
    del cosmos.secrets.stored[NAMESPACE, NAME]


def edited_by_hand(cosmos: Cosmos) -> None:
    """Somebody edits the Secret, while no pod starts."""
    cosmos.secrets.edit(NAMESPACE, NAME, password="wrong", foreign="x")


SCENES: dict[str, tuple[Scene, int, int]] = {  # what happens, rotations that it starts, restarts of each workload
    "nothing": (lambda cosmos: None, 0, 0),
    "a promotion": (promoted, 0, 1),
    "a manual run": (rotate_now, 1, 1),
    "a slot": (scheduled, 1, 1),
    "an edit": (edited, 0, 1),
    "an edit without effect": (edited_without_effect, 0, 0),
    "a deletion by hand": (deleted_by_hand, 0, 0),
    "an edit by hand": (edited_by_hand, 0, 0),
}


async def before(scene: Scene) -> Cosmos:
    """The scene is set in a world where the first content is mirrored and its pods run on it."""
    cosmos = Cosmos()
    everything_new(cosmos)
    await Process(cosmos).run()
    cosmos.outside.now += timedelta(hours=1)
    cosmos.outside.writes.clear()
    scene(cosmos)
    return cosmos


def ending(cosmos: Cosmos) -> dict[str, Any]:
    """What must not depend on when the process died."""
    (secret,) = cosmos.objects.all("RotatingSecret")
    status = secret["status"]
    return {
        "data": cosmos.secrets.values(NAMESPACE, NAME),
        "conditions": [(found["type"], found["status"], found["reason"]) for found in status["conditions"]],
        "mirror": (status["mirror"]["versionId"], status["mirror"]["epoch"]),
        "settled": status["settled"],
        "adoption": {key: count for key, count in status["adoption"].items() if key != "since"},  # a crash costs time, not pods
        "runs": sorted((run["metadata"]["name"], run["status"]["summary"]["step"]) for run in cosmos.objects.all("RotationRun")),
        "rotations": len(cosmos.aws.started),
        "restarts": cosmos.workloads.restarts,
    }


def complaints(cosmos: Cosmos) -> list[str]:
    """What is wrong with any status that is left."""
    return [text for kind in ("RotatingSecret", "RotationRun") for raw in cosmos.objects.all(kind) for text in check_conditions(raw)]


async def test_a_change_costs_few_writes_and_the_run_comes_before_its_report() -> None:
    cosmos = await before(promoted)
    await Process(cosmos).run()
    writes = cosmos.outside.writes
    assert writes.index("status RotatingSecret") > writes.index("status RotationRun")
    assert writes.count("status RotationRun") == 4  # mirrored, each of the two waves begun, over
    assert writes.count("status RotatingSecret") <= 3


@pytest.mark.parametrize("name", list(SCENES))
async def test_each_scene_ends_as_it_should_without_a_crash(name: str) -> None:
    scene, rotations, restarts = SCENES[name]
    cosmos = await before(scene)
    await Process(cosmos).run()
    found = ending(cosmos)
    assert found["rotations"] == rotations
    assert found["restarts"] == ({("Deployment", "api"): restarts, ("StatefulSet", "worker"): restarts} if restarts else {})
    assert [(type_, status) for type_, status, _ in found["conditions"]] == [
        ("Ready", "True"),
        ("Mirrored", "True"),
        ("Adopted", "True"),
        ("RotationOnTime", "True"),
    ]
    assert found["settled"] == {"versionId": found["mirror"][0], "epoch": found["mirror"][1]}
    assert found["mirror"][0] == cosmos.aws.current
    assert complaints(cosmos) == []


@pytest.mark.parametrize("name", list(SCENES))
async def test_a_quiet_world_is_left_alone_by_the_next_process(name: str) -> None:
    cosmos = await before(SCENES[name][0])
    await Process(cosmos).run()
    cosmos.outside.writes.clear()
    await Process(cosmos).run()
    assert cosmos.outside.writes == []


@pytest.mark.parametrize("name", list(SCENES))
async def test_a_crash_after_any_write_changes_nothing_in_the_end(name: str) -> None:
    scene, _, _ = SCENES[name]
    whole = await before(scene)
    await Process(whole).run()
    expected, writes = ending(whole), list(whole.outside.writes)
    for number, write in enumerate(writes, start=1):
        cosmos = await before(scene)
        cosmos.outside.crash_after = number
        with pytest.raises(Crash):
            await Process(cosmos).run()
        await Process(cosmos).run()
        assert ending(cosmos) == expected, f"the process died after write {number} of {len(writes)}: {write}"
        assert complaints(cosmos) == []


async def test_a_crash_after_any_write_of_the_very_first_mirror_changes_nothing_in_the_end() -> None:
    whole = Cosmos()
    everything_new(whole)
    await Process(whole).run()
    expected = ending(whole)
    for number in range(1, len(whole.outside.writes) + 1):
        cosmos = Cosmos()
        everything_new(cosmos)
        cosmos.outside.crash_after = number
        with pytest.raises(Crash):
            await Process(cosmos).run()
        await Process(cosmos).run()
        assert ending(cosmos) == expected


async def test_a_process_that_dies_after_every_single_write_gets_there_all_the_same() -> None:
    whole = await before(rotate_now)
    await Process(whole).run()
    cosmos = await before(rotate_now)
    for _ in range(100):
        cosmos.outside.crash_after = len(cosmos.outside.writes) + 1
        try:
            await Process(cosmos).run()
        except Crash:
            continue
        break
    assert ending(cosmos) == ending(whole)


async def test_three_versions_before_the_first_rollout_is_over_end_on_the_last_one() -> None:
    cosmos = await before(promoted)
    process = Process(cosmos)
    for version in ("v3", "v4"):
        await process.run(patience=timedelta(seconds=2))
        cosmos.aws.promote(version, f'{{"username": "app", "password": "canary-{version}"}}')
    await process.run()
    found = ending(cosmos)
    assert found["data"]["password"] == "canary-v4"
    assert found["mirror"][0] == "v4"
    assert found["settled"]["versionId"] == "v4"
    assert {key: found["adoption"][key] for key in ("pods", "podsOnVersion", "workloads")} == {
        "pods": 2,
        "podsOnVersion": 2,
        "workloads": 2,
    }
    assert complaints(cosmos) == []


async def test_no_value_is_in_any_status_run_event_or_repr() -> None:
    cosmos = await before(rotate_now)
    cosmos.secrets.edit(NAMESPACE, NAME, password="canary-by-hand")
    process = Process(cosmos)
    await process.run()
    shown = repr([cosmos.objects.stored, cosmos.recorder.events, process.world.objects.__dict__, process.world.targets])
    assert "orders-db" in shown
    assert "canary" not in shown
