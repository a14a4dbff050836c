"""What one look at a RotatingSecret leads to: the chain of checks, what is done, and when to look again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from tests.support.observed import (
    DAY,
    EVERY_DAY,
    HOUR,
    MINUTE,
    NAME,
    NO,
    NOON,
    SECOND,
    UID,
    mirror,
    observed_secret,
    refusal,
    rejected,
    rotating_secret,
    run_view,
    source,
)

from keyturn.api import Action as RunAction
from keyturn.api import MirrorStatus, RotationTimes, Trigger
from keyturn.domain.actions import Action, CreateRun, DeleteRun, WriteMirror
from keyturn.domain.mirroring import shape
from keyturn.domain.names import scheduled_run
from keyturn.domain.permission import Decision
from keyturn.domain.secret_plan import CHECKS, SOON, ObservedSecret, known_mirrors, secret_plan

DUE: dict[str, Any] = {"source": source(last_rotated=NOON - 2 * DAY)}
BAD_CRON = {"rotation": {"schedule": {"cron": "99 3 * * *"}}}


def reason(seen: ObservedSecret) -> str | None:
    finding = secret_plan(seen, NOON).finding
    return finding.reason if finding else None


def actions(seen: ObservedSecret) -> tuple[Action, ...]:
    return secret_plan(seen, NOON).actions


def created_run(seen: ObservedSecret) -> CreateRun:
    (action,) = actions(seen)
    assert isinstance(action, CreateRun)
    return action


# --- the order of the chain -------------------------------------------------------------------------------------------

TROUBLES: list[tuple[str, dict[str, Any]]] = [
    ("Deleting", {"meta": {"deleted": True}}),
    ("InvalidSpec", {"template_error": "spec.target.template[URL]: unexpected end"}),
    ("ConnectionNotFound", {"connection": refusal("Missing", "ConnectionNotFound")}),
    ("NotAllowed", {"may_mirror": NO}),
    ("SourceDeleted", {"source": source("v2", deleted=True)}),
    ("TargetConflict", {"writes_too": "older"}),
    ("Suspended", {"spec": {"suspend": "Everything"}}),
    ("FirstMirror", {"mirrored": None, "settled": None}),
    ("RunActive", {"runs": [run_view()]}),
    ("ContentInvalid", {"current": "v2", "status": {"rejected": rejected()}}),
    ("ContentChanged", {"current": "v2"}),
    ("Drifted", {"touched": {"resource_version": "101"}}),
    ("RotationDue", {"spec": EVERY_DAY, **DUE}),
]


def test_there_is_one_trouble_here_for_each_check_of_the_chain() -> None:
    assert len(TROUBLES) == len(CHECKS)


@pytest.mark.parametrize(("expected", "trouble"), TROUBLES)
def test_each_check_finds_its_own_trouble(expected: str, trouble: dict[str, Any]) -> None:
    assert reason(observed_secret(**trouble)) == expected


@pytest.mark.parametrize(("first", "second"), list(pairwise(TROUBLES)))
def test_of_two_troubles_the_one_that_is_earlier_in_the_chain_decides(
    first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]
) -> None:
    if {first[0], second[0]} == {"FirstMirror", "RunActive"}:  # with an active run, the run writes the first content
        return
    both = second[1] | first[1]
    assert reason(observed_secret(**both)) == first[0]


def test_in_an_orderly_world_nothing_is_found_and_nothing_is_done() -> None:
    plan = secret_plan(observed_secret(), NOON)
    assert (plan.finding, plan.actions, plan.look_again_at) == (None, (), None)


def test_a_cron_that_cannot_be_read_is_an_invalid_spec_that_names_the_field() -> None:
    finding = secret_plan(observed_secret(BAD_CRON), NOON).finding
    assert finding is not None
    assert finding.reason == "InvalidSpec"
    assert "spec.rotation.schedule.cron" in finding.message


@pytest.mark.parametrize(("kind", "seconds"), [("Transient", 10), ("Denied", 300), ("Missing", 300), ("Invalid", 300)])
def test_a_source_that_fails_is_looked_at_again_soon_if_it_may_pass_and_slowly_else(kind: str, seconds: int) -> None:
    plan = secret_plan(observed_secret(source=refusal(kind)), NOON)
    assert plan.look_again_at == NOON + seconds * SECOND


def test_an_invalid_secret_id_is_not_taken_for_a_lack_of_permission() -> None:
    decision = Decision(allowed=False, reason="InvalidSpec", message="spec.secretId is not a full ARN")
    assert reason(observed_secret(may_mirror=decision)) == "InvalidSpec"


# --- the first mirror -------------------------------------------------------------------------------------------------


def test_the_first_content_is_written_without_a_run() -> None:
    assert actions(observed_secret(mirrored=None, settled=None)) == (WriteMirror(expect=None, recorded=None),)


def test_a_run_that_is_there_before_the_first_mirror_writes_it_itself() -> None:
    assert actions(observed_secret(mirrored=None, settled=None, runs=[run_view(trigger=Trigger.MANUAL)])) == ()


def test_the_start_of_the_schedule_is_known_from_the_very_first_pass() -> None:
    plan = secret_plan(observed_secret(EVERY_DAY, mirrored=None, settled=None), NOON)
    assert plan.look_again_at == NOON - HOUR + DAY


def test_a_content_that_has_been_written_but_not_settled_gets_a_run() -> None:
    run = created_run(observed_secret(settled=None))
    assert run.spec["trigger"] == "Observed"
    assert run.spec["versionId"] == "v1"


# --- changes get runs -------------------------------------------------------------------------------------------------


def test_a_promotion_that_nobody_asked_for_gets_a_run_before_anything_is_written() -> None:
    run = created_run(observed_secret(current="v2"))
    spec = {"secretRef": {"name": NAME}, "trigger": "Observed", "versionId": "v2", "reason": "AWSCURRENT has moved"}
    assert run.spec == spec


def test_the_same_change_makes_the_same_run_again() -> None:
    assert created_run(observed_secret(current="v2")) == created_run(observed_secret(current="v2"))


@pytest.mark.parametrize(
    "other",
    [
        observed_secret(current="v3"),
        observed_secret(current="v2", epoch=2, settled=("v1", 2)),
        observed_secret({"target": {"require": ["password"]}}, current="v2"),
        observed_secret(current="v2", meta={"uid": "other"}),
    ],
    ids=["version", "epoch", "shape", "uid"],
)
def test_another_change_makes_another_run(other: ObservedSecret) -> None:
    assert created_run(other).name != created_run(observed_secret(current="v2")).name


def test_a_version_that_goes_back_is_a_change_too() -> None:
    run = created_run(observed_secret(current="v1", mirrored="v2", settled=("v2", 2), epoch=2))
    assert (run.spec["trigger"], run.spec["versionId"]) == ("Observed", "v1")


@pytest.mark.parametrize(
    "edit",
    [
        {"target": {"keys": [{"from": "password", "to": "PASSWORD"}]}},
        {"target": {"template": {"URL": "{{ password }}"}}},
        {"target": {"require": ["password"]}},
    ],
)
def test_an_edit_of_what_decides_the_content_gets_a_run_of_its_own_kind(edit: dict[str, Any]) -> None:
    run = created_run(observed_secret(edit))
    assert (run.spec["trigger"], run.spec["versionId"]) == ("Edited", "v1")


def test_a_repair_that_moved_the_epoch_gets_a_run_because_pods_may_have_read_something_else() -> None:
    run = created_run(observed_secret(epoch=2, settled=("v1", 1)))
    assert run.spec["trigger"] == "Edited"


def test_a_run_that_failed_before_it_mirrored_is_followed_by_another_and_not_by_itself_again() -> None:
    seen = observed_secret(current="v2")
    first = created_run(seen)
    failed = run_view(first.name, over=True, failed=True, result="NotAllowed", to="v2", completed=NOON - HOUR)
    second = created_run(observed_secret(current="v2", runs=[failed]))
    assert second.name != first.name
    third = replace(failed, name=second.name)
    assert created_run(observed_secret(current="v2", runs=[failed, third])).name not in {first.name, second.name}


def test_a_run_that_failed_a_moment_ago_is_not_followed_at_once() -> None:
    first = created_run(observed_secret(current="v2"))
    failed = run_view(first.name, over=True, failed=True, result="SourceDeleted", completed=NOON - MINUTE)
    plan = secret_plan(observed_secret(current="v2", runs=[failed]), NOON)
    assert plan.actions == ()
    assert plan.look_again_at == NOON + 4 * MINUTE


def test_a_run_that_was_superseded_before_it_mirrored_is_followed_at_once_when_its_version_comes_back() -> None:
    first = created_run(observed_secret(current="v2"))
    overtaken = run_view(first.name, over=True, result="Superseded", to="v2", completed=NOON)
    assert created_run(observed_secret(current="v2", runs=[overtaken])).name != first.name


# --- a version that cannot become the content -------------------------------------------------------------------------

REJECTED_V2: dict[str, Any] = {"current": "v2", "status": {"rejected": rejected()}}


def test_nothing_is_made_of_a_version_that_was_rejected_until_it_or_the_spec_is_another() -> None:
    assert actions(observed_secret(**REJECTED_V2)) == ()
    assert created_run(observed_secret(**(REJECTED_V2 | {"current": "v3"}))).spec["versionId"] == "v3"
    edited = {"target": {"keys": [{"from": "password", "to": "PASSWORD"}]}}
    assert created_run(observed_secret(edited, **REJECTED_V2)).spec["versionId"] == "v2"


def test_what_a_run_has_found_out_holds_before_it_is_in_the_status() -> None:
    failed = run_view("failed", over=True, failed=True, result="ContentInvalid", to="v2", rejected=rejected(), trigger=Trigger.MANUAL)
    assert actions(observed_secret(current="v2", runs=[failed])) == ()


def test_a_version_that_was_rejected_and_is_in_the_secret_after_all_is_no_trouble() -> None:
    assert reason(observed_secret(current="v2", mirrored="v2", settled=("v2", 1), status={"rejected": rejected()})) is None


def test_a_secret_that_is_touched_while_the_current_version_is_rejected_cannot_be_repaired_and_is_not_tried() -> None:
    assert actions(observed_secret(**REJECTED_V2, touched={"resource_version": "101"})) == ()


def test_the_schedule_goes_on_while_the_current_version_is_rejected() -> None:
    seen = observed_secret(EVERY_DAY, **DUE | {"source": source("v2", last_rotated=NOON - 2 * DAY)}, **REJECTED_V2)
    assert created_run(seen).spec["trigger"] == "Schedule"
    plan = secret_plan(replace(seen, source=source("v2", last_rotated=NOON - DAY / 2)), NOON)
    assert (plan.actions, plan.look_again_at) == ((), NOON + DAY / 2)


def test_a_slot_whose_run_failed_because_of_a_rejected_version_backs_off_like_every_failure() -> None:
    failed = run_view(
        "slot", over=True, failed=True, result="ContentInvalid", trigger=Trigger.SCHEDULE, attempt=NOON - MINUTE, slot=NOON - MINUTE
    )
    seen = observed_secret(EVERY_DAY, **{**REJECTED_V2, "source": source("v2", last_rotated=NOON - 2 * DAY)}, runs=[failed])
    plan = secret_plan(seen, NOON)
    assert plan.actions == ()
    assert plan.due is not None
    assert plan.due.start == NOON - MINUTE + DAY / 10


# --- drift ------------------------------------------------------------------------------------------------------------


def writes(seen: ObservedSecret) -> bool:
    return any(isinstance(action, WriteMirror) for action in actions(seen))


@pytest.mark.parametrize(
    "touched",
    [
        {"resource_version": "101"},
        {"labels": {}},
        {"owner_uids": frozenset()},
    ],
    ids=["written by somebody", "labels taken away", "owner taken away"],
)
def test_a_secret_that_was_touched_is_written_again(touched: dict[str, Any]) -> None:
    assert writes(observed_secret(touched=touched))


def test_a_secret_that_was_deleted_is_written_again_with_the_version_that_it_held() -> None:
    seen = observed_secret(target=None)
    (action,) = actions(seen)
    assert isinstance(action, WriteMirror)
    assert (action.expect, action.recorded) == ("v1", seen.secret.status.mirror)


def test_what_others_add_to_the_metadata_of_a_secret_is_left_alone() -> None:
    seen = observed_secret()
    assert seen.target is not None
    more = replace(seen.target, labels={**seen.target.labels, "team": "shop"}, annotations={**seen.target.annotations, "note": "x"})
    assert actions(replace(seen, target=more)) == ()


def test_a_label_that_the_spec_asks_for_anew_is_written() -> None:
    seen = observed_secret({"target": {"labels": {"team": "shop"}}})
    assert seen.target is not None
    assert writes(replace(seen, target=replace(seen.target, labels={"keyturn.dev/managed": "true", "keyturn.dev/rotatingsecret": NAME})))


@pytest.mark.parametrize(
    "trouble", [{"current": "v2"}, {"target": None}, {"touched": {"resource_version": "101"}}, {"spec": EVERY_DAY, **DUE}]
)
def test_nothing_is_written_and_no_run_made_once_a_run_has_come_to_mirror(trouble: dict[str, Any]) -> None:
    assert actions(observed_secret(**trouble, runs=[run_view(mirroring=True)])) == ()


@pytest.mark.parametrize("trouble", [{"target": None}, {"touched": {"resource_version": "101"}}], ids=["deleted", "edited"])
def test_a_touched_secret_is_repaired_while_a_run_still_rotates(trouble: dict[str, Any]) -> None:
    (write,) = actions(observed_secret(**trouble, runs=[run_view()]))
    assert isinstance(write, WriteMirror)
    assert write.expect == "v1"


def test_a_run_that_only_waits_to_rotate_keeps_no_change_and_no_repair_from_being_brought() -> None:
    queued = run_view(trigger=Trigger.MANUAL, queued=True)
    assert created_run(observed_secret(current="v2", runs=[queued])).spec["trigger"] == "Observed"
    assert writes(observed_secret(target=None, runs=[queued]))


def test_a_run_that_only_waits_to_rotate_keeps_a_slot_from_getting_another() -> None:
    assert actions(observed_secret(EVERY_DAY, **DUE, runs=[run_view(trigger=Trigger.MANUAL, queued=True)])) == ()


# --- the schedule -----------------------------------------------------------------------------------------------------


def test_a_slot_whose_start_has_come_gets_the_run_of_that_slot() -> None:
    run = created_run(observed_secret(EVERY_DAY, **DUE))
    assert run.name == scheduled_run(NAME, uid=UID, slot=NOON - DAY)
    assert (run.spec["trigger"], run.spec["slot"]) == ("Schedule", "2026-02-28T12:00:00Z")


def test_before_its_start_a_slot_is_only_a_time_to_look_again() -> None:
    plan = secret_plan(observed_secret(EVERY_DAY), NOON)
    assert plan.actions == ()
    assert plan.look_again_at == NOON - HOUR + DAY


@pytest.mark.parametrize(
    "obstacle",
    [
        {"spec": {**EVERY_DAY, "suspend": "Rotations"}},
        {"may_rotate": NO},
        {"rotates_too": "shop/older"},
        {"source": source(last_rotated=NOON - 2 * DAY, rotation_lambda=None)},
    ],
    ids=["suspended", "not permitted", "in conflict", "not configured"],
)
def test_a_due_slot_gets_no_run_while_something_stands_in_the_way(obstacle: dict[str, Any]) -> None:
    assert actions(observed_secret(**({"spec": EVERY_DAY, **DUE} | obstacle))) == ()


@pytest.mark.parametrize(
    "obstacle",
    [
        {"runs": [run_view()]},
        {"template_error": "spec.target.template[URL]: unexpected end"},
        {"writes_too": "older"},
        {"source": source("v2", last_rotated=NOON - 2 * DAY), "runs": [run_view()]},
    ],
    ids=["a run", "an invalid template", "a conflict of targets", "a change under way"],
)
def test_a_due_slot_that_has_to_wait_does_not_make_the_loop_spin(obstacle: dict[str, Any]) -> None:
    again = secret_plan(observed_secret(**({"spec": EVERY_DAY, **DUE} | obstacle)), NOON).look_again_at
    assert again is None or again > NOON


def test_a_due_slot_is_looked_at_again_right_after_a_repair() -> None:
    plan = secret_plan(observed_secret(EVERY_DAY, target=None, **DUE), NOON)
    assert [type(action) for action in plan.actions] == [WriteMirror]
    assert plan.look_again_at == NOON + SOON


LATELY_DUE: dict[str, Any] = {"source": source(last_rotated=NOON - DAY - HOUR)}


def test_a_slot_that_had_its_run_gets_no_second_one() -> None:
    run = run_view("slot", over=True, trigger=Trigger.SCHEDULE, slot=NOON - HOUR, attempt=NOON - HOUR)
    assert actions(observed_secret(EVERY_DAY, runs=[run], **LATELY_DUE)) == ()


def test_a_slot_that_had_its_run_is_remembered_by_the_status_when_the_run_is_gone() -> None:
    times = RotationTimes(last_schedule_time=NOON - HOUR, schedule="every 1d", schedule_since=NOON - 50 * DAY)
    assert actions(observed_secret(EVERY_DAY, status={"rotation": times}, **LATELY_DUE)) == ()


def test_an_edit_of_the_schedule_counts_from_now() -> None:
    times = RotationTimes(schedule="every 30d", schedule_since=NOON - 50 * DAY)
    plan = secret_plan(observed_secret(EVERY_DAY, status={"rotation": times}, **DUE), NOON)
    assert plan.due is not None
    assert plan.due.slot == NOON


# --- suspended, deleted -----------------------------------------------------------------------------------------------

FINISHED = [run_view(f"run-{number}", over=True, mirror=mirror(), completed=NOON - number * HOUR) for number in range(4)]


@pytest.mark.parametrize(
    "trouble",
    [
        {"current": "v2"},
        {"target": None},
        {"mirrored": None, "settled": None},
        {"spec": EVERY_DAY, **DUE},
        {"spec": {"historyLimit": 1}, "runs": FINISHED},
    ],
    ids=["a change", "drift", "the first mirror", "a due slot", "history"],
)
@pytest.mark.parametrize("held", ["suspended", "deleted"])
def test_what_is_suspended_altogether_or_being_deleted_does_nothing_at_all(trouble: dict[str, Any], held: str) -> None:
    assert actions(observed_secret(**trouble)) != ()
    spec = {**trouble.get("spec", {}), **({"suspend": "Everything"} if held == "suspended" else {})}
    assert actions(observed_secret(**{**trouble, "spec": spec, "meta": {"deleted": held == "deleted"}})) == ()


# --- history ----------------------------------------------------------------------------------------------------------


def deleted(seen: ObservedSecret) -> set[str]:
    return {action.name for action in actions(seen) if isinstance(action, DeleteRun)}


def test_the_oldest_finished_runs_past_the_limit_are_deleted() -> None:
    assert deleted(observed_secret({"historyLimit": 2}, runs=FINISHED)) == {"run-2", "run-3"}


def test_open_runs_and_runs_of_others_do_not_count_towards_the_history() -> None:
    foreign = [replace(run, owned=False) for run in FINISHED]
    assert deleted(observed_secret({"historyLimit": 1}, runs=[*foreign, run_view("open")])) == set()


def test_a_run_stays_until_what_it_wrote_is_in_the_status() -> None:
    runs = [replace(run, mirror=mirror("v2", epoch=2)) for run in FINISHED]
    assert deleted(observed_secret({"historyLimit": 1}, current="v2", runs=runs)) == set()


def test_a_run_stays_until_its_slot_is_in_the_status() -> None:
    runs = [replace(run, mirror=None, slot=NOON - DAY) for run in FINISHED]
    assert deleted(observed_secret({"historyLimit": 1}, runs=runs)) == set()
    kept = RotationTimes(last_schedule_time=NOON - DAY)
    assert len(deleted(observed_secret({"historyLimit": 1}, runs=runs, status={"rotation": kept}))) == 3


# --- what is mirrored and what is settled -----------------------------------------------------------------------------


def known(*runs: Any, **seen: Any) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    def brief(found: MirrorStatus | None) -> tuple[str, int] | None:
        return (found.version_id, found.epoch) if found else None

    held, settled = known_mirrors(observed_secret(runs=runs, **seen))
    return brief(held), brief(settled)


V2 = mirror("v2", epoch=2, resource_version="200")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_view(), (("v1", 1), ("v1", 1))),
        (run_view(mirror=V2), (("v2", 2), ("v1", 1))),
        (run_view(over=True, mirror=V2), (("v2", 2), ("v2", 2))),
        (run_view(over=True, mirror=V2, failed=True, result="Held"), (("v2", 2), ("v2", 2))),
        (run_view(over=True, failed=True, result="RotationFailed"), (("v1", 1), ("v1", 1))),
        (run_view(over=True, result="Superseded"), (("v1", 1), ("v1", 1))),
        (run_view(over=True, mirror=V2, result="Superseded"), (("v2", 2), ("v1", 1))),
    ],
    ids=["begun", "mirrored", "complete", "held", "failed", "superseded before", "superseded after"],
)
def test_the_mirror_is_whoever_wrote_last_and_settled_is_what_had_its_rollout(run: Any, expected: object) -> None:
    assert known(run) == expected


def test_a_version_that_comes_back_after_its_run_was_superseded_in_its_rollout_gets_a_run_again() -> None:
    overtaken = run_view(over=True, mirror=V2, result="Superseded")
    run = created_run(observed_secret(current="v2", runs=[overtaken]))
    assert run.spec["versionId"] == "v2"


def test_a_version_that_goes_back_to_the_settled_one_after_another_was_mirrored_is_an_observed_change() -> None:
    overtaken = run_view(over=True, mirror=V2, result="Superseded")
    run = created_run(observed_secret(current="v1", runs=[overtaken]))
    assert (run.spec["trigger"], run.spec["versionId"]) == ("Observed", "v1")


def test_an_edit_that_changed_nothing_in_the_secret_is_not_found_again_and_again() -> None:
    spec = {"target": {"require": ["password"]}}
    edited = mirror(shaped=shape(rotating_secret(spec).spec.target))  # the same epoch and resourceVersion: there was nothing to write
    run = run_view(over=True, trigger=Trigger.EDITED, action=RunAction.ROTATE, mirror=edited)
    plan = secret_plan(observed_secret(spec, runs=[run]), NOON)
    assert plan.actions == ()
    assert plan.mirror == edited
