"""What is remembered: newer answers win, indexes follow edits, and what passes begin is counted at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.observed import NAMESPACE, NOON, mirror, rotating_secret, target, use, workload

from keyturn.api import RotationRunStatus, RunAdoption, Step, StepName, StepState, rfc3339
from keyturn.domain.actions import Restart
from keyturn.domain.consumers import Consumer, Treatment
from keyturn.domain.observed import WorkloadKind
from keyturn.engine.keys import Key, Kind
from keyturn.engine.world import World, connection_key

DB = Key(Kind.SECRET, NAMESPACE, "db")
RUN = Key(Kind.RUN, NAMESPACE, "run")
DEFAULT = connection_key(NAMESPACE, None, None)
BEGUN = RotationRunStatus(steps=[Step(name=StepName.ROTATE, state=StepState.RUNNING, start_time=NOON)])


def secret(version: int = 1, name: str = "db", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"secretId": "shop/db", **spec}}


def run(version: int = 1, name: str = "run", *, status: RotationRunStatus | None = None, parent: str = "db") -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": str(version)}
    raw = {"metadata": metadata | {"creationTimestamp": rfc3339(NOON)}, "spec": {"secretRef": {"name": parent}}}
    return raw | ({"status": status.to_dict()} if status else {})


@pytest.fixture
def world() -> World:
    return World()


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "taken"), [(4, False), (5, False), (6, True)])
def test_an_older_answer_never_replaces_a_newer_one(world: World, version: int, taken: bool) -> None:
    world.objects.put(Kind.SECRET, secret(5, suspend="Everything"))
    assert world.objects.put(Kind.SECRET, secret(version)) is taken
    kept = world.objects.secret(NAMESPACE, "db")
    assert kept is not None
    assert (kept.spec.suspend is None) is taken


def test_resource_versions_are_compared_as_numbers(world: World) -> None:
    world.objects.put(Kind.SECRET, secret(9))
    assert world.objects.put(Kind.SECRET, secret(10))


def test_a_late_answer_to_a_write_does_not_bring_back_what_is_gone(world: World) -> None:
    world.objects.put(Kind.RUN, run(5))
    world.objects.drop(RUN, version=7)
    assert not world.objects.put(Kind.RUN, run(6))
    assert world.objects.open_count == 0


def test_an_object_that_is_made_again_is_taken(world: World) -> None:
    world.objects.put(Kind.SECRET, secret(5))
    world.objects.drop(DB, version=7)
    assert world.objects.put(Kind.SECRET, secret(8))


def test_a_connection_is_parsed_once_and_anew_when_it_changes_or_comes_back(world: World) -> None:
    def put(version: int, region: str) -> None:
        metadata = {"name": "default", "uid": "u", "resourceVersion": str(version)}
        world.objects.put(Kind.CLUSTER_CONNECTION, {"metadata": metadata, "spec": {"region": region}})

    def region() -> str | None:
        found = world.objects.connection(DEFAULT)
        return found.spec.region if found else None

    put(1, "eu-west-1")
    assert world.objects.connection(DEFAULT) is world.objects.connection(DEFAULT)
    put(2, "eu-west-2")
    assert region() == "eu-west-2"
    world.objects.drop(DEFAULT, version=3)
    assert region() is None
    put(4, "eu-west-3")
    assert region() == "eu-west-3"


def test_what_others_keep_in_the_metadata_is_not_kept(world: World) -> None:
    raw = secret()
    raw["metadata"] |= {
        "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "long", "team": "shop"},
    }
    world.objects.put(Kind.SECRET, raw)
    kept = world.objects.raw(DB)
    assert kept is not None
    assert kept["metadata"]["annotations"] == {"team": "shop"}
    assert "managedFields" not in kept["metadata"]
    assert "managedFields" in raw["metadata"]


# --- indexes ----------------------------------------------------------------------------------------------------------


def test_an_edit_moves_the_object_in_every_index(world: World) -> None:
    world.objects.put(Kind.SECRET, secret(1, target={"name": "old"}, rollout={"workloads": [{"kind": "Deployment", "name": "a"}]}))
    edit: dict[str, Any] = {"target": {"name": "new"}, "connectionRef": {"kind": "AWSConnection", "name": "own"}}
    world.objects.put(Kind.SECRET, secret(2, **edit))
    assert (list(world.objects.by_target(NAMESPACE, "old")), list(world.objects.by_target(NAMESPACE, "new"))) == ([], [DB])
    assert list(world.objects.by_named(NAMESPACE, "Deployment", "a")) == []
    assert list(world.objects.by_connection(DEFAULT)) == []
    assert list(world.objects.by_connection(Key(Kind.CONNECTION, NAMESPACE, "own"))) == [DB]


def test_what_is_gone_is_in_no_index(world: World) -> None:
    world.objects.put(Kind.SECRET, secret())
    world.objects.put(Kind.RUN, run())
    world.objects.drop(DB)
    world.objects.drop(RUN)
    assert list(world.objects.by_source("shop/db")) == list(world.objects.by_connection(DEFAULT)) == []
    assert (world.objects.runs_of(NAMESPACE, "db"), world.objects.open_count) == ([], 0)


def test_a_run_that_is_over_is_no_longer_open(world: World) -> None:
    world.objects.put(Kind.RUN, run(1))
    assert world.objects.open_count == 1
    world.objects.put(Kind.RUN, run(2, status=RotationRunStatus(completion_time=NOON)))
    assert world.objects.open_count == 0
    assert [found.over for found in world.objects.runs_of(NAMESPACE, "db")] == [True]


# --- caps -------------------------------------------------------------------------------------------------------------


def test_rotations_under_way_are_counted_by_their_connection(world: World) -> None:
    world.objects.put(Kind.SECRET, secret())
    world.objects.put(Kind.SECRET, secret(name="other", connectionRef={"name": "other"}))
    world.objects.put(Kind.RUN, run(status=BEGUN))
    world.objects.put(Kind.RUN, run(name="idle"))
    world.objects.put(Kind.RUN, run(name="elsewhere", parent="other", status=BEGUN))
    assert world.objects.rotating_on(DEFAULT) == 1


def test_a_rotation_counts_from_the_moment_in_which_it_is_decided_on_and_only_once(world: World) -> None:
    world.objects.put(Kind.SECRET, secret())
    world.objects.put(Kind.RUN, run(1))
    with world.objects.begins(RUN, DEFAULT, BEGUN, ()):
        assert world.objects.rotating_on(DEFAULT) == 1
        world.objects.put(Kind.RUN, run(2, status=BEGUN))
        assert world.objects.rotating_on(DEFAULT) == 1
    assert world.objects.rotating_on(DEFAULT) == 1


def test_restarts_count_from_the_moment_in_which_they_are_asked_for(world: World) -> None:
    one = Restart(consumer=Consumer(workload=workload(), use=use(), treatment=Treatment.RESTART), annotation="a", mark="m")
    with world.objects.begins(RUN, DEFAULT, RotationRunStatus(), (one, one)):
        assert world.restarting() == 2
    assert world.restarting() == 0


def test_restarts_under_way_are_counted_over_all_workloads_of_the_runs_that_are_not_over(world: World) -> None:
    status = RotationRunStatus(adoption=RunAdoption(workloads=130, restarting=110))
    world.objects.put(Kind.RUN, run(1, status=status))
    world.objects.put(Kind.RUN, run(1, name="another", status=RotationRunStatus(adoption=RunAdoption(restarting=2))))
    assert world.restarting() == 112
    world.objects.put(Kind.RUN, run(2, status=status.model_copy(update={"completion_time": NOON})))
    assert world.restarting() == 2


# --- workloads and Secrets --------------------------------------------------------------------------------------------


def test_a_workload_is_found_by_every_secret_that_it_uses_and_no_longer_by_those_that_it_does_not(world: World) -> None:
    world.put_workload(workload(uses=(use(secret="one"), use(secret="two"))))
    world.put_workload(workload(uses=(use(secret="two"),)))
    assert world.candidates(NAMESPACE, "one", ()) == []
    assert [found.name for found in world.candidates(NAMESPACE, "two", ())] == ["api"]
    assert [found.name for found in world.candidates(NAMESPACE, "one", [("Deployment", "api")])] == ["api"]
    world.drop_workload(NAMESPACE, WorkloadKind.DEPLOYMENT, "api")
    assert world.candidates(NAMESPACE, "two", [("Deployment", "api")]) == []


def test_an_event_from_before_our_own_write_does_not_take_the_annotation_back(world: World) -> None:
    marked = workload(generation=3, template_annotations={"keyturn.dev/db": "v2.2"})
    world.put_workload(marked)
    stale = workload(generation=2)
    assert world.put_workload(stale) == stale
    assert list(world.workloads(NAMESPACE)) == [marked]


def test_a_workload_that_was_made_again_starts_from_its_own_generation(world: World) -> None:
    world.put_workload(workload(generation=3))
    again = workload(uid="another", generation=1)
    world.put_workload(again)
    assert list(world.workloads(NAMESPACE)) == [again]


def test_a_status_of_the_same_generation_is_taken(world: World) -> None:
    world.put_workload(workload(available=0))
    world.put_workload(workload(available=1))
    assert [found.available for found in world.workloads(NAMESPACE)] == [1]


@pytest.mark.parametrize(
    ("uid", "version", "taken"), [("uid", "99", False), ("uid", "101", True), ("another", "99", False), ("another", "101", True)]
)
def test_of_two_views_of_a_secret_the_newer_counts_whoever_made_it(world: World, uid: str, version: str, taken: bool) -> None:
    view = target(rotating_secret(), mirror(), uid="uid")
    world.put_target(NAMESPACE, view)
    assert world.put_target(NAMESPACE, replace(view, uid=uid, resource_version=version)) is taken
