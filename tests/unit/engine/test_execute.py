"""The writes of one pass: a refusal is an outcome, a repeat is harmless, and a value goes nowhere but into the Secret."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import conflict, missing
from tests.support.observed import OWNER, workload
from tests.support.process import Cosmos, Process

from keyturn.api import RotatingSecret
from keyturn.domain.actions import (
    Action,
    AdoptRun,
    CreateRun,
    DeleteRun,
    Done,
    Mirrored,
    Moved,
    Outcome,
    Refused,
    RemovePending,
    Restart,
    StartRotation,
    WriteMirror,
)
from keyturn.domain.consumers import Consumer, Treatment
from keyturn.domain.failures import FailureKind, OutsideError

NAMESPACE, NAME = "shop", "orders-db"
FIRST = WriteMirror(expect=None, recorded=None)
RUN = CreateRun(name="orders-db-1", spec={"secretRef": {"name": NAME}, "trigger": "Observed", "versionId": "v2", "reason": "moved"})


class Desk:
    """An executor over one RotatingSecret."""

    def __init__(self, spec: dict[str, Any] | None = None) -> None:
        self.cosmos = Cosmos()
        self.cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": self.cosmos.aws.name, **(spec or {})})
        self.process = Process(self.cosmos)

    @property
    def secret(self) -> RotatingSecret:
        found = self.process.world.objects.secret(NAMESPACE, NAME)
        assert found is not None
        return found

    async def do(self, *actions: Action) -> list[Outcome]:
        reach = await self.process.reconciler.connections.of(self.secret)
        return [outcome for _, outcome in await self.process.executor.execute(self.secret, reach, actions)]

    async def one(self, action: Action) -> Outcome:
        (outcome,) = await self.do(action)
        return outcome

    def foreign(self, **annotations: str) -> None:
        """A Secret of that name that is somebody else's."""
        self.cosmos.secrets.stored[NAMESPACE, NAME] = {
            "metadata": {
                "name": NAME,
                "namespace": NAMESPACE,
                "uid": "foreign",
                "resourceVersion": "50",
                "labels": {},
                "annotations": annotations,
                "ownerReferences": [],
            },
            "type": "Opaque",
            "data": {},
            "written": None,
            "touched": self.cosmos.outside.now - timedelta(hours=1),
        }


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refusal(outcome: Outcome) -> tuple[FailureKind, str]:
    assert isinstance(outcome, Refused)
    return outcome.failure.kind, outcome.failure.reason


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_a_refusal_is_an_outcome_and_the_next_action_is_tried_all_the_same(desk: Desk) -> None:
    desk.cosmos.aws.failures["start"] = OutsideError(FailureKind.DENIED, reason="SourceAccessDenied", message="m")
    first, second = await desk.do(StartRotation(token="t"), RUN)
    assert refusal(first) == (FailureKind.DENIED, "SourceAccessDenied")
    assert second == Done()


@pytest.mark.parametrize(
    ("place", "method", "action"),
    [
        ("aws", "current", FIRST),
        ("secrets", "create", FIRST),
        ("aws", "start", StartRotation(token="t")),
        ("aws", "remove_pending", RemovePending(version="t")),
        ("objects", "create_run", RUN),
    ],
)
async def test_every_port_may_refuse(desk: Desk, place: str, method: str, action: Action) -> None:
    error = OutsideError(FailureKind.FORBIDDEN, reason="Forbidden", message="m")
    getattr(desk.cosmos, place).failures[method] = error
    assert refusal(await desk.one(action)) == (FailureKind.FORBIDDEN, "Forbidden")


async def test_without_the_connection_nothing_is_done(desk: Desk) -> None:
    del desk.cosmos.objects.stored["ClusterAWSConnection", "", "default"]
    desk.process.hear()
    for action in (FIRST, StartRotation(token="t"), RemovePending(version="t")):
        assert refusal(await desk.one(action))[0] is FailureKind.TRANSIENT
    assert desk.cosmos.outside.writes == []


# --- runs -------------------------------------------------------------------------------------------------------------


async def test_a_run_is_made_once_and_owned(desk: Desk) -> None:
    assert await desk.do(RUN, RUN) == [Done(), Done()]
    (made,) = desk.cosmos.objects.all("RotationRun")
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("RotatingSecret", NAME, desk.secret.metadata.uid)
    assert [run.name for run in desk.process.world.objects.runs_of(NAMESPACE, NAME)] == [RUN.name]


