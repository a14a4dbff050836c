"""A version that cannot become the Secret's content: its run says so, ends in time, and no other rotates on behind the pods' backs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.kstatus import check_conditions, kstatus
from tests.support.observed import (
    MINUTE,
    NOON,
    RUN_UID,
    SCHEDULED,
    SECOND,
    observed_run,
    rejected,
    rotating_secret,
    run_view,
    source,
    written,
    written_run,
)
from tests.support.runs import INVALID, after, done, end, in_mirror, mirrored, state, step, why

from keyturn.api import RotatingSecretStatus, StepName, StepState
from keyturn.domain import conditions as cond
from keyturn.domain.actions import WriteMirror
from keyturn.domain.mirroring import shape
from keyturn.domain.run_plan import run_plan
from keyturn.domain.run_seen import ObservedRun

TIMEOUT = 10 * MINUTE  # spec.rollout.timeout
ME = run_view("run", uid=RUN_UID, created=NOON)
OTHER = run_view("another", created=NOON + SECOND)
EDITED = {"target": {"keys": [{"from": "password", "to": "PASSWORD"}]}}


def blocked(**changes: Any) -> ObservedRun:
    """A run that has found out at NOON that v2 cannot become the content."""
    return after(in_mirror(), INVALID, **changes)


def with_spec(seen: ObservedRun, spec: Mapping[str, Any]) -> ObservedRun:
    """The RotatingSecret is edited."""
    assert seen.parent is not None
    return replace(seen, parent=rotating_secret(spec, status=seen.parent.status))


# --- the run that brought it ------------------------------------------------------------------------------------------


def test_a_run_says_plainly_why_the_version_cannot_become_the_content_what_to_do_and_when_it_gives_up() -> None:
    plan = done(in_mirror(), INVALID)
    assert (end(plan.draft), state(plan.draft, StepName.MIRROR), plan.look_again_at) == (None, StepState.WAITING, NOON + TIMEOUT)
    stalled = cond.find(plan.draft.conditions, "Stalled")
    assert stalled is not None
    assert stalled.reason == "ContentInvalid"
    for said in ('lacks "password"', "keeps version v1", "put-secret-value", "edit spec.target", "fails at 12:10:00Z"):
        assert said in stalled.message
        assert said in step(plan.draft, StepName.MIRROR)[1]
    assert plan.draft.rejected == rejected("v2")
    assert plan.draft.summary is not None
    assert plan.draft.summary.step == "Mirror: ContentInvalid"


def test_what_cannot_change_is_not_tried_again() -> None:
    plan = run_plan(blocked(), NOON + MINUTE)
    assert (plan.actions, plan.look_again_at) == ((), NOON + TIMEOUT)
    assert plan.draft.to_dict() == blocked().run.status.to_dict()


@pytest.mark.parametrize(("spec", "timeout"), [({}, TIMEOUT), ({"rollout": {"timeout": "2m"}}, 2 * MINUTE)])
def test_the_run_fails_when_the_rollout_s_time_is_over(spec: dict[str, Any], timeout: Any) -> None:
    seen = with_spec(blocked(), spec)
    assert end(run_plan(seen, NOON + timeout - SECOND).draft) is None
    plan = run_plan(seen, NOON + timeout)
    assert (end(plan.draft), step(plan.draft, StepName.MIRROR)[0]) == ("ContentInvalid", StepState.FAILED)
    for said in ('lacks "password"', "keeps version v1", "put-secret-value", "edit spec.target"):
        assert said in step(plan.draft, StepName.MIRROR)[1]


def test_the_run_makes_way_at_once_for_another_that_waits() -> None:
    assert end(run_plan(blocked(runs=[ME, OTHER]), NOON + SECOND).draft) == "ContentInvalid"
    first = done(in_mirror(runs=[ME, OTHER]), INVALID)
    assert (end(first.draft), first.look_again_at) == (None, NOON)


def test_finished_runs_do_not_wait() -> None:
    over = run_view("before", over=True)
    assert end(run_plan(blocked(runs=[over, ME]), NOON + SECOND).draft) is None


def test_an_edit_is_tried_at_once_and_goes_on_if_it_mends_the_content() -> None:
    seen = with_spec(blocked(), EDITED)
    (write,) = run_plan(seen, NOON + MINUTE).actions
    assert isinstance(write, WriteMirror)
    mended = done(seen, mirrored(), now=NOON + MINUTE).draft
    assert (state(mended, StepName.MIRROR), end(mended)) == (StepState.SUCCEEDED, None)


def test_an_edit_that_does_not_mend_it_has_the_whole_time_again() -> None:
    seen = with_spec(blocked(), EDITED)
    plan = done(seen, INVALID, now=NOON + MINUTE)
    assert plan.look_again_at == NOON + MINUTE + TIMEOUT


def test_a_newer_version_supersedes_the_run() -> None:
    assert end(run_plan(blocked(source=source("v3")), NOON + MINUTE).draft) == "Superseded"


def test_an_urgent_run_takes_over() -> None:
    urgent = replace(OTHER, urgent=True)
    assert end(run_plan(blocked(runs=[ME, urgent]), NOON + SECOND).draft) == "Superseded"


def test_every_status_on_the_way_satisfies_kstatus_and_flux() -> None:
    seen = blocked()
    assert check_conditions(seen.run.to_dict()) == []
    failed = written_run(seen.run, run_plan(seen, NOON + TIMEOUT).draft).to_dict()
    assert (check_conditions(failed), kstatus(failed)) == ([], "Failed")


# --- the runs after it ------------------------------------------------------------------------------------------------


def next_run(spec: dict[str, Any] | None = None, *, strategy: str | None = None, current: str = "v2", **seen: Any) -> ObservedRun:
    """A run that is to rotate, while v2 is current in AWS, was rejected, and the pods use v1."""
    parent_spec = {"rotation": {"strategy": strategy}} if strategy else None
    return observed_run(spec, parent_spec=parent_spec, source=source(current), **seen)


def knowing(seen: ObservedRun, version: str = "v2") -> ObservedRun:
    """The RotatingSecret's status says that the version was rejected."""
    assert seen.parent is not None
    status: RotatingSecretStatus = seen.parent.status.model_copy(update={"rejected": rejected(version)})
    return replace(seen, parent=written(seen.parent, status))


