"""The table of consumers row by row, and how the waves move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.support.observed import LIMITS, MINUTE, NAME, NOON, SECOND, consumer, content, pod, use, workload, workload_status

from keyturn.api import MAX_WORKLOADS, WorkloadState, WorkloadStatus
from keyturn.domain.consumers import Consumer, Treatment, annotation_of
from keyturn.domain.observed import PodView, WorkloadKind
from keyturn.domain.waves import POLL, TRIES, Patience, Progress, Rollout, rollout

MARK = {annotation_of(NAME): "v2.2"}
OLD, NEW, NOW = NOON - MINUTE, NOON + MINUTE, NOON + 2 * MINUTE
PATIENCE = Patience(timeout=10 * MINUTE, soak=0 * MINUTE)


def look(
    *consumers: Consumer,
    pods: Mapping[str, Sequence[PodView] | None] | None = None,
    before: Progress | None = None,
    soak: int = 0,
    budget: int = 50,
    now: datetime = NOW,
) -> Rollout:
    """One look; without `pods`, every workload has one that is older than the content."""
    listed = {one.ref: (pods or {}).get(one.workload.name, [pod(created=OLD)]) for one in consumers}
    return rollout(
        consumers,
        listed,
        content=content(),
        annotation=annotation_of(NAME),
        before=before or Progress(),
        patience=Patience(timeout=PATIENCE.timeout, soak=soak * SECOND),
        limits=LIMITS,
        budget=budget,
        now=now,
    )


def state(one: Consumer, *pods: PodView, before: Progress | None = None, now: datetime = NOW) -> tuple[WorkloadState, bool, str]:
    """State, whether it is restarted now, and the message of one workload."""
    found = look(one, pods={one.workload.name: pods}, before=before, now=now)
    (status,) = found.statuses
    return status.state, bool(found.restart), status.message or ""


def known(*statuses: WorkloadStatus, wave: int = 0, start: datetime = NOON, ready: datetime | None = None) -> Progress:
    return Progress(
        wave=wave, wave_start=start, wave_ready=ready, workloads={(status.kind.value, status.name): status for status in statuses}
    )


TRIED = known(workload_status(state=WorkloadState.RESTARTING, restarts=1))
OLD_POD, NEW_POD = pod("old", created=OLD), pod("new", created=NEW)


def restartable(**told: Any) -> Consumer:
    return consumer(workload(**told))


# --- the table of consumers, row by row -------------------------------------------------------------------------------

KINDS = [WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET, WorkloadKind.ROLLOUT]


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_on_an_older_content_is_restarted(kind: WorkloadKind) -> None:
    assert state(consumer(workload(kind=kind)), OLD_POD) == (WorkloadState.PENDING, True, "to be restarted")


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_whose_template_is_marked_is_not_restarted_again(kind: WorkloadKind) -> None:
    found = state(consumer(workload(kind=kind, template_annotations=MARK, updated=0)), OLD_POD)
    assert found == (WorkloadState.RESTARTING, False, "old not replaced yet")


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_is_adopted_when_its_rollout_is_complete_and_every_pod_is_newer(kind: WorkloadKind) -> None:
    assert state(consumer(workload(kind=kind, template_annotations=MARK)), NEW_POD)[0] is WorkloadState.ADOPTED


def test_a_workload_that_came_later_counts_without_any_annotation() -> None:
    assert state(restartable(), NEW_POD)[:2] == (WorkloadState.ADOPTED, False)


@pytest.mark.parametrize(
    ("view", "pods"),
    [
        ({"available": 0}, [pod("new", created=NEW, ready=False)]),
        ({"available": 0}, []),
        ({"replicas": 0, "generation": 2, "observed_generation": 1}, []),
    ],
    ids=["not ready", "not made", "not seen"],
)
def test_a_workload_that_came_later_is_not_restarted_because_its_pods_are_not_there_yet(view: dict[str, int], pods: list[PodView]) -> None:
    one = restartable(**view)
    found = look(one, pods={"api": pods}, before=known())
    assert (found.statuses[0].state, found.restart) == (WorkloadState.RESTARTING, ())


@pytest.mark.parametrize(
    "progress",
    [
        {"generation": 2, "observed_generation": 1},
        {"replicas": 2, "available": 1},
        {"replicas": 2, "available": 2, "updated": 1},
        {"replicas": 1, "updated": 1, "status_replicas": 2},
    ],
    ids=["not observed", "not available", "not updated", "one of the old template left"],
)
def test_new_pods_alone_do_not_make_a_rollout_complete(progress: dict[str, Any]) -> None:
    assert state(restartable(template_annotations=MARK, **progress), NEW_POD)[0] is WorkloadState.RESTARTING


def test_a_new_pod_that_is_not_ready_keeps_the_workload_restarting_and_is_named() -> None:
    found = state(restartable(template_annotations=MARK), pod("new", created=NEW, ready=False, problem="CrashLoopBackOff"))
    assert found == (WorkloadState.RESTARTING, False, "new: CrashLoopBackOff")


def test_an_old_pod_that_is_terminating_keeps_the_workload_from_being_adopted() -> None:
    found = state(restartable(template_annotations=MARK), NEW_POD, pod("old", created=OLD, terminating=True))
    assert found[0] is WorkloadState.RESTARTING


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ({"strategy": "OnDelete"}, "OnDelete"),
        ({"kind": WorkloadKind.STATEFUL_SET, "partition": 2}, "partition is 2"),
    ],
)
def test_what_replaces_its_pods_by_hand_only_is_annotated_and_then_waits_for_somebody(view: dict[str, Any], says: str) -> None:
    assert state(restartable(**view), OLD_POD)[:2] == (WorkloadState.PENDING, True)
    waiting, restarted, message = state(restartable(template_annotations=MARK, updated=0, **view), OLD_POD)
    assert (waiting, restarted) == (WorkloadState.WAITING, False)
    assert says in message
    assert "somebody must delete old" in message


@pytest.mark.parametrize("view", [{"strategy": "OnDelete"}, {"partition": 2}, {"paused": True}])
def test_what_leaves_old_templates_standing_is_adopted_by_the_age_of_its_pods_alone(view: dict[str, Any]) -> None:
    assert state(restartable(template_annotations=MARK, updated=0, **view), NEW_POD)[0] is WorkloadState.ADOPTED


def test_nobody_is_asked_to_delete_pods_where_none_is_old() -> None:
    found = state(restartable(template_annotations=MARK, strategy="OnDelete"), pod("new", created=NEW, ready=False))
    assert found == (WorkloadState.RESTARTING, False, "new: not ready")


def test_a_rollout_that_was_aborted_waits_and_says_so() -> None:
    waiting, _, message = state(restartable(aborted=True, template_annotations=MARK, updated=0), OLD_POD)
    assert waiting is WorkloadState.WAITING
    assert "aborted" in message


def test_a_paused_deployment_is_annotated_and_waits_to_be_resumed() -> None:
    assert state(restartable(paused=True), OLD_POD)[:2] == (WorkloadState.PENDING, True)
    waiting, _, message = state(restartable(paused=True, template_annotations=MARK, updated=0), OLD_POD)
    assert waiting is WorkloadState.WAITING
    assert "paused" in message


def test_a_workload_without_replicas_is_annotated_and_counts_at_once() -> None:
    assert state(restartable(replicas=0))[:2] == (WorkloadState.PENDING, True)
    assert state(restartable(replicas=0, template_annotations=MARK))[:2] == (WorkloadState.ADOPTED, False)


@pytest.mark.parametrize("kind", [WorkloadKind.CRON_JOB, WorkloadKind.JOB, WorkloadKind.POD])
def test_jobs_and_bare_pods_are_reported_and_nothing_waits_for_them(kind: WorkloadKind) -> None:
    one = consumer(workload("job", kind), Treatment.REPORTED)
    found = look(one, pods={"job": [OLD_POD]})
    assert (found.done, found.restart) == (True, ())
    (status,) = found.statuses
    assert (status.state, status.message) == (WorkloadState.WAITING, "old must end by itself")


@pytest.mark.parametrize("kind", [WorkloadKind.CRON_JOB, WorkloadKind.JOB])
def test_a_job_without_an_older_pod_is_adopted(kind: WorkloadKind) -> None:
    one = consumer(workload("job", kind), Treatment.REPORTED)
    assert state(one, pod(created=OLD, ended=True))[0] is WorkloadState.ADOPTED


def test_a_workload_that_reloads_is_left_alone_and_counts_after_its_time() -> None:
    one = consumer(workload(uses=(use("volume"),)), Treatment.RELOADS, reload_after=5 * MINUTE)
    assert state(one, OLD_POD)[:2] == (WorkloadState.RELOADING, False)
    assert state(one, OLD_POD, now=NOON + 5 * MINUTE)[:2] == (WorkloadState.ADOPTED, False)


def test_a_workload_that_cannot_reload_because_it_reads_its_environment_waits_for_somebody() -> None:
    one = consumer(workload(), Treatment.RELOADS, reload_after=MINUTE)
    assert state(one, OLD_POD, now=NOON + 5 * MINUTE)[:2] == (WorkloadState.WAITING, False)


def test_a_workload_that_somebody_else_restarts_is_left_alone_and_counts_when_its_pods_are_newer() -> None:
    one = consumer(workload(), Treatment.EXTERNAL)
    assert state(one, OLD_POD) == (WorkloadState.WAITING, False, "somebody else restarts it; old not yet")
    assert state(one, NEW_POD)[0] is WorkloadState.ADOPTED


def test_a_workload_whose_pods_could_not_be_listed_is_unknown_and_never_adopted() -> None:
    found = look(restartable(), pods={"api": None})
    assert (found.statuses[0].state, found.done, found.restart) == (WorkloadState.UNKNOWN, False, ())


# --- marked, and old nevertheless -------------------------------------------------------------------------------------

STALE = restartable(template_annotations=MARK)
STALE_ROW = workload_status(state=WorkloadState.RESTARTING, restarts=0, message="its rollout is complete, but older than the content: old")


def test_a_workload_whose_rollout_is_complete_on_old_pods_is_restarted_again_when_it_was_seen_so_twice() -> None:
    first = look(STALE, pods={"api": [OLD_POD]}, before=known())
    assert (first.statuses[0].state, first.restart) == (WorkloadState.RESTARTING, ())
    second = look(STALE, pods={"api": [OLD_POD]}, before=known(*first.statuses))
    assert (second.statuses[0].state, second.restart) == (WorkloadState.PENDING, (STALE,))


def test_a_workload_that_waits_for_the_budget_to_be_restarted_again_goes_on_waiting_for_it() -> None:
    before = known(STALE_ROW)
    for _ in range(3):
        found = look(STALE, pods={"api": [OLD_POD]}, before=before, budget=0)
        assert found.statuses[0].state is WorkloadState.PENDING
        before = known(*found.statuses)
    assert restarted(look(STALE, pods={"api": [OLD_POD]}, before=before)) == ["api"]


def test_a_workload_is_not_restarted_again_and_again_where_that_does_not_help() -> None:
    tried = STALE_ROW.model_copy(update={"restarts": TRIES})
    found = look(STALE, pods={"api": [OLD_POD]}, before=known(tried))
    assert (found.statuses[0].state, found.restart) == (WorkloadState.RESTARTING, ())


@pytest.mark.parametrize(
    ("view", "pods"),
    [
        ({"updated": 0}, [OLD_POD]),
        ({"observed_generation": 0}, [OLD_POD]),
        ({"available": 0}, [OLD_POD]),
        ({}, [pod("old", created=OLD, terminating=True)]),
        ({"paused": True}, [OLD_POD]),
        ({"strategy": "OnDelete"}, [OLD_POD]),
    ],
    ids=["not rolled out", "not seen", "not available", "terminating", "paused", "by hand"],
)
def test_a_workload_whose_old_pods_will_go_or_wait_for_somebody_is_not_restarted_again(view: dict[str, Any], pods: list[PodView]) -> None:
    one = restartable(template_annotations=MARK, **view)
    before = known(STALE_ROW)
    for _ in range(2):
        found = look(one, pods={"api": pods}, before=before)
        assert found.restart == ()
        before = known(*found.statuses)


# --- reverts ----------------------------------------------------------------------------------------------------------


def test_an_annotation_that_somebody_takes_away_is_set_once_more() -> None:
    found = state(restartable(), OLD_POD, before=TRIED)
    assert found == (WorkloadState.PENDING, True, "its restart annotation was reverted")


def test_an_annotation_that_is_taken_away_again_is_given_up() -> None:
    twice = known(workload_status(state=WorkloadState.RESTARTING, restarts=2))
    assert state(restartable(), OLD_POD, before=twice)[:2] == (WorkloadState.REVERTED, False)


def test_a_reverted_workload_whose_pods_are_new_nevertheless_is_adopted() -> None:
    twice = known(workload_status(state=WorkloadState.RESTARTING, restarts=2))
    assert state(restartable(), NEW_POD, before=twice)[0] is WorkloadState.ADOPTED


# --- waves ------------------------------------------------------------------------------------------------------------


def in_wave(number: int, name: str, **told: Any) -> Consumer:
    return consumer(workload(name, **told), wave=number)


def restarted(found: Rollout) -> list[str]:
    return [one.workload.name for one in found.restart]


def test_only_the_first_wave_is_restarted() -> None:
    found = look(in_wave(0, "a"), in_wave(0, "b"), in_wave(1, "c"))
    assert restarted(found) == ["a", "b"]
    assert (found.progress.wave, found.progress.wave_start) == (0, NOW)


def test_the_next_wave_is_not_touched_before_every_workload_of_this_one_is_adopted() -> None:
    found = look(in_wave(0, "a", template_annotations=MARK), in_wave(0, "b"), in_wave(1, "c"), pods={"a": [NEW_POD]}, before=known())
    assert restarted(found) == ["b"]


def test_the_next_wave_starts_in_the_same_look_in_which_this_one_is_ready() -> None:
    found = look(in_wave(0, "a"), in_wave(5, "c"), pods={"a": [NEW_POD]}, before=known())
    assert restarted(found) == ["c"]
    assert (found.progress.wave, found.progress.wave_start) == (5, NOW)


def test_a_wave_that_is_over_is_not_looked_back_upon_where_a_pod_of_it_is_not_ready_any_more() -> None:
    pods = {"a": [pod("new", created=NEW, ready=False)]}
    found = look(in_wave(0, "a", template_annotations=MARK), in_wave(1, "c"), pods=pods, before=known(wave=1))
    assert restarted(found) == ["c"]


def test_a_workload_that_was_never_restarted_is_not_forgotten_where_an_edit_puts_it_into_a_wave_that_is_over() -> None:
    found = look(in_wave(0, "a"), in_wave(1, "c"), before=known(wave=1))
    assert restarted(found) == ["a"]
    assert (found.progress.wave, found.progress.wave_start) == (0, NOW)


def test_all_waves_ready_is_done() -> None:
    found = look(in_wave(0, "a"), in_wave(1, "b"), pods={"a": [NEW_POD], "b": [NEW_POD]})
    assert (found.done, found.look_again_at, found.progress) == (True, None, Progress())
    assert found.message == "2 of 2 pods in 2 workloads run on the new content"


def test_a_wave_that_is_ready_soaks_before_the_next_one_starts() -> None:
    pods = {"a": [NEW_POD]}
    found = look(in_wave(0, "a"), in_wave(1, "b"), pods=pods, before=known(), soak=30)
    assert (found.restart, found.done, found.progress.wave_ready) == ((), False, NOW)
    soaking = known(ready=NOW)
    before_the_end = look(in_wave(0, "a"), in_wave(1, "b"), pods=pods, before=soaking, soak=30, now=NOW + 29 * SECOND)
    assert (before_the_end.restart, before_the_end.look_again_at) == ((), NOW + 30 * SECOND)
    assert restarted(look(in_wave(0, "a"), in_wave(1, "b"), pods=pods, before=soaking, soak=30, now=NOW + 30 * SECOND)) == ["b"]


def test_a_soak_that_is_broken_begins_anew() -> None:
    found = look(in_wave(0, "a", template_annotations=MARK), before=known(ready=NOON + MINUTE), soak=30)
    assert (found.progress.wave, found.progress.wave_ready) == (0, None)


CRASHED = pod("new", created=NEW, ready=False, problem="CrashLoopBackOff")


def soaking_until(*moments: tuple[int, bool], soak: int = 3600) -> Rollout:
    """The last of several looks at a wave that began at NOON, each so many minutes after it, at a pod that is ready or not."""
    one, before = in_wave(0, "a", template_annotations=MARK), Progress()
    found = look(one, pods={"a": [CRASHED]}, now=NOON, soak=soak)
    for minutes, ready in moments:
        before = found.progress
        found = look(one, pods={"a": [NEW_POD if ready else CRASHED]}, before=before, soak=soak, now=NOON + minutes * MINUTE)
    return found


def test_a_soak_that_breaks_after_the_wave_s_time_leaves_what_was_left_of_it_to_get_ready_again() -> None:
    assert soaking_until((3, True), (30, False)).held is None
    assert soaking_until((3, True), (30, False), (36, False)).held is None  # 3 minutes before it was ready, 6 since
    assert soaking_until((3, True), (30, False), (37, False)).held is not None


def test_a_wave_that_gets_ready_again_soaks_again_for_the_whole_time() -> None:
    again = soaking_until((3, True), (30, False), (31, True))
    assert (again.held, again.done, again.progress.wave_ready) == (None, False, NOON + 31 * MINUTE)
    assert soaking_until((3, True), (30, False), (31, True), (90, True)).done is False
    assert soaking_until((3, True), (30, False), (31, True), (91, True)).done is True


def test_a_wave_that_is_never_ready_for_long_is_held_when_the_time_is_used_up_in_which_it_was_not() -> None:
    flapping = [(minute, minute % 4 == 0) for minute in range(1, 40)]  # ready from each fourth minute to the next
    lasted = next(count for count in range(1, len(flapping)) if soaking_until(*flapping[:count]).held is not None)
    assert flapping[lasted - 1][0] in range(12, 16)


def test_a_wave_that_is_not_ready_in_time_is_held_and_names_what_fails() -> None:
    crashing = pod("new", created=NEW, ready=False, problem="CrashLoopBackOff")
    one = in_wave(0, "a", template_annotations=MARK)
    assert look(one, pods={"a": [crashing]}, before=known(), now=NOON + 10 * MINUTE - SECOND).held is None
    found = look(one, in_wave(1, "b"), pods={"a": [crashing]}, before=known(), now=NOON + 10 * MINUTE)
    assert found.held == "Deployment a: new: CrashLoopBackOff"
    assert (found.restart, found.look_again_at) == ((), None)


def test_a_held_wave_of_many_names_a_few_of_those_that_fail_and_counts_the_rest() -> None:
    found = look(*[in_wave(0, f"w{number:03}") for number in range(130)], before=known(), now=NOON + 10 * MINUTE)
    assert found.held is not None
    assert found.held.startswith("Deployment w000: to be restarted; Deployment w001: ")
    assert found.held.endswith("Deployment w009: to be restarted; and 120 more")


def test_no_more_workloads_restart_at_a_time_than_the_record_has_rows() -> None:
    rows = [workload_status(f"w{number:03}", WorkloadState.RESTARTING, restarts=1) for number in range(60)]
    under_way = [in_wave(0, f"w{number:03}", template_annotations=MARK, updated=0) for number in range(60)]
    found = look(*under_way, *[in_wave(0, f"x{number:03}") for number in range(70)], before=known(*rows), budget=1000)
    assert len(found.restart) == MAX_WORKLOADS - 60


@pytest.mark.parametrize("view", [{"paused": True}, {"strategy": "OnDelete"}])
def test_what_waits_for_a_person_is_held_after_the_time_too(view: dict[str, Any]) -> None:
    one = in_wave(0, "a", template_annotations=MARK, updated=0, **view)
    assert look(one, before=known(), now=NOON + 10 * MINUTE).held is not None


def test_a_held_wave_says_why_a_restart_was_refused() -> None:
    refused = workload_status("a", WorkloadState.PENDING, restarts=0, message="deployments.apps is forbidden")
    assert look(in_wave(0, "a"), before=known(refused), now=NOON + 10 * MINUTE).held == "Deployment a: deployments.apps is forbidden"


def test_no_more_workloads_begin_a_restart_than_the_budget_allows() -> None:
    many = [in_wave(0, name) for name in "abc"]
    assert restarted(look(*many, budget=2)) == ["a", "b"]
    assert restarted(look(*many, budget=0)) == []
    assert restarted(look(*many, budget=-1)) == []


def test_a_rollout_that_is_under_way_is_counted_again_after_a_moment_and_at_its_time_out() -> None:
    one = in_wave(0, "a", template_annotations=MARK)
    assert look(one, before=known()).look_again_at == NOW + POLL
    assert look(one, before=known(), now=NOON + 10 * MINUTE - SECOND).look_again_at == NOON + 10 * MINUTE


def test_the_message_names_a_few_workloads_and_counts_the_rest() -> None:
    found = look(*[in_wave(0, name) for name in "abcde"])
    assert found.message == "wave 0: Deployment a 0/1, Deployment b 0/1, Deployment c 0/1 and 2 more"


def test_without_a_consumer_the_rollout_is_done_at_once() -> None:
    assert look().done
