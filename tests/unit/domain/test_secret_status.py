"""What a pass over a RotatingSecret leaves in its status: conditions that never contradict each other, adoption, times and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.kstatus import check_conditions, kstatus
from tests.support.observed import (
    ARN,
    DAY,
    EVERY_DAY,
    HOUR,
    LONG_AGO,
    MINUTE,
    NO,
    NOON,
    SECOND,
    YES,
    consumer,
    mirror,
    observed_secret,
    pod,
    refusal,
    rejected,
    run_view,
    source,
    use,
    workload,
    workload_status,
    written,
)

from keyturn.api import Action as RunAction
from keyturn.api import Condition, ConditionStatus, MirrorStatus, RotatingSecretStatus, RunAdoption, Trigger, WorkloadState
from keyturn.domain import conditions as cond
from keyturn.domain.actions import Action, Mirrored, Moved, Outcome, Refused, WriteMirror
from keyturn.domain.consumers import Treatment
from keyturn.domain.observed import Limits
from keyturn.domain.secret_plan import ObservedSecret, secret_plan
from keyturn.domain.secret_status import secret_status

WRITE = WriteMirror(expect=None, recorded=None)
READY = cond.merge([], {"Ready": cond.true("Mirrored", "Secret orders-db holds version v1, which is current")}, generation=1, now=LONG_AGO)
STALLED = cond.merge([], cond.stalled("SourceDeleted", "gone"), generation=1, now=LONG_AGO)


def status(seen: ObservedSecret, *outcomes: tuple[Action, Outcome], now: datetime = NOON) -> RotatingSecretStatus:
    return secret_status(seen, secret_plan(seen, now), outcomes, now)


def of(found: RotatingSecretStatus, type_: str) -> tuple[str, str] | None:
    """Status and reason of a condition."""
    condition = cond.find(found.conditions, type_)
    return (condition.status.value, condition.reason) if condition else None


def message(found: RotatingSecretStatus, type_: str) -> str:
    condition = cond.find(found.conditions, type_)
    assert condition is not None
    return condition.message


def mirrored(version: str = "v1", *, changed: bool = True, created: bool = True, **told: Any) -> Mirrored:
    return Mirrored(mirror=mirror(version, **told), name="shop/orders/db", arn=ARN, changed=changed, created=created)


def refused(kind: str, reason: str = "SourceUnread") -> tuple[Action, Outcome]:
    return WRITE, Refused(failure=refusal(kind, reason))


# --- Ready ------------------------------------------------------------------------------------------------------------


def test_a_secret_that_holds_the_current_version_is_ready() -> None:
    found = status(observed_secret())
    assert of(found, "Ready") == ("True", "Mirrored")
    assert of(found, "Mirrored") == ("True", "Written")
    assert of(found, "Reconciling") is of(found, "Stalled") is None


def test_the_pass_that_writes_the_first_content_says_at_once_that_it_is_ready() -> None:
    found = status(observed_secret(mirrored=None, settled=None), (WRITE, mirrored()))
    assert of(found, "Ready") == ("True", "Mirrored")
    assert found.mirror == mirror()


def test_ready_waits_for_no_rollout() -> None:
    v2 = mirror("v2", epoch=2)
    rolling = run_view(to="v2", mirror=v2, workloads=(workload_status(state=WorkloadState.RESTARTING),))
    found = status(observed_secret(current="v2", runs=[rolling]))
    assert of(found, "Ready") == ("True", "Mirrored")
    assert of(found, "Adopted") == ("False", "RollingOut")


def test_a_version_that_is_rejected_stalls_the_object_which_keeps_the_last_good_content_and_says_so() -> None:
    failed = run_view("failed", over=True, failed=True, result="ContentInvalid", to="v2", rejected=rejected())
    found = status(observed_secret(current="v2", runs=[failed]))
    assert (of(found, "Stalled"), of(found, "Mirrored")) == (("True", "ContentInvalid"), ("True", "Written"))
    assert (found.rejected, found.mirror and found.mirror.version_id) == (rejected(), "v1")
    ready = cond.find(found.conditions, "Ready")
    assert ready is not None
    for said in (
        'lacks "password"',
        "Secret orders-db keeps version v1",
        "put-secret-value --secret-id shop/orders/db",
        "edit spec.target",
    ):
        assert said in ready.message


def test_a_rejection_is_kept_while_aws_cannot_be_asked_and_forgotten_with_the_next_version() -> None:
    known = {"rejected": rejected()}
    assert status(observed_secret(status=known, source=refusal("Transient", "Throttled"))).rejected == rejected()
    assert status(observed_secret(current="v3", status=known)).rejected is None


def test_adoption_during_a_run_counts_the_workloads_that_its_record_does_not_list() -> None:
    run = replace(
        run_view(to="v2", mirror=mirror("v2", epoch=2), workloads=(workload_status(),)),
        adoption=RunAdoption(pods=260, pods_on_version=130, workloads=130),
    )
    found = status(observed_secret(current="v2", runs=[run])).adoption
    assert found is not None
    assert (found.pods, found.pods_on_version, found.workloads) == (260, 130, 130)


def test_ready_waits_for_no_schedule() -> None:
    found = status(observed_secret({**EVERY_DAY, "suspend": "Rotations"}, source=source(last_rotated=NOON - 9 * DAY)))
    assert of(found, "Ready") == ("True", "Mirrored")


def test_a_rotation_under_way_leaves_the_present_version_ready() -> None:
    rotating = run_view(trigger=Trigger.MANUAL, rotating=True, to="v2")
    assert of(status(observed_secret(source=source(pending="v2"), runs=[rotating])), "Ready") == ("True", "Mirrored")


@pytest.mark.parametrize("run", [None, run_view(to="v2"), run_view(), run_view(trigger=Trigger.MANUAL, to="v2")])
def test_a_version_that_is_current_and_not_mirrored_yet_is_reconciling(run: Any) -> None:
    found = status(observed_secret(current="v2", runs=[run] if run else []))
    assert of(found, "Ready") == ("False", "VersionChanged")
    assert of(found, "Mirrored") == ("True", "Written")


FAULTS = [
    ({"template_error": "spec.target.template[URL]"}, "InvalidSpec"),
    ({"connection": refusal("Missing", "ConnectionNotFound")}, "ConnectionNotFound"),
    ({"may_mirror": NO}, "NotAllowed"),
    ({"source": refusal("Missing", "SourceNotFound")}, "SourceNotFound"),
    ({"source": refusal("Denied", "SourceAccessDenied")}, "SourceAccessDenied"),
    ({"source": source(deleted=True)}, "SourceDeleted"),
    ({"writes_too": "older"}, "TargetConflict"),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_what_a_person_must_mend_is_stalled_and_the_mirror_is_still_told(fault: dict[str, Any], expected: str) -> None:
    found = status(observed_secret(**fault))
    assert of(found, "Stalled") == ("True", expected)
    assert of(found, "Ready") == ("False", expected)
    assert of(found, "Mirrored") == ("True", "Written")
    assert found.mirror is not None


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_what_is_stalled_before_the_first_mirror_says_why_nothing_is_mirrored(fault: dict[str, Any], expected: str) -> None:
    assert of(status(observed_secret(mirrored=None, settled=None, **fault)), "Mirrored") == ("False", expected)


def test_a_write_that_was_refused_for_good_is_stalled() -> None:
    found = status(observed_secret(mirrored=None, settled=None), refused("Invalid", "ContentInvalid"))
    assert of(found, "Stalled") == ("True", "ContentInvalid")


@pytest.mark.parametrize("kind", ["Transient", "Conflict"])
def test_a_passing_fault_does_not_take_ready_back(kind: str) -> None:
    seen = observed_secret(status={"conditions": READY}, touched={"resource_version": "101"})
    found = status(seen, refused(kind))
    assert of(found, "Ready") == ("True", "Mirrored")
    assert of(found, "Reconciling") is None


def test_a_passing_fault_does_not_make_ready_what_was_not() -> None:
    seen = observed_secret(status={"conditions": STALLED}, source=refusal("Transient", "Throttled"))
    assert of(status(seen), "Reconciling") == ("True", "Throttled")


def test_a_passing_fault_of_the_source_leaves_what_is_known_of_the_schedule() -> None:
    before = status(observed_secret(EVERY_DAY))
    seen = observed_secret(EVERY_DAY, source=refusal("Transient", "Throttled"), status={"conditions": before.conditions})
    assert of(status(seen), "RotationOnTime") == ("True", "Scheduled")


def test_a_secret_that_is_gone_and_cannot_be_written_again_is_not_ready() -> None:
    seen = observed_secret(status={"conditions": READY}, target=None)
    assert of(status(seen, refused("Transient", "Throttled")), "Ready") == ("False", "Throttled")


@pytest.mark.parametrize("keeper", [{"spec": {"suspend": "Everything"}}, {"runs": [run_view(trigger=Trigger.MANUAL, rotating=True)]}])
def test_a_secret_that_is_gone_and_is_not_written_for_now_is_not_ready(keeper: dict[str, Any]) -> None:
    found = status(observed_secret(status={"conditions": READY}, target=None, **keeper))
    assert of(found, "Ready") == ("False", "SecretMissing")


def test_a_run_that_cannot_mirror_makes_its_secret_stalled_with_the_run_s_own_words() -> None:
    blocked = run_view(to="v2", failed=True, result="ContentInvalid", message='Secret "orders-db" lacks "password"')
    found = status(observed_secret(current="v2", runs=[blocked]))
    assert of(found, "Stalled") == ("True", "ContentInvalid")
    assert "password" in message(found, "Stalled")


def test_a_run_that_failed_to_rotate_leaves_ready_alone() -> None:
    failed = run_view(over=True, failed=True, result="RotationFailed", trigger=Trigger.MANUAL, attempt=NOON - MINUTE)
    found = status(observed_secret(runs=[failed]))
    assert of(found, "Ready") == ("True", "Mirrored")
    assert of(found, "RotationOnTime") == ("False", "RotationFailed")


def test_a_version_that_moved_under_a_repair_is_reconciling() -> None:
    assert of(status(observed_secret(touched={"resource_version": "101"}), (WRITE, Moved(version="v2"))), "Ready") == (
        "False",
        "VersionChanged",
    )


# --- mirror and settled -----------------------------------------------------------------------------------------------


def test_the_first_content_is_settled_at_once_where_the_secret_was_not_there() -> None:
    found = status(observed_secret(mirrored=None, settled=None), (WRITE, mirrored()))
    assert found.settled is not None
    assert (found.settled.version_id, found.settled.epoch) == ("v1", 1)


def test_content_that_an_adopted_secret_held_already_is_settled_at_once() -> None:
    found = status(observed_secret(mirrored=None, settled=None), (WRITE, mirrored(changed=False, created=False)))
    assert found.settled is not None


def test_content_that_replaced_another_is_not_settled_before_its_pods_had_a_rollout() -> None:
    found = status(observed_secret(mirrored=None, settled=None), (WRITE, mirrored(changed=True, created=False)))
    assert found.settled is None


def test_a_finished_run_s_mirror_is_taken_over_and_settled() -> None:
    found = status(observed_secret(current="v2", runs=[run_view(over=True, mirror=mirror("v2", epoch=2))]))
    assert found.mirror == mirror("v2", epoch=2)
    assert found.settled is not None
    assert found.settled.version_id == "v2"


# --- adoption ---------------------------------------------------------------------------------------------------------

OLD, NEW = NOON - 2 * HOUR, NOON - HOUR / 2


def counted(*pods: Any, **seen: Any) -> ObservedSecret:
    """One workload whose pods were listed in this pass; the Secret has its content for an hour."""
    one = consumer()
    return observed_secret(**({"consumers": [one], "pods": {one.ref: pods}} | seen))


def counts(found: RotatingSecretStatus) -> tuple[int, int, int]:
    """Pods on the version, pods, workloads."""
    assert found.adoption is not None
    return found.adoption.pods_on_version, found.adoption.pods, found.adoption.workloads


def test_adoption_says_from_when_on_a_pod_counts() -> None:
    found = status(counted(pod(created=NEW)))
    assert found.adoption is not None
    assert found.mirror is not None
    assert found.adoption.since == found.mirror.time + Limits().margin


def test_adoption_counts_the_pods_that_are_newer_than_the_content() -> None:
    found = status(counted(pod("a", created=OLD), pod("b", created=NEW)))
    assert counts(found) == (1, 2, 1)
    assert of(found, "Adopted") == ("False", "OldPods")
    assert found.summary is not None
    assert found.summary.adopted == "1/2"


def test_adoption_is_true_when_every_pod_is_newer() -> None:
    assert of(status(counted(pod(created=NEW))), "Adopted") == ("True", "AllPods")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (counted(consumers=[], pods={}), "NoConsumer"),
        (counted(pods={}), "PodsUnknown"),
        (counted(pod(created=NEW), excluded=2), "WorkloadsExcluded"),
        (observed_secret(), "NotCounted"),
    ],
    ids=["nobody uses it", "a list failed", "left out", "not counted"],
)
def test_what_is_not_known_is_never_adopted(seen: ObservedSecret, expected: str) -> None:
    assert of(status(seen), "Adopted") == ("Unknown", expected)


def test_a_workload_that_is_named_and_not_there_is_said_as_long_as_it_is_so_and_whether_or_not_pods_are_counted() -> None:
    before = status(replace(counted(pod(created=NEW)), missing=("Deployment api",)))
    assert of(before, "Adopted") == ("True", "AllPods")
    assert "not there, though spec.rollout.workloads names it: Deployment api" in adopted_message(before)
    seen = observed_secret()
    still = replace(seen, secret=written(seen.secret, before), missing=("Deployment api",))
    assert adopted_message(status(still)) == adopted_message(before)
    assert adopted_message(status(replace(still, missing=()))) == adopted_message(status(counted(pod(created=NEW))))


def test_of_many_that_are_not_there_some_are_named_and_the_others_counted() -> None:
    seen = replace(counted(consumers=[], pods={}), missing=tuple(f"Deployment {name}" for name in "abcde"))
    assert "Deployment a, Deployment b, Deployment c and 2 more:" in adopted_message(status(seen))


def adopted_message(after: RotatingSecretStatus) -> str:
    """What Adopted says."""
    found = cond.find(after.conditions, "Adopted")
    assert found is not None
    return found.message


def test_a_pass_that_counts_nothing_leaves_adoption_as_it_stands() -> None:
    before = status(counted(pod(created=NEW)))
    seen = observed_secret()
    after = status(replace(seen, secret=written(seen.secret, before)))
    assert (after.adoption, of(after, "Adopted")) == (before.adoption, ("True", "AllPods"))


def test_pods_that_were_counted_before_the_content_changed_do_not_count_for_the_new_one() -> None:
    before = status(counted(pod(created=NEW)))
    seen = observed_secret(current="v2", runs=[run_view(to="v2", mirror=mirror("v2", epoch=2, time=NOON))])
    after = status(replace(seen, secret=written(seen.secret, before)))
    assert counts(after) == (0, 1, 1)
    assert of(after, "Adopted") == ("False", "RollingOut")


def test_a_repair_that_moved_the_epoch_takes_adoption_back() -> None:
    before = status(counted(pod(created=NEW)))
    seen = observed_secret(touched={"resource_version": "101"})
    after = status(
        replace(seen, secret=written(seen.secret, before)), (WRITE, mirrored(epoch=2, created=False, resource_version="102", time=NOON))
    )
    assert counts(after) == (0, 1, 1)
    assert of(after, "Adopted") == ("False", "OldPods")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([WorkloadState.ADOPTED, WorkloadState.RESTARTING], ("False", "RollingOut")),
        ([WorkloadState.ADOPTED, WorkloadState.ADOPTED], ("True", "AllPods")),
        ([WorkloadState.ADOPTED, WorkloadState.UNKNOWN], ("Unknown", "PodsUnknown")),
    ],
)
def test_while_a_run_rolls_out_adoption_is_what_it_counts(states: Sequence[WorkloadState], expected: tuple[str, str]) -> None:
    workloads = [
        workload_status(f"w{number}", state, **({"pods": 0} if state is WorkloadState.UNKNOWN else {}))
        for number, state in enumerate(states)
    ]
    run = run_view(to="v2", mirror=mirror("v2", epoch=2), workloads=tuple(workloads))
    assert of(status(observed_secret(current="v2", runs=[run])), "Adopted") == expected


def test_workloads_that_are_left_out_make_adoption_unknown_during_a_run_too() -> None:
    run = run_view(to="v2", mirror=mirror("v2", epoch=2), workloads=(workload_status(),))
    assert of(status(observed_secret(current="v2", runs=[run], excluded=1)), "Adopted") == ("Unknown", "WorkloadsExcluded")


def test_a_workload_that_reloads_by_itself_counts_when_its_time_is_over_and_not_before() -> None:
    view = workload(uses=(use("volume"),))
    one = consumer(view, Treatment.RELOADS, reload_after=2 * MINUTE)
    seen = observed_secret(consumers=[one], pods={one.ref: [pod(created=OLD)]}, epoch=2, settled=("v1", 2))
    begun = seen.secret.status.mirror
    assert begun is not None
    assert of(status(seen, now=begun.time + MINUTE), "Adopted") == ("False", "OldPods")
    assert of(status(seen, now=begun.time + 2 * MINUTE), "Adopted") == ("True", "AllPods")


# --- RotationOnTime ---------------------------------------------------------------------------------------------------

FAILED = run_view("failed", over=True, trigger=Trigger.SCHEDULE, failed=True, result="RotationStuck", message="m", attempt=NOON - MINUTE)
OVERDUE = source(last_rotated=NOON - DAY - HOUR)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, ("True", "NotScheduled")),
        ({"spec": EVERY_DAY}, ("True", "Scheduled")),
        ({"source": source(next_rotation=NOON + DAY)}, ("True", "ScheduledByAWS")),
        ({"source": source(next_rotation=NOON - 2 * HOUR)}, ("False", "Overdue")),
        ({"spec": EVERY_DAY, "rotates_too": "shop/older"}, ("False", "RotationConflict")),
        ({"rotates_too": "shop/older"}, ("True", "NotScheduled")),
        ({"spec": EVERY_DAY, "may_rotate": NO}, ("False", "NotAllowed")),
        ({"may_rotate": NO}, ("True", "NotScheduled")),
        ({"spec": EVERY_DAY, "source": source(rotation_lambda=None)}, ("False", "RotationNotConfigured")),
        ({"spec": EVERY_DAY, "source": source(rotation_lambda=None, owning_service="rds")}, ("True", "Scheduled")),
        ({"runs": [FAILED]}, ("False", "RotationStuck")),
        ({"runs": [replace(FAILED, attempt=NOON - 2 * HOUR)]}, ("True", "NotScheduled")),
        ({"runs": [replace(FAILED, result="Held")]}, ("True", "NotScheduled")),
        ({"runs": [replace(FAILED, action=RunAction.ROLLOUT, attempt=None)]}, ("True", "NotScheduled")),
        ({"spec": EVERY_DAY, "source": OVERDUE, "target": None}, ("False", "Overdue")),
        ({"spec": EVERY_DAY, "source": OVERDUE, "target": None, "runs": [run_view(over=True, mirror=mirror())]}, ("False", "Overdue")),
        ({"spec": EVERY_DAY, "source": OVERDUE, "runs": [run_view()]}, ("True", "Scheduled")),
        ({"spec": {**EVERY_DAY, "suspend": "Rotations"}}, ("True", "Suspended")),
        ({"source": refusal("Denied")}, ("Unknown", "SourceUnread")),
    ],
)
def test_rotation_on_time_says_what_is_wrong_whoever_owns_the_schedule(seen: dict[str, Any], expected: tuple[str, str]) -> None:
    assert of(status(observed_secret(**seen)), "RotationOnTime") == expected


def test_a_rotation_that_is_not_configured_comes_with_the_command_that_does_it() -> None:
    found = status(observed_secret(EVERY_DAY, source=source(rotation_lambda=None)))
    assert "aws secretsmanager rotate-secret --secret-id shop/orders/db" in message(found, "RotationOnTime")


# --- times and columns ------------------------------------------------------------------------------------------------


def test_the_columns_are_short_and_tell_the_next_rotation() -> None:
    found = status(observed_secret(EVERY_DAY))
    assert found.summary is not None
    assert (found.summary.version, found.summary.next_rotation) == ("v1", "2026-03-02 11:00Z")


def test_a_slot_and_an_attempt_of_a_run_are_kept_in_the_status() -> None:
    run = run_view(trigger=Trigger.SCHEDULE, slot=NOON - MINUTE, attempt=NOON - SECOND)
    times = status(observed_secret(EVERY_DAY, runs=[run])).rotation
    assert times is not None
    assert (times.last_schedule_time, times.last_attempt_time) == (NOON - MINUTE, NOON - SECOND)


def test_what_aws_said_stands_while_it_does_not_answer() -> None:
    before = status(observed_secret(EVERY_DAY))
    seen = observed_secret(EVERY_DAY, source=refusal("Transient"))
    after = status(replace(seen, secret=written(seen.secret, before)))
    assert (after.source, after.rotation) == (before.source, before.rotation)


def test_the_active_run_is_named() -> None:
    assert status(observed_secret(runs=[run_view("done", over=True), run_view("open")])).active_run == "open"


# --- every status, whatever was seen ----------------------------------------------------------------------------------

ONE = consumer()
OBSERVATIONS = st.fixed_dictionaries(
    {
        "spec": st.sampled_from([{}, EVERY_DAY, {"suspend": "Everything"}, {**EVERY_DAY, "suspend": "Rotations"}]),
        "mirrored": st.sampled_from([None, "v1", "v2"]),
        "source": st.sampled_from(
            [
                source(),
                source("v2"),
                source(deleted=True),
                source(pending="v2"),
                source(last_rotated=NOON - 3 * DAY),
                source(rotation_lambda=None),
                None,
                refusal("Transient", "Throttled"),
                refusal("Denied", "SourceAccessDenied"),
            ]
        ),
        "connection": st.sampled_from([None, None, None, refusal("Missing", "ConnectionNotFound")]),
        "may_mirror": st.sampled_from([YES, YES, NO]),
        "template_error": st.sampled_from([None, None, "spec.target.template[URL]"]),
        "writes_too": st.sampled_from([None, None, "older"]),
        "rotates_too": st.sampled_from([None, "shop/older"]),
        "target": st.booleans(),
        "counted": st.booleans(),
        "excluded": st.sampled_from([0, 1]),
        "conditions": st.sampled_from([[], READY, STALLED]),
        "runs": st.lists(
            st.sampled_from(
                [
                    run_view("open"),
                    run_view("rolling", to="v2", mirror=mirror("v2", epoch=2), workloads=(workload_status(),)),
                    run_view("blocked", failed=True, result="ContentInvalid", message="m"),
                    run_view("done", over=True, mirror=mirror("v2", epoch=2)),
                    run_view("superseded", over=True, result="Superseded", mirror=mirror("v2", epoch=2)),
                    FAILED,
                ]
            ),
            max_size=2,
            unique_by=lambda run: run.name,
        ),
        "outcome": st.sampled_from(
            [
                None,
                mirrored(),
                Moved(version="v3"),
                refused("Transient")[1],
                refused("Invalid", "ContentInvalid")[1],
                refused("Forbidden")[1],
            ]
        ),
    }
)


def observation(told: dict[str, Any]) -> ObservedSecret:
    kept = {name: told[name] for name in ("connection", "may_mirror", "template_error", "writes_too", "rotates_too", "excluded", "source")}
    seen = observed_secret(
        told["spec"],
        mirrored=told["mirrored"],
        settled=(told["mirrored"], 1) if told["mirrored"] else None,
        runs=told["runs"],
        status={"conditions": told["conditions"]},
        **kept,
    )
    if not told["target"]:
        seen = replace(seen, target=None)
    return replace(seen, consumers=[ONE], pods={ONE.ref: [pod(created=NEW)]}) if told["counted"] else seen


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OBSERVATIONS)
def test_every_status_satisfies_kstatus_and_flux_and_a_second_look_changes_nothing(told: dict[str, Any]) -> None:
    seen = observation(told)
    plan = secret_plan(seen, NOON)
    writes = [action for action in plan.actions if isinstance(action, WriteMirror)]
    outcomes: list[tuple[Action, Outcome]] = [(writes[0], told["outcome"])] if writes and told["outcome"] else []
    first = secret_status(seen, plan, outcomes, NOON)
    after = written(seen.secret, first)
    assert check_conditions(after.to_dict()) == []
    assert kstatus(after.to_dict()) in {"Current", "InProgress", "Failed"}
    again = replace(seen, secret=after)
    later = NOON + SECOND / 3
    second = secret_status(again, secret_plan(again, later), outcomes, later)
    assert second.to_dict() == first.to_dict()


def test_a_transition_time_moves_only_when_the_status_flips() -> None:
    before = [Condition(type="Ready", status=ConditionStatus.TRUE, last_transition_time=LONG_AGO, reason="Mirrored", message="m")]
    found = status(observed_secret(status={"conditions": before}))
    assert found.conditions[0].last_transition_time == LONG_AGO
    fallen = status(observed_secret(status={"conditions": before}, source=source(deleted=True)))
    assert fallen.conditions[0].last_transition_time == NOON


def test_a_status_of_an_older_generation_is_told_anew() -> None:
    found = status(observed_secret(meta={"generation": 3}))
    assert found.observed_generation == 3
    assert {condition.observed_generation for condition in found.conditions} == {3}


def test_a_mirror_time_in_the_status_is_that_of_the_content() -> None:
    kept: MirrorStatus | None = status(observed_secret(touched={"resource_version": "101"}), (WRITE, mirrored(time=NOON - DAY))).mirror
    assert kept is not None
    assert kept.time == NOON - timedelta(days=1)
