"""A rotation that somebody else started: joined or waited for, until it comes to something, or to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.kstatus import check_conditions
from tests.support.observed import MINUTE, NOON, SCHEDULED, SECOND, observed_run, run_view, source, written_run
from tests.support.runs import GRACE, TIMEOUT, TOKEN, after, done, end, refused, rotating, state, step, why

from keyturn.api import ForeignRotation, RotationRunStatus, RunVersions, Step, StepName, StepState
from keyturn.domain.actions import Action, Done, RemovePending, StartRotation
from keyturn.domain.observed import Limits, SourceView, active_run
from keyturn.domain.run_plan import run_plan
from keyturn.domain.run_rotate import needs_to_know_of_a_value
from keyturn.domain.run_seen import ObservedRun
from keyturn.engine.world import run_view as view_of

FOREIGN = source(pending="foreign")
REMOVE = RemovePending(version="foreign", foreign=True)
STUCK = TIMEOUT + GRACE


def waiting(**changes: Any) -> ObservedRun:
    """A manual run that has waited since NOON for the rotation to `foreign`."""
    return after(observed_run(source=FOREIGN), **changes)


# --- a manual run waits ------------------------------------------------------------------------------------------------


def test_a_manual_run_writes_down_since_when_it_sees_somebody_else_s_rotation_and_has_not_begun() -> None:
    run = waiting().run
    assert run.status.foreign_rotation == ForeignRotation(version_id="foreign", since=NOON)
    assert view_of(run).queued


@pytest.mark.parametrize(
    ("late", "has_value", "expected", "actions"),
    [
        (TIMEOUT, True, None, []),
        (STUCK - SECOND, True, None, []),
        (STUCK - SECOND, False, None, []),
        (STUCK, None, None, []),
        (STUCK + GRACE - SECOND, None, None, []),
        (STUCK + GRACE, None, "RotationStuck", []),
        (STUCK, True, "RotationStuck", []),
        (STUCK, False, None, [REMOVE]),
    ],
    ids=[
        "in time",
        "in its grace",
        "empty, in its grace",
        "not asked yet",
        "AWS does not say, yet",
        "AWS does not say",
        "with a value",
        "empty",
    ],
)
def test_somebody_else_s_rotation_that_makes_no_progress_counts_as_stuck_after_its_time_and_the_grace(
    late: timedelta, has_value: bool | None, expected: str | None, actions: list[Action]
) -> None:
    plan = run_plan(waiting(pending_has_value=has_value), NOON + late)
    assert (end(plan.draft), list(plan.actions)) == (expected, actions)
    assert (plan.look_again_at is not None) is (expected is None)


def test_the_time_is_the_rotating_secret_s() -> None:
    seen = after(observed_run(source=FOREIGN, parent_spec={"rotation": {"timeout": "3m"}}), pending_has_value=True)
    assert end(run_plan(seen, NOON + 3 * MINUTE + GRACE - SECOND).draft) is None
    assert end(run_plan(seen, NOON + 3 * MINUTE + GRACE).draft) == "RotationStuck"


def test_a_run_that_fails_behind_a_stuck_rotation_says_whose_it_is_and_both_ways_out() -> None:
    _, message = step(run_plan(waiting(pending_has_value=True), NOON + STUCK).draft)
    assert "from a rotation that somebody else started, is pending with a value" in message
    assert "--version-stage AWSCURRENT --move-to-version-id foreign --remove-from-version-id v1" in message
    assert "--version-stage AWSPENDING --remove-from-version-id foreign" in message


def test_a_rotation_of_which_aws_does_not_say_whether_it_has_a_value_is_not_said_to_have_one() -> None:
    assert "does not say whether" in step(run_plan(waiting(), NOON + STUCK + GRACE).draft)[1]


def test_another_foreign_rotation_is_progress_and_counts_from_its_own_first_sight() -> None:
    seen = after(waiting(source=source(pending="another"), pending_has_value=True), now=NOON + STUCK)
    assert seen.run.status.foreign_rotation == ForeignRotation(version_id="another", since=NOON + STUCK)
    assert end(run_plan(seen, NOON + 2 * STUCK - SECOND).draft) is None


def test_a_manual_run_goes_on_and_rotates_once_the_dead_label_is_off() -> None:
    free = after(waiting(pending_has_value=False), Done(), now=NOON + STUCK, source=source(), pending_has_value=None)
    assert (end(free.run.status), state(free.run.status), view_of(free.run).queued) == (None, StepState.WAITING, True)
    begun = after(free, now=NOON + STUCK + SECOND)
    assert (state(begun.run.status), begun.run.status.foreign_rotation) == (StepState.RUNNING, None)
    assert begun.run.status.steps[0].start_time == NOON + STUCK + SECOND  # its own time begins here
    assert run_plan(begun, NOON + STUCK + 2 * SECOND).actions == (StartRotation(token=TOKEN),)


def test_what_was_waited_for_is_forgotten_when_it_is_gone_and_the_run_begins() -> None:
    begun = after(waiting(source=source()), now=NOON + MINUTE)
    assert (state(begun.run.status), begun.run.status.foreign_rotation) == (StepState.RUNNING, None)


def test_where_the_dead_label_may_not_be_taken_off_the_run_fails_with_the_command() -> None:
    plan = done(waiting(pending_has_value=False), refused("Denied", message="not authorized: UpdateSecretVersionStage"), now=NOON + STUCK)
    assert (end(plan.draft), plan.look_again_at) == ("RotationStuck", None)
    _, message = step(plan.draft)
    assert "not authorized: UpdateSecretVersionStage" in message
    assert "--version-stage AWSPENDING --remove-from-version-id foreign" in message


@pytest.mark.parametrize("kind", ["Transient", "Conflict"])
def test_where_the_dead_label_cannot_be_taken_off_for_the_moment_it_is_tried_again_and_nothing_has_begun(kind: str) -> None:
    seen = waiting(pending_has_value=False)
    blocked = after(seen, refused(kind, "Throttled"), now=NOON + STUCK)
    assert (why(blocked.run.status), view_of(blocked.run).queued) == ("Throttled", True)
    assert run_plan(blocked, NOON + STUCK + SECOND).actions == (REMOVE,)


def test_a_run_that_waits_for_long_looks_less_often() -> None:
    assert run_plan(waiting(), NOON + SECOND).look_again_at == NOON + 2 * SECOND
    assert run_plan(waiting(), NOON + MINUTE).look_again_at == NOON + MINUTE + 5 * SECOND


# --- a scheduled run joins ---------------------------------------------------------------------------------------------


def joining(**changes: Any) -> ObservedRun:
    """A scheduled run that has joined the rotation to `foreign` at NOON."""
    return after(observed_run(SCHEDULED, source=FOREIGN), **changes)


def test_a_scheduled_run_starts_its_own_rotation_where_the_one_that_it_joined_was_only_aws_s_test_of_the_function() -> None:
    gone = joining(source=source())
    assert state(run_plan(gone, NOON + GRACE - SECOND).draft) is StepState.RUNNING  # DescribeSecret may be stale
    free = after(gone, now=NOON + GRACE)
    assert (end(free.run.status), state(free.run.status), free.run.status.versions) == (None, StepState.WAITING, None)
    begun = after(free, now=NOON + GRACE + SECOND)
    assert begun.run.status.versions == RunVersions(from_="v1")
    assert begun.run.status.steps[0].start_time == NOON + GRACE + SECOND
    assert run_plan(begun, NOON + GRACE + 2 * SECOND).actions == (StartRotation(token=TOKEN),)


def test_a_scheduled_run_that_has_lost_what_it_joined_keeps_nobody_from_bringing_what_was_promoted_meanwhile() -> None:
    free = after(joining(source=source()), now=NOON + GRACE)
    promoted = run_view("promoted", created=NOON + MINUTE)
    assert active_run([view_of(free.run), promoted]) == promoted


def test_a_scheduled_run_joins_the_next_rotation_where_another_takes_the_label() -> None:
    free = after(joining(source=source(pending="another")), now=NOON + MINUTE)
    assert after(free, now=NOON + MINUTE + SECOND).run.status.versions == RunVersions(from_="v1", to="another")


@pytest.mark.parametrize(
    ("late", "has_value", "expected", "actions"),
    [
        (TIMEOUT - SECOND, True, None, []),
        (TIMEOUT, True, "RotationStuck", []),
        (STUCK - SECOND, False, None, []),
        (STUCK, False, None, [REMOVE]),
    ],
)
def test_a_joined_rotation_that_dies_is_met_like_our_own_but_for_the_end_of_the_run(
    late: timedelta, has_value: bool, expected: str | None, actions: list[Action]
) -> None:
    plan = run_plan(joining(pending_has_value=has_value), NOON + late)
    assert (end(plan.draft), list(plan.actions)) == (expected, actions)


def test_a_rotation_of_our_own_that_loses_its_label_fails_the_run() -> None:
    assert end(run_plan(rotating(source=source()), NOON + GRACE).draft) == "RotationFailed"
    assert end(run_plan(rotating(source=FOREIGN), NOON).draft) == "RotationFailed"


def test_our_own_rotation_of_which_aws_never_says_whether_it_has_a_value_is_stuck_after_twice_the_grace() -> None:
    seen = rotating(source=source(pending=TOKEN))
    assert end(run_plan(seen, NOON + TIMEOUT + 2 * GRACE - SECOND).draft) is None
    assert end(run_plan(seen, NOON + TIMEOUT + 2 * GRACE).draft) == "RotationStuck"


# --- what is asked of AWS ----------------------------------------------------------------------------------------------

PENDING_STEP = Step(name=StepName.ROTATE, state=StepState.WAITING)
OWN = rotating(source=source(pending=TOKEN))


@pytest.mark.parametrize(
    ("seen", "late", "asked"),
    [
        (OWN, TIMEOUT - SECOND, False),
        (OWN, TIMEOUT, True),
        (waiting(), STUCK - SECOND, False),
        (waiting(), STUCK, True),
        (waiting(source=source(pending="another")), 2 * STUCK, False),
        (waiting(source=source()), 2 * STUCK, False),
        (joining(), TIMEOUT, True),
        (observed_run(source=FOREIGN), 2 * STUCK, False),
    ],
)
def test_only_of_a_rotation_past_its_time_it_is_asked_whether_it_has_a_value(seen: ObservedRun, late: timedelta, asked: bool) -> None:
    assert seen.parent is not None
    assert isinstance(seen.source, SourceView)
    assert needs_to_know_of_a_value(seen.run, seen.parent, seen.source, limits=Limits(), now=NOON + late) is asked


@pytest.mark.parametrize("seen", [waiting(), joining()])
def test_a_second_look_at_a_rotation_of_somebody_else_s_changes_nothing(seen: ObservedRun) -> None:
    assert done(seen, now=NOON + MINUTE).draft.to_dict() == seen.run.status.to_dict()


@pytest.mark.parametrize("seen", [waiting(), joining(), after(joining(source=source()), now=NOON + GRACE)])
def test_every_status_of_a_run_that_waits_satisfies_kstatus_and_flux(seen: ObservedRun) -> None:
    assert check_conditions(seen.run.to_dict()) == []


def test_a_status_from_before_has_nothing_to_wait_for() -> None:
    seen = replace(waiting(), run=written_run(waiting().run, RotationRunStatus(steps=[PENDING_STEP])))
    assert end(run_plan(replace(seen, pending_has_value=True), NOON + 3 * STUCK).draft) is None