@pytest.mark.parametrize("spec", [None, SCHEDULED], ids=["manual", "by schedule"])
@pytest.mark.parametrize(
    ("strategy", "expected", "says"),
    [
        (None, "ContentInvalid", "spec.rotation.strategy does not say"),
        ("Unknown", "ContentInvalid", "spec.rotation.strategy does not say"),
        ("AlternatingUsers", "ContentInvalid", "changes the password of the very user with which they log in"),
        ("Overlap", "ContentInvalid", "may take the credential from them"),
        ("SingleUser", None, "starts"),
    ],
)
def test_a_run_rotates_on_only_where_the_pods_have_nothing_left_to_lose(
    spec: dict[str, Any] | None, strategy: str | None, expected: str | None, says: str
) -> None:
    plan = run_plan(knowing(next_run(spec, strategy=strategy)), NOON)
    assert (end(plan.draft), plan.actions) == (expected, ())
    assert says in step(plan.draft)[1]


def test_a_run_that_does_not_rotate_on_says_how_it_is_mended_and_how_it_is_told_to_rotate_nevertheless() -> None:
    _, message = step(run_plan(knowing(next_run()), NOON).draft)
    for said in (
        'lacks "password"',
        "keeps version v1",
        "put-secret-value",
        "edit spec.target",
        "keyturn rotate orders-db -n shop --urgent",
    ):
        assert said in message


def test_an_urgent_run_rotates_nevertheless() -> None:
    assert state(run_plan(knowing(next_run({"urgent": True})), NOON).draft) is StepState.RUNNING


def test_what_the_run_before_has_found_out_holds_before_it_is_in_the_status() -> None:
    failed = run_view("before", over=True, failed=True, result="ContentInvalid", rejected=rejected("v2"))
    assert end(run_plan(next_run(runs=[failed, ME]), NOON).draft) == "ContentInvalid"


@pytest.mark.parametrize("strategy", [None, "SingleUser"])
def test_no_run_rotates_where_it_is_the_spec_that_makes_no_content_of_the_version_in_use(strategy: str | None) -> None:
    edited = with_spec(next_run(current="v1"), EDITED | ({"rotation": {"strategy": strategy}} if strategy else {}))
    assert edited.parent is not None
    status = edited.parent.status.model_copy(update={"rejected": rejected("v1", shaped=shape(edited.parent.spec.target))})
    plan = run_plan(replace(edited, parent=written(edited.parent, status)), NOON)
    assert end(plan.draft) == "ContentInvalid"
    assert "spec.target as it is now makes no content" in step(plan.draft)[1]


def test_a_rejection_under_another_spec_is_none() -> None:
    seen = next_run(current="v1")
    assert seen.parent is not None
    status = seen.parent.status.model_copy(update={"rejected": rejected("v1", shaped="before the edit")})
    assert state(run_plan(replace(seen, parent=written(seen.parent, status)), NOON).draft) is StepState.RUNNING


def test_a_rollout_by_a_person_tries_the_rejected_version_once_more() -> None:
    (write,) = run_plan(knowing(next_run({"action": "Rollout"})), NOON).actions
    assert isinstance(write, WriteMirror)
    assert write.expect == "v2"


def test_a_version_that_nobody_rejected_is_waited_for() -> None:
    assert why(run_plan(next_run(), NOON).draft) == "VersionChanged"
