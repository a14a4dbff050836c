"""Which workloads use a Secret, what is done with each, and when one of their pods is proved to run on the content."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.observed import LIMITS, LONG_AGO, MINUTE, NAME, NOON, SECOND, consumer, content, pod, use, workload

from keyturn.api import Rollout
from keyturn.domain.consumers import (
    Treatment,
    annotated,
    annotation_of,
    count_pods,
    excluded,
    find_consumers,
    reloaded_at,
    runs_on,
)
from keyturn.domain.observed import WorkloadKind, WorkloadView

BEFORE = NOON - MINUTE
MARGIN = LIMITS.margin


def rules(*workloads: dict[str, Any], discovery: str = "References") -> Rollout:
    return Rollout.model_validate({"discovery": discovery, "workloads": list(workloads)})


def names(views: list[WorkloadView], rollout: Rollout) -> list[str]:
    return [found.workload.name for found in find_consumers(views, secret=NAME, rollout=rollout)]


OTHER = workload("other", uses=(use(secret="another"),))


# --- discovery --------------------------------------------------------------------------------------------------------


def test_every_workload_that_refers_to_the_secret_is_a_consumer() -> None:
    assert names([workload("api"), OTHER], rules()) == ["api"]


def test_without_discovery_only_the_named_ones_are_and_the_others_are_counted_as_left_out() -> None:
    only = rules({"kind": "Deployment", "name": "api"}, discovery="None")
    views = [workload("api"), workload("worker"), OTHER]
    assert names(views, only) == ["api"]
    assert excluded(views, secret=NAME, rollout=only) == 1
    assert excluded(views, secret=NAME, rollout=rules()) == 0


def test_a_named_workload_without_a_reference_that_can_be_seen_is_a_consumer() -> None:
    (found,) = find_consumers([OTHER], secret=NAME, rollout=rules({"kind": "Deployment", "name": "other"}))
    assert found.use is None


def test_a_job_that_has_ended_is_no_consumer() -> None:
    assert names([workload("done", WorkloadKind.JOB, finished=True)], rules()) == []


def test_consumers_come_in_the_order_of_their_waves_and_then_of_their_names() -> None:
    ordered = rules({"kind": "Deployment", "name": "a", "wave": 2})
    assert names([workload("c"), workload("a"), workload("b")], ordered) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        (WorkloadKind.DEPLOYMENT, {}, Treatment.RESTART),
        (WorkloadKind.STATEFUL_SET, {}, Treatment.RESTART),
        (WorkloadKind.DAEMON_SET, {}, Treatment.RESTART),
        (WorkloadKind.ROLLOUT, {}, Treatment.RESTART),
        (WorkloadKind.CRON_JOB, {}, Treatment.REPORTED),
        (WorkloadKind.DEPLOYMENT, {"onChange": "External"}, Treatment.EXTERNAL),
        (WorkloadKind.DEPLOYMENT, {"onChange": "Reloads", "after": "2m"}, Treatment.RELOADS),
        (WorkloadKind.DEPLOYMENT, {"onChange": "Restart"}, Treatment.RESTART),
    ],
)
def test_each_kind_has_its_treatment_unless_a_rule_says_otherwise(kind: WorkloadKind, rule: dict[str, Any], expected: Treatment) -> None:
    (found,) = find_consumers([workload("w", kind)], secret=NAME, rollout=rules({"kind": kind.value, "name": "w", **rule}))
    assert found.treatment is expected


@pytest.mark.parametrize("kind", [WorkloadKind.JOB, WorkloadKind.POD])
def test_what_ends_by_itself_is_only_reported(kind: WorkloadKind) -> None:
    (found,) = find_consumers([workload("w", kind)], secret=NAME, rollout=rules())
    assert found.treatment is Treatment.REPORTED


def test_a_workload_carries_the_mark_of_its_own_rotating_secret_and_content_only() -> None:
    view = workload(template_annotations={annotation_of(NAME): "v2.2"})
    assert annotated(view, annotation_of(NAME), content("v2", epoch=2))
    assert not annotated(view, annotation_of("another"), content("v2", epoch=2))
    assert not annotated(view, annotation_of(NAME), content("v2", epoch=3))


# --- the proof --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "proved"),
    [
        (NOON - SECOND, False),
        (NOON, False),
        (NOON + MARGIN - SECOND, False),
        (NOON + MARGIN - timedelta(microseconds=1), False),
        (NOON + MARGIN, True),
        (NOON + MARGIN + SECOND, True),
    ],
)
def test_a_pod_runs_on_the_content_if_it_was_created_after_the_margin(created: datetime, proved: bool) -> None:
    assert runs_on(pod(created=created), content(), consumer(), LIMITS, now=NOON + MINUTE) is proved


def test_a_container_that_restarted_proves_nothing() -> None:
    restarted = pod(created=BEFORE, first_started=NOON + MINUTE, last_started=NOON + MINUTE)
    assert not runs_on(restarted, content(), consumer(), LIMITS, now=NOON + 2 * MINUTE)


WAITED = pod(created=BEFORE, first_started=NOON + SECOND)


@pytest.mark.parametrize(
    ("created_by_us", "optional", "first_started", "proved"),
    [
        (True, False, NOON + SECOND, True),
        (True, False, NOON, True),
        (True, False, NOON - SECOND, False),
        (True, False, None, False),
        (True, True, NOON + SECOND, False),
        (False, False, NOON + SECOND, False),
    ],
    ids=["waited", "same second", "started before", "still waiting", "optional", "the Secret was there"],
)
def test_a_pod_that_waited_for_a_secret_that_we_created_counts(
    created_by_us: bool, optional: bool, first_started: datetime | None, proved: bool
) -> None:
    waiting = pod(created=BEFORE, first_started=first_started)
    made = content(created_by_us=created_by_us)
    assert runs_on(waiting, made, consumer(workload(uses=(use(optional=optional),))), LIMITS, now=NOON + MINUTE) is proved


def test_a_pod_of_a_workload_whose_reference_is_not_known_cannot_have_waited() -> None:
    assert not runs_on(WAITED, content(created_by_us=True), consumer(OTHER, use=None), LIMITS, now=NOON + MINUTE)


@pytest.mark.parametrize(("by", "expected"), [("volume", True), ("projected", True), ("env", False), ("envFrom", False)])
def test_only_what_is_mounted_can_be_reloaded(by: str, expected: bool) -> None:
    one = consumer(workload(uses=(use(by),)), Treatment.RELOADS, reload_after=MINUTE)
    assert (reloaded_at(one, content()) == NOON + MINUTE) is expected
    assert runs_on(pod(created=LONG_AGO), content(), one, LIMITS, now=NOON + MINUTE) is expected


def test_what_reloads_does_not_count_a_moment_before_its_time() -> None:
    one = consumer(workload(uses=(use("volume"),)), Treatment.RELOADS, reload_after=MINUTE)
    assert not runs_on(pod(created=LONG_AGO), content(), one, LIMITS, now=NOON + MINUTE - SECOND)


# --- counting ---------------------------------------------------------------------------------------------------------

NEW = NOON + MINUTE


def test_a_terminating_pod_still_runs_on_what_it_read() -> None:
    count = count_pods([pod("a", created=BEFORE, terminating=True), pod("b", created=NEW)], content(), consumer(), LIMITS, now=NEW)
    assert (count.on_content, count.pods, count.old, count.complete) == (1, 2, ("a",), False)


def test_an_ended_pod_holds_nothing() -> None:
    count = count_pods([pod("a", created=BEFORE, ended=True)], content(), consumer(), LIMITS, now=NEW)
    assert (count.pods, count.complete) == (0, True)


def test_a_new_pod_that_is_not_ready_is_named_with_its_problem() -> None:
    count = count_pods([pod("a", created=NEW, ready=False, problem="CrashLoopBackOff")], content(), consumer(), LIMITS, now=NEW)
    assert (count.on_content, count.unready, count.complete) == (1, ("a: CrashLoopBackOff",), False)


def test_an_old_pod_that_is_not_ready_is_only_old() -> None:
    count = count_pods([pod("a", created=BEFORE, ready=False)], content(), consumer(), LIMITS, now=NEW)
    assert (count.old, count.unready) == (("a",), ())