async def test_a_run_of_that_name_counts_only_if_it_is_the_same(desk: Desk) -> None:
    spec = {"secretRef": {"name": NAME}, "action": "Rotate", "trigger": "Observed", "versionId": "v3"}
    desk.cosmos.objects.add("RotationRun", NAMESPACE, RUN.name, spec)
    assert refusal(await desk.one(RUN)) == (FailureKind.CONFLICT, "AlreadyExists")


async def test_a_reason_in_other_words_makes_no_other_run(desk: Desk) -> None:
    desk.cosmos.objects.add("RotationRun", NAMESPACE, RUN.name, {**RUN.spec, "reason": "other words"})
    assert await desk.one(RUN) == Done()


async def test_a_run_that_a_person_made_is_adopted_and_a_finished_one_deleted(desk: Desk) -> None:
    raw = desk.cosmos.objects.add("RotationRun", NAMESPACE, "mine", {"secretRef": {"name": NAME}})
    uid = raw["metadata"]["uid"]
    assert await desk.one(AdoptRun(name="mine", uid=uid)) == Done()
    assert raw["metadata"]["ownerReferences"][0]["kind"] == OWNER["kind"]
    assert await desk.do(DeleteRun(name="mine", uid=uid), DeleteRun(name="mine", uid=uid)) == [Done(), Done()]
    assert desk.cosmos.objects.all("RotationRun") == []


# --- restarts ---------------------------------------------------------------------------------------------------------


def restart(name: str = "api") -> Restart:
    return Restart(
        consumer=Consumer(workload=workload(name), use=None, treatment=Treatment.RESTART), annotation="keyturn.dev/orders-db", mark="v2.2"
    )


async def test_a_restart_that_is_repeated_restarts_once_and_is_known_at_once(desk: Desk) -> None:
    desk.cosmos.workloads.add(workload())
    assert await desk.do(restart(), restart()) == [Done(), Done()]
    assert desk.cosmos.workloads.restarts == {("Deployment", "api"): 1}
    (known,) = desk.process.world.workloads(NAMESPACE)
    assert known.template_annotations == {"keyturn.dev/orders-db": "v2.2"}


async def test_a_workload_that_is_gone_is_forgotten(desk: Desk) -> None:
    desk.process.world.put_workload(workload())
    desk.cosmos.workloads.failures["restart"] = missing("it")
    assert refusal(await desk.one(restart()))[0] is FailureKind.MISSING
    assert list(desk.process.world.workloads(NAMESPACE)) == []


# --- the mirror -------------------------------------------------------------------------------------------------------


async def mirrored(desk: Desk, action: WriteMirror = FIRST) -> Mirrored:
    outcome = await desk.one(action)
    assert isinstance(outcome, Mirrored)
    return outcome


async def test_the_first_mirror_creates_the_secret_with_what_it_says_of_itself(desk: Desk) -> None:
    found = await mirrored(desk)
    assert (found.created, found.changed, found.mirror.epoch, found.mirror.version_id) == (True, True, 1, "v1")
    annotations = desk.cosmos.secrets.stored[NAMESPACE, NAME]["metadata"]["annotations"]
    assert annotations == {"keyturn.dev/version": "v1", "keyturn.dev/epoch": "1", "keyturn.dev/owner": desk.secret.metadata.uid}


async def test_a_second_write_of_the_same_writes_nothing(desk: Desk) -> None:
    first = await mirrored(desk)
    desk.cosmos.outside.now += timedelta(hours=1)
    again = await mirrored(desk, WriteMirror(expect="v1", recorded=first.mirror))
    assert (again.written, again.changed, again.mirror) == (False, False, first.mirror)
    assert desk.cosmos.outside.writes == ["secret"]


async def test_what_we_wrote_and_did_not_record_is_recognised_with_its_time(desk: Desk) -> None:
    first = await mirrored(desk)
    desk.cosmos.outside.now += timedelta(hours=1)
    again = await mirrored(desk)
    assert (again.written, again.mirror) == (False, first.mirror)


async def test_a_value_that_has_moved_on_is_not_written(desk: Desk) -> None:
    desk.cosmos.aws.promote("v2", "{}")
    assert await desk.one(WriteMirror(expect="v1", recorded=None)) == Moved(version="v2")
    assert desk.cosmos.secrets.stored == {}


async def test_an_answer_about_another_secret_is_not_used(desk: Desk) -> None:
    desk.cosmos.aws.name = "other/secret"
    assert refusal(await desk.one(FIRST)) == (FailureKind.DENIED, "NotAllowed")


