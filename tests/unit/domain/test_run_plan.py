"""The life of a RotationRun: rotate, mirror, roll out; each state looked at twice, each refusal met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.support.kstatus import check_conditions, kstatus
from tests.support.observed import (
    LIMITS,
    MINUTE,
    NO,
    NOON,
    OBSERVED_V2,
    RUN_UID,
    SCHEDULED,
    SECOND,
    consumer,
    mirror,
    observed_run,
    pod,
    refusal,
    rotating_secret,
    rotation_run,
    run_view,
    source,
    workload,
    workload_status,
    written_run,
)
from tests.support.runs import (
    GRACE,
    INVALID,
    MARK,
    TIMEOUT,
    TOKEN,
    after,
    done,
    end,
    in_mirror,
    mirrored,
    refused,
    rolling,
    rotating,
    state,
    step,
    why,
)

from keyturn.api import RotationRunStatus, RunAdoption, RunVersions, StepName, StepState, WorkloadState
from keyturn.domain import conditions as cond
from keyturn.domain.actions import (
    Action,
    AdoptRun,
    Done,
    Moved,
    Outcome,
    Refused,
    RemovePending,
    Restart,
    StartRotation,
    WriteMirror,
)
from keyturn.domain.consumers import Consumer, annotation_of
from keyturn.domain.run_outcome import run_outcome
from keyturn.domain.run_plan import PARENT_GRACE, run_plan
from keyturn.domain.run_record import listed
from keyturn.domain.run_seen import ObservedRun

# --- before anything --------------------------------------------------------------------------------------------------


def test_a_run_without_its_rotating_secret_waits_a_moment_and_then_fails() -> None:
    seen = observed_run(parent=None)
    plan = run_plan(seen, NOON)
    assert (why(plan.draft), plan.actions, plan.look_again_at) == ("SecretNotFound", (), NOON + PARENT_GRACE)
    assert end(run_plan(seen, NOON + PARENT_GRACE).draft) == "SecretNotFound"


def test_a_run_ends_when_its_rotating_secret_is_being_deleted() -> None:
    assert end(run_plan(observed_run(parent=rotating_secret(deleted=True)), NOON).draft) == "SecretDeleted"


@pytest.mark.parametrize(
    "seen", [observed_run(run=rotation_run(deleted=True)), observed_run(run=rotation_run(status=RotationRunStatus(completion_time=NOON)))]
)
def test_a_run_that_is_over_or_being_deleted_is_left_alone(seen: ObservedRun) -> None:
    plan = run_plan(seen, NOON)
    assert (plan.draft, plan.actions, plan.look_again_at) == (seen.run.status, (), None)


def test_a_run_that_a_person_made_becomes_its_rotating_secret_s() -> None:
    assert AdoptRun(name="run", uid=RUN_UID) in run_plan(observed_run(run=rotation_run(owned=False)), NOON).actions


def test_nothing_is_done_while_everything_is_suspended() -> None:
    seen = observed_run(run=rotation_run(owned=False), parent_spec={"suspend": "Everything"})
    plan = run_plan(seen, NOON)
    assert (plan.actions, why(plan.draft), end(plan.draft)) == ((), "Suspended", None)


def test_a_manual_run_rotates_while_only_the_schedule_is_suspended() -> None:
    assert state(run_plan(observed_run(parent_spec={"suspend": "Rotations"}), NOON).draft) is StepState.RUNNING


def test_a_run_waits_for_the_active_one() -> None:
    plan = run_plan(observed_run(runs=[run_view("older"), run_view("run", uid=RUN_UID, created=NOON)]), NOON)
    assert (why(plan.draft), plan.actions) == ("OtherRunActive", ())
    assert "older" in step(plan.draft)[1]


def test_a_run_that_is_not_permitted_fails_with_the_decision_s_words() -> None:
    plan = run_plan(observed_run(permitted=NO), NOON)
    assert (end(plan.draft), plan.actions) == ("NotAllowed", ())


@pytest.mark.parametrize(
    ("seen", "reason", "over"),
    [
        (observed_run(source=None), "SourceUnread", False),
        (observed_run(source=refusal("Transient", "Throttled")), "Throttled", False),
        (observed_run(source=refusal("Denied", "SourceAccessDenied")), "SourceAccessDenied", True),
        (observed_run(source=source(deleted=True)), "SourceDeleted", True),
        (rotating(source=refusal("Denied", "SourceAccessDenied")), "SourceAccessDenied", False),
    ],
)
def test_a_source_that_cannot_be_read_is_waited_for_if_it_may_pass_or_a_rotation_is_under_way(
    seen: ObservedRun, reason: str, over: bool
) -> None:
    plan = run_plan(seen, NOON)
    assert (why(plan.draft), end(plan.draft) is not None) == (reason, over)
    assert plan.actions == ()


# --- rotate -----------------------------------------------------------------------------------------------------------


def test_rotate_is_running_in_the_status_before_the_rotation_is_ever_started() -> None:
    seen = observed_run()
    plan = run_plan(seen, NOON)
    assert (plan.actions, state(plan.draft)) == ((), StepState.RUNNING)
    assert run_plan(after(seen), NOON).actions == (StartRotation(token=TOKEN),)


def test_a_rotation_that_was_accepted_is_never_started_again_though_aws_shows_no_trace_of_it() -> None:
    accepted = after(after(observed_run()), Done())
    assert accepted.run.status.versions == RunVersions(from_="v1", to=TOKEN)
    for later in (SECOND, MINUTE, TIMEOUT, TIMEOUT + GRACE):
        assert run_plan(accepted, NOON + later).actions == ()


def test_a_rotation_that_was_seen_is_never_started_again() -> None:
    seen = after(after(observed_run()), refused("Transient"), source=source(pending=TOKEN))
    seen = after(seen)
    assert run_plan(replace(seen, source=source()), NOON + SECOND).actions == ()


@pytest.mark.parametrize("answer", [refused("Transient"), refused("Conflict", "RotationInProgress")])
def test_a_start_whose_end_is_not_known_is_repeated_with_the_same_token(answer: Refused) -> None:
    seen = after(after(observed_run()), answer)
    assert run_plan(seen, NOON + SECOND).actions == (StartRotation(token=TOKEN),)


@pytest.mark.parametrize("kind", ["Denied", "Invalid", "Missing"])
def test_a_start_that_is_refused_for_good_fails_the_run(kind: str) -> None:
    assert end(done(after(observed_run()), refused(kind, "SourceAccessDenied")).draft) == "SourceAccessDenied"


def test_a_secret_without_a_rotation_fails_with_the_command_that_configures_it() -> None:
    plan = run_plan(observed_run(source=source(rotation_lambda=None)), NOON)
    assert end(plan.draft) == "RotationNotConfigured"
    assert "aws secretsmanager rotate-secret" in step(plan.draft)[1]


def test_a_rotation_waits_while_the_connection_s_cap_is_reached_and_has_not_begun() -> None:
    plan = run_plan(observed_run(rotation_budget=0), NOON)
    assert (why(plan.draft), state(plan.draft)) == ("TooManyRotations", StepState.WAITING)
    assert plan.draft.start_time is None


def test_a_rotation_that_has_begun_is_not_stopped_by_the_cap() -> None:
    assert run_plan(rotating(to=None, rotation_budget=0), NOON).actions == (StartRotation(token=TOKEN),)


@pytest.mark.parametrize(
    ("seen", "late", "expected", "actions"),
    [
        (rotating(source=source(pending=TOKEN)), 0 * SECOND, None, []),
        (rotating(source=source(pending=TOKEN)), TIMEOUT, None, []),
        (rotating(source=source(pending=TOKEN), pending_has_value=True), TIMEOUT - SECOND, None, []),
        (rotating(source=source(pending=TOKEN), pending_has_value=True), TIMEOUT, "RotationStuck", []),
        (rotating(source=source(pending=TOKEN), pending_has_value=False), TIMEOUT + GRACE - SECOND, None, []),
        (
            rotating(source=source(pending=TOKEN), pending_has_value=False),
            TIMEOUT + GRACE,
            "RotationFailed",
            [RemovePending(version=TOKEN)],
        ),
        (rotating(source=source(pending="other")), 0 * SECOND, "RotationFailed", []),
        (rotating(source=source("other")), 0 * SECOND, "Superseded", []),
        (rotating(source=source("other", previous=TOKEN)), 0 * SECOND, "Superseded", []),
        (rotating(source=source()), GRACE - SECOND, None, []),
        (rotating(source=source()), GRACE, "RotationFailed", []),
        (rotating(source=source(deleted=True)), 0 * SECOND, "SourceDeleted", []),
    ],
    ids=[
        "running",
        "overdue, not asked yet whether it has a value",
        "with a value, in time",
        "stuck with a value",
        "without a value, in its grace",
        "stuck empty",
        "another took the label",
        "superseded",
        "superseded after its own promotion",
        "no trace, labels may be stale",
        "given up by AWS",
        "deleted",
    ],
)
def test_what_the_labels_say_of_a_rotation_under_way(seen: ObservedRun, late: Any, expected: str | None, actions: list[Action]) -> None:
    plan = run_plan(seen, NOON + late)
    assert (end(plan.draft), list(plan.actions)) == (expected, actions)
    assert (plan.look_again_at is not None) is (expected is None)


def test_a_stuck_rotation_comes_with_the_commands_for_both_ways_out() -> None:
    message = step(run_plan(rotating(source=source(pending=TOKEN), pending_has_value=True), NOON + TIMEOUT).draft)[1]
    assert f"--version-stage AWSCURRENT --move-to-version-id {TOKEN} --remove-from-version-id v1" in message
    assert f"--version-stage AWSPENDING --remove-from-version-id {TOKEN}" in message


EMPTY = rotating(source=source(pending=TOKEN), pending_has_value=False)


def test_the_run_is_over_only_when_the_empty_pending_label_is_off() -> None:
    late = NOON + TIMEOUT + GRACE
    assert end(done(EMPTY, Done(), now=late).draft) == "RotationFailed"
    blocked = done(EMPTY, refused("Denied", message="not authorized: UpdateSecretVersionStage"), now=late)
    assert (end(blocked.draft), blocked.look_again_at) == (None, late + 5 * MINUTE)
    assert "UpdateSecretVersionStage" in step(blocked.draft)[1]
    assert run_plan(replace(EMPTY, run=written_run(EMPTY.run, blocked.draft)), late).actions == (RemovePending(version=TOKEN),)


@pytest.mark.parametrize(("spec", "timeout"), [(None, 15 * MINUTE), ({"rotation": {"timeout": "3m"}}, 3 * MINUTE)])
def test_the_time_out_is_the_rotating_secret_s(spec: dict[str, Any] | None, timeout: Any) -> None:
    seen = rotating(source=source(pending=TOKEN), pending_has_value=True, parent_spec=spec)
    assert end(run_plan(seen, NOON + timeout - SECOND).draft) is None
    assert end(run_plan(seen, NOON + timeout).draft) == "RotationStuck"


@pytest.mark.parametrize("late", [0 * MINUTE, 3 * TIMEOUT])
def test_a_promotion_is_mirrored_at_once_however_late_it_comes(late: Any) -> None:
    plan = run_plan(rotating(source=source(TOKEN, previous="v1")), NOON + late)
    (write,) = plan.actions
    assert isinstance(write, WriteMirror)
    assert (write.expect, state(plan.draft)) == (TOKEN, StepState.SUCCEEDED)


def test_a_promotion_that_happened_while_nobody_wrote_it_down_is_found_by_its_token() -> None:
    plan = run_plan(rotating(to=None, source=source(TOKEN, previous="v1")), NOON)
    assert state(plan.draft) is StepState.SUCCEEDED


FOREIGN = source(pending="foreign")


def test_a_manual_run_waits_for_somebody_else_s_rotation_and_then_rotates() -> None:
    seen = observed_run(source=FOREIGN)
    plan = run_plan(seen, NOON)
    assert (why(plan.draft), plan.actions) == ("ForeignRotation", ())
    promoted = after(seen, source=source("foreign", previous="v1"))
    assert why(run_plan(promoted, NOON + MINUTE).draft) == "VersionChanged"  # or pods that are still on v1 might be locked out
    brought = replace(promoted, parent=observed_run(mirrored="foreign").parent)
    assert run_plan(brought, NOON + MINUTE).draft.versions == RunVersions(from_="foreign")


def test_an_urgent_run_does_not_wait_until_somebody_else_s_version_is_brought_to_the_workloads() -> None:
    seen = observed_run({"urgent": True}, source=source("foreign", previous="v1"))
    assert run_plan(seen, NOON).draft.versions == RunVersions(from_="foreign")


def test_a_scheduled_run_joins_somebody_else_s_rotation_and_brings_its_version() -> None:
    seen = observed_run(SCHEDULED, source=FOREIGN)
    joined = after(seen, source=source("foreign", previous="v1"))
    assert joined.run.status.versions == RunVersions(from_="v1", to="foreign")
    (write,) = run_plan(joined, NOON + SECOND).actions
    assert isinstance(write, WriteMirror)
    assert write.expect == "foreign"


# --- runs that do not rotate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [OBSERVED_V2, {"trigger": "Edited", "versionId": "v2"}, {"action": "Rollout"}])
def test_a_run_for_a_version_that_is_current_skips_rotate_and_mirrors(spec: dict[str, Any]) -> None:
    plan = run_plan(observed_run(spec, source=source("v2")), NOON)
    (write,) = plan.actions
    assert isinstance(write, WriteMirror)
    assert (write.expect, state(plan.draft)) == ("v2", StepState.SKIPPED)
    assert plan.draft.versions == RunVersions(from_="v1", to="v2")


def test_an_observed_run_for_a_version_that_is_no_longer_current_is_superseded() -> None:
    plan = run_plan(observed_run(OBSERVED_V2, source=source("v3")), NOON)
    assert (end(plan.draft), plan.actions) == ("Superseded", ())


# --- mirror -----------------------------------------------------------------------------------------------------------


def test_the_time_of_the_content_is_in_the_status_before_the_first_restart_is_planned() -> None:
    one = consumer()
    plan = done(in_mirror(consumers=[one]), mirrored())
    assert plan.draft.mirror is not None
    assert (plan.draft.mirror.time, plan.look_again_at) == (NOON, NOON + 6 * SECOND)
    said = "restarts begin at 12:00:06Z, when no kubelet can have an older content in its cache"
    assert step(plan.draft, StepName.ROLLOUT) == (StepState.RUNNING, said)
    assert not any(isinstance(action, Restart) for action in plan.actions)


def test_what_is_written_is_compared_with_what_was_written_last_though_the_status_does_not_say_it_yet() -> None:
    before = run_view("before", over=True, created=NOON - MINUTE, mirror=mirror("v1b", epoch=7))
    (write,) = run_plan(in_mirror(runs=[before, run_view("run", uid=RUN_UID, created=NOON)]), NOON).actions
    assert isinstance(write, WriteMirror)
    assert write.recorded == before.mirror


def test_a_value_that_moved_on_while_it_was_read_supersedes_the_run() -> None:
    assert end(done(in_mirror(), Moved(version="v3")).draft) == "Superseded"


@pytest.mark.parametrize(
    ("outcome", "condition", "seconds"),
    [
        (refused("Invalid", "TargetConflict"), "Stalled", 300),
        (refused("Denied", "SourceKeyUnusable"), "Stalled", 300),
        (refused("Missing", "SourceNotFound"), "Stalled", 300),
        (refused("Forbidden", "Forbidden"), "Stalled", 300),
        (refused("Transient", "Throttled"), "Reconciling", 2),
        (refused("Conflict", "Conflict"), "Reconciling", 2),
    ],
)
def test_a_mirror_that_is_refused_blocks_the_run_and_ends_nothing(outcome: Refused, condition: str, seconds: int) -> None:
    plan = done(in_mirror(), outcome)
    assert (end(plan.draft), state(plan.draft, StepName.MIRROR)) == (None, StepState.WAITING)
    found = cond.find(plan.draft.conditions, condition)
    assert found is not None
    assert found.reason == outcome.failure.reason
    assert plan.look_again_at == NOON + seconds * SECOND


def test_a_blocked_run_goes_on_when_what_stood_in_the_way_is_mended() -> None:
    blocked = after(in_mirror(), refused("Invalid", "TargetConflict"))
    plan = done(blocked, mirrored(), now=NOON + MINUTE)
    assert state(plan.draft, StepName.MIRROR) is StepState.SUCCEEDED
    assert cond.find(plan.draft.conditions, "Stalled") is None


def test_a_blocked_run_is_superseded_when_aws_moves_on() -> None:
    blocked = after(in_mirror(), refused("Invalid", "ContentInvalid"), source=source("v3"))
    assert end(run_plan(blocked, NOON + MINUTE).draft) == "Superseded"


def test_a_mirror_that_is_not_allowed_fails_the_run() -> None:
    assert end(done(in_mirror(), refused("Denied", "NotAllowed")).draft) == "NotAllowed"


def test_a_new_version_of_the_same_content_restarts_nobody() -> None:
    plan = done(in_mirror(), mirrored(changed=False, epoch=1))
    assert (end(plan.draft), step(plan.draft, StepName.ROLLOUT)[0]) == ("Adopted", StepState.SKIPPED)


def test_content_that_was_written_before_a_crash_still_gets_its_rollout() -> None:
    plan = done(in_mirror(), mirrored(changed=False, epoch=2))
    assert end(plan.draft) is None


def test_a_rollout_run_of_the_same_content_looks_at_every_workload_again() -> None:
    plan = done(in_mirror({"action": "Rollout"}), mirrored(changed=False, epoch=1))
    assert end(plan.draft) is None


# --- rollout ----------------------------------------------------------------------------------------------------------

API = consumer()
OLD, NEW = NOON - MINUTE, NOON + MINUTE
BEGIN = NOON + LIMITS.margin + LIMITS.slack


def with_pods(*pods: Any, view: Any = None, **seen: Any) -> ObservedRun:
    one = consumer(view or workload())
    return rolling(consumers=[one], pods={one.ref: pods}, **seen)


@pytest.mark.parametrize("consumers", [[], [API]], ids=["nobody", "another"])
def test_a_workload_that_is_named_and_not_there_is_in_the_record_of_the_rollout(consumers: list[Consumer]) -> None:
    pods = {API.ref: [pod(created=BEGIN + SECOND)]} if consumers else {}
    plan = run_plan(rolling(consumers=consumers, pods=pods, missing=("Deployment wbe",)), BEGIN + MINUTE)
    assert end(plan.draft) == "Adopted"
    assert "names it: Deployment wbe" in step(plan.draft, StepName.ROLLOUT)[1]


def test_no_restart_begins_before_the_margin_is_over() -> None:
    seen = with_pods(pod(created=OLD))
    plan = run_plan(seen, BEGIN - SECOND / 1000)
    assert (plan.actions, plan.look_again_at) == ((), BEGIN)
    (restart,) = run_plan(seen, BEGIN).actions
    assert isinstance(restart, Restart)
    assert (restart.annotation, restart.mark) == ("keyturn.dev/orders-db", "v2.2")


def test_a_workload_that_carries_the_mark_and_runs_old_pods_gets_another_mark() -> None:
    stale = workload_status(state=WorkloadState.RESTARTING, message="its rollout is complete, but older than the content: pod")
    for mark, expected in (("v2.2", "v2.2.1"), ("v2.2.1", "v2.2.2"), ("v2.2.x", "v2.2.1")):
        seen = with_pods(pod(created=OLD), view=workload(template_annotations={annotation_of("orders-db"): mark}))
        known = seen.run.status.model_copy(update={"workloads": [stale]})
        (restart,) = run_plan(replace(seen, run=written_run(seen.run, known)), BEGIN).actions
        assert isinstance(restart, Restart)
        assert restart.mark == expected


def test_the_record_of_many_workloads_lists_a_hundred_and_counts_all() -> None:
    many = [consumer(workload(f"w{number:03}", template_annotations=MARK)) for number in range(130)]
    pods = {one.ref: [pod(created=NEW if number < 125 else OLD)] for number, one in enumerate(many)}
    draft = run_plan(rolling(consumers=many, pods=pods), BEGIN + MINUTE).draft
    assert (len(draft.workloads), draft.more_workloads) == (100, 30)
    assert draft.adoption == RunAdoption(pods=130, pods_on_version=125, workloads=130, restarting=5)
    assert {f"w{number:03}" for number in range(125, 130)} <= {row.name for row in draft.workloads}
    assert draft.workloads == sorted(draft.workloads, key=lambda row: row.name)
    assert draft.summary is not None
    assert draft.summary.adopted == "125/130"


def test_a_restart_that_was_done_is_counted_among_those_under_way() -> None:
    many = [consumer(workload(f"w{number:03}")) for number in range(130)]
    seen = rolling(consumers=many, pods={one.ref: [pod(created=OLD)] for one in many})
    draft = done(seen, *[Done()] * 50, now=BEGIN).draft
    assert draft.adoption is not None
    assert draft.adoption.restarting == 50
    assert sum(row.restarts for row in draft.workloads) == 50


def test_the_rows_that_hold_what_is_written_nowhere_else_are_kept_before_all_others() -> None:
    twice = workload_status("z-twice", WorkloadState.WAITING, restarts=2)
    rows = [workload_status(f"w{number:03}", WorkloadState.PENDING) for number in range(130)]
    reverted = workload_status("z-reverted", WorkloadState.REVERTED, restarts=2)
    kept = {row.name for row in listed([*rows, twice, reverted], due={("Deployment", "w129")})}
    assert len(kept) == 100
    assert {"z-twice", "z-reverted", "w129"} <= kept


def test_the_rows_of_workloads_that_are_not_there_yet_are_kept_before_those_that_are() -> None:
    there = [workload_status(f"a{number:03}", restarts=1) for number in range(100)]
    pending = [workload_status(f"b{number:03}", WorkloadState.PENDING) for number in range(30)]
    assert {row.name for row in pending} <= {row.name for row in listed([*there, *pending])}


def test_a_restart_that_was_done_is_counted_and_not_repeated() -> None:
    next_ = after(with_pods(pod(created=OLD)), Done(), now=BEGIN)
    assert next_.run.status.workloads[0].restarts == 1
    marked = consumer(workload(template_annotations=MARK))
    assert run_plan(replace(next_, consumers=[marked]), BEGIN + SECOND).actions == ()


def test_a_restart_that_is_forbidden_is_told_where_the_workload_is_listed_and_when_the_wave_is_held() -> None:
    seen = after(with_pods(pod(created=OLD)), refused("Forbidden", message="deployments.apps is forbidden"), now=BEGIN)
    assert seen.run.status.workloads[0].message == "deployments.apps is forbidden"
    held = run_plan(seen, BEGIN + 10 * MINUTE)
    assert end(held.draft) == "Held"
    assert "deployments.apps is forbidden" in step(held.draft, StepName.ROLLOUT)[1]


def test_without_a_budget_nothing_is_restarted() -> None:
    assert run_plan(with_pods(pod(created=OLD), restart_budget=0), BEGIN).actions == ()


def test_a_run_whose_pods_all_run_on_the_new_version_is_complete_and_says_what_is_known_of_the_old_credential() -> None:
    seen = with_pods(pod(created=NEW), parent_spec={"rotation": {"strategy": "AlternatingUsers"}})
    plan = run_plan(seen, NOON + 2 * MINUTE)
    assert (end(plan.draft), plan.look_again_at) == ("Adopted", None)
    assert step(plan.draft, StepName.RETIRE) == (
        StepState.UNSUPPORTED,
        "not asked for; the old credential works until the next rotation",
    )
    assert plan.draft.summary is not None
    assert (plan.draft.summary.adopted, plan.draft.summary.duration, plan.draft.summary.step) == ("1/1", "2m0s", "Adopted")


def test_a_run_whose_pods_cannot_be_listed_is_never_complete() -> None:
    seen = rolling(consumers=[API], pods={API.ref: None})
    plan = run_plan(seen, BEGIN)
    assert end(plan.draft) is None
    assert plan.draft.workloads[0].state is WorkloadState.UNKNOWN


def test_without_a_consumer_the_run_is_complete_and_lists_no_workload() -> None:
    status = after(with_pods(pod(created=OLD)), Done(), now=BEGIN)
    plan = run_plan(replace(status, consumers=[], pods={}), BEGIN + SECOND)
    assert (end(plan.draft), plan.draft.workloads) == ("Adopted", [])


def test_a_wave_that_does_not_get_ready_holds_the_run_and_the_later_waves_are_not_touched() -> None:
    first = consumer(workload("a", template_annotations=MARK, updated=0))
    second = consumer(workload("b"), wave=1)
    seen = rolling(consumers=[first, second], pods={first.ref: [pod("old", created=OLD)], second.ref: [pod("b", created=OLD)]})
    seen = after(seen, now=BEGIN)
    plan = run_plan(seen, BEGIN + 10 * MINUTE)
    assert (end(plan.draft), plan.actions) == ("Held", ())
    assert "Deployment a: old not replaced yet" in step(plan.draft, StepName.ROLLOUT)[1]
    assert kstatus(written_run(seen.run, plan.draft).to_dict()) == "Failed"


def test_a_run_is_superseded_when_aws_moves_on_during_its_rollout() -> None:
    assert end(run_plan(rolling(source=source("v3")), NOON).draft) == "Superseded"


def test_a_sweep_s_suspicion_alone_supersedes_nothing() -> None:
    assert end(run_plan(with_pods(pod(created=OLD), source=source("v1", fresh=False)), NOON).draft) is None


def test_a_secret_that_is_touched_during_the_rollout_is_repaired_before_anything_else_restarts() -> None:
    seen = with_pods(pod(created=OLD), touched=True)
    (action,) = run_plan(seen, BEGIN).actions
    assert isinstance(action, WriteMirror)
    assert (action.repair, action.expect, action.recorded) == (True, "v2", seen.run.status.mirror)


@pytest.mark.parametrize(("epoch", "restarts"), [(2, [1]), (3, [])], ids=["nobody can have read it", "somebody may have"])
def test_after_a_repair_that_somebody_may_have_read_around_the_rollout_begins_anew(epoch: int, restarts: list[int]) -> None:
    seen = after(with_pods(pod(created=OLD)), Done(), now=BEGIN)
    seen = after(replace(seen, touched=True), mirrored(epoch=epoch), now=BEGIN + SECOND)
    assert [workload.restarts for workload in seen.run.status.workloads] == restarts
    assert seen.run.status.mirror is not None
    assert seen.run.status.mirror.epoch == epoch


def test_a_repair_that_is_refused_is_tried_again_and_ends_nothing() -> None:
    seen = with_pods(pod(created=OLD), touched=True)
    plan = run_plan(seen, BEGIN)
    told = run_outcome(seen, plan, [(plan.actions[0], refused("Conflict"))], BEGIN)
    assert (end(told.draft), told.look_again_at) == (None, BEGIN + 2 * SECOND)


URGENT = run_view("urgent", urgent=True, created=NOON + SECOND)


def test_somebody_urgent_takes_over_from_a_run_that_has_rotated() -> None:
    plan = run_plan(rolling(runs=[run_view("run", uid=RUN_UID, created=NOON), URGENT]), NOON)
    assert end(plan.draft) == "Superseded"


def test_somebody_urgent_waits_while_the_active_run_rotates() -> None:
    plan = run_plan(rotating(source=source(pending=TOKEN), runs=[run_view("run", uid=RUN_UID, created=NOON), URGENT]), NOON)
    assert end(plan.draft) is None


# --- every state twice, and every status well-formed ------------------------------------------------------------------

MARKED = workload(template_annotations=MARK, updated=0)
STATES: dict[str, tuple[ObservedRun, Sequence[Outcome], datetime]] = {
    "no parent": (observed_run(parent=None), (), NOON),
    "suspended": (observed_run(parent_spec={"suspend": "Everything"}), (), NOON),
    "waits for another": (observed_run(runs=[run_view("older")]), (), NOON),
    "waits for AWS": (observed_run(source=None), (), NOON),
    "throttled": (observed_run(source=refusal("Transient", "Throttled")), (), NOON),
    "too many": (observed_run(rotation_budget=0), (), NOON),
    "foreign": (observed_run(source=FOREIGN), (), NOON),
    "accepted": (rotating(source=source()), (), NOON),
    "start refused": (rotating(to=None), (refused("Transient"),), NOON),
    "running": (rotating(source=source(pending=TOKEN)), (), NOON + MINUTE),
    "overdue": (rotating(source=source(pending=TOKEN)), (), NOON + TIMEOUT),
    "stuck empty, label stays": (EMPTY, (refused("Denied"),), NOON + TIMEOUT + GRACE),
    "content invalid": (after(in_mirror(), INVALID), (), NOON),
    "mirror throttled": (in_mirror(), (refused("Transient"),), NOON),
    "margin": (with_pods(pod(created=OLD)), (), NOON + SECOND),
    "restarting": (with_pods(pod(created=OLD), view=MARKED), (), BEGIN),
    "restart refused": (with_pods(pod(created=OLD)), (refused("Forbidden"),), BEGIN),
    "no budget": (with_pods(pod(created=OLD), restart_budget=0), (), BEGIN),
    "unknown": (rolling(consumers=[API], pods={API.ref: None}), (), BEGIN),
    "soaking": (with_pods(pod(created=NEW), parent_spec={"rollout": {"soak": "5m"}}), (), NOON + 2 * MINUTE),
}


@pytest.mark.parametrize("name", list(STATES))
def test_a_second_look_at_an_unchanged_world_changes_nothing_and_is_not_due_at_once(name: str) -> None:
    seen, outcomes, now = STATES[name]
    once = after(seen, *outcomes, now=now)
    later = now + SECOND / 3
    plan = done(once, *outcomes, now=later)
    assert plan.draft.to_dict() == once.run.status.to_dict()
    assert plan.look_again_at is None or plan.look_again_at > later


ENDS: list[tuple[ObservedRun, Sequence[Outcome], datetime]] = [
    (observed_run(permitted=NO), (), NOON),
    (observed_run(OBSERVED_V2, source=source("v3")), (), NOON),
    (rotating(source=source(pending=TOKEN), pending_has_value=True), (), NOON + TIMEOUT),
    (EMPTY, (Done(),), NOON + TIMEOUT + GRACE),
    (in_mirror(), (mirrored(changed=False, epoch=1),), NOON),
    (with_pods(pod(created=NEW)), (), NOON + MINUTE),
]


@pytest.mark.parametrize(("seen", "outcomes", "now"), [*STATES.values(), *ENDS])
def test_every_status_of_a_run_satisfies_kstatus_and_flux(seen: ObservedRun, outcomes: Sequence[Outcome], now: datetime) -> None:
    run = after(seen, *outcomes, now=now).run
    assert check_conditions(run.to_dict()) == []
    if run.status.completion_time is not None:
        assert kstatus(run.to_dict()) in {"Current", "Failed"}
        assert all(one.end_time is not None for one in run.status.steps)