async def test_an_edit_by_hand_that_no_pod_can_have_read_is_repaired_in_place(desk: Desk) -> None:
    desk.cosmos.workloads.add(workload())
    first = await mirrored(desk)
    desk.cosmos.work()
    desk.cosmos.outside.now += timedelta(hours=1)
    desk.cosmos.secrets.edit(NAMESPACE, NAME, password="wrong")
    desk.process.hear()
    found = await mirrored(desk, WriteMirror(expect="v1", recorded=first.mirror))
    assert (found.mirror.epoch, found.mirror.time, found.written) == (1, first.mirror.time, True)
    assert desk.cosmos.secrets.values(NAMESPACE, NAME)["password"] == "canary"


@pytest.mark.parametrize("how", ["a pod started", "the pods could not be listed"])
async def test_an_edit_by_hand_that_a_pod_may_have_read_moves_the_epoch(desk: Desk, how: str) -> None:
    desk.cosmos.workloads.add(workload())
    first = await mirrored(desk)
    desk.cosmos.work()
    desk.cosmos.outside.now += timedelta(hours=1)
    desk.cosmos.secrets.edit(NAMESPACE, NAME, password="wrong")
    if how == "a pod started":
        desk.cosmos.workloads.started["Deployment", "api"] = desk.cosmos.outside.now
    else:
        desk.cosmos.workloads.failures["pods"] = OutsideError(FailureKind.TRANSIENT, reason="Timeout", message="m")
    desk.process.hear()
    found = await mirrored(desk, WriteMirror(expect="v1", recorded=first.mirror))
    assert (found.mirror.epoch, found.mirror.time, found.changed) == (2, desk.cosmos.outside.now, True)


async def test_a_secret_that_changes_between_reading_and_writing_is_looked_at_again(desk: Desk) -> None:
    first = await mirrored(desk)
    desk.cosmos.secrets.edit(NAMESPACE, NAME, password="wrong")
    desk.cosmos.secrets.failures["replace"] = conflict("Conflict", "m")
    assert refusal(await desk.one(WriteMirror(expect="v1", recorded=first.mirror)))[0] is FailureKind.CONFLICT


async def test_a_secret_of_somebody_else_is_refused_and_left_alone(desk: Desk) -> None:
    desk.foreign()
    assert refusal(await desk.one(FIRST)) == (FailureKind.INVALID, "TargetConflict")
    assert desk.cosmos.outside.writes == []


ADOPTING = {"target": {"conflict": "Adopt"}}
CONSENT = {"keyturn.dev/adopt-by": NAME}


async def test_an_adopted_secret_s_content_is_replaced_and_counts_as_changed() -> None:
    desk = Desk(ADOPTING)
    desk.foreign(**CONSENT)
    found = await mirrored(desk)
    assert (found.changed, found.created) == (True, False)
    assert set(desk.cosmos.secrets.values(NAMESPACE, NAME)) == {"username", "password"}


async def test_an_adopted_secret_that_held_the_same_counts_since_somebody_wrote_it() -> None:
    desk = Desk(ADOPTING)
    desk.foreign(**CONSENT)
    written = desk.cosmos.secrets.stored[NAMESPACE, NAME]["touched"]
    other = Desk()
    await mirrored(other)
    desk.cosmos.secrets.stored[NAMESPACE, NAME]["data"] = other.cosmos.secrets.stored[NAMESPACE, NAME]["data"]
    found = await mirrored(desk)
    assert (found.changed, found.mirror.time) == (False, written)


async def test_an_adoption_that_was_not_recorded_counts_as_changed_because_nobody_knows_what_pods_run_on() -> None:
    desk = Desk(ADOPTING)
    desk.foreign(**CONSENT)
    await mirrored(desk)
    assert (await mirrored(desk)).changed


async def test_no_value_is_in_any_repr_log_or_exception(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = await desk.do(FIRST)
    live = await desk.cosmos.secrets.read(NAMESPACE, NAME)
    current = await desk.process.reconciler.connections.of(desk.secret)
    assert current.aws is not None
    value = await current.aws.catalog.current("shop/orders/db")
    bad = Desk({"target": {"template": {"URL": "{{ password }}/{{ missing }}"}}})
    refused = await bad.do(FIRST)
    shown = " ".join(repr(one) for one in (outcomes, live, value, refused, desk.process.world.targets)) + caplog.text
    assert refusal(refused[0]) == (FailureKind.INVALID, "ContentInvalid")
    assert "canary" not in shown
