"""Consumers that are part of another one, or whose pods are not all there yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.observed import LIMITS, MINUTE, NAME, NOON, consumer, content, observed_secret, pod, use, workload

from keyturn.api import Rollout
from keyturn.domain.conditions import find
from keyturn.domain.consumers import Treatment, awaits_pods, count_pods, excluded, find_consumers, reloaded_at
from keyturn.domain.observed import WorkloadKind
from keyturn.domain.secret_plan import secret_plan
from keyturn.domain.secret_status import secret_status

CRON = workload("nightly", WorkloadKind.CRON_JOB, selector=None)
JOB = workload("nightly-1", WorkloadKind.JOB, owner_uid=CRON.uid)
NAMED = Rollout.model_validate({"discovery": "None", "workloads": [{"kind": "CronJob", "name": "nightly"}]})


def test_the_jobs_of_a_cron_job_are_part_of_it_and_no_consumers_of_their_own() -> None:
    other = workload("other", WorkloadKind.JOB)
    nightly, alone = find_consumers([CRON, JOB, other], secret=NAME, rollout=Rollout())
    assert (nightly.ref, nightly.jobs) == (("CronJob", "nightly"), (JOB,))
    assert (alone.ref, alone.jobs) == (("Job", "other"), ())


def test_a_job_of_a_cron_job_that_has_ended_is_forgotten() -> None:
    (nightly,) = find_consumers([CRON, replace(JOB, finished=True)], secret=NAME, rollout=Rollout())
    assert nightly.jobs == ()


def test_a_named_cron_job_has_its_jobs_even_where_discovery_is_off() -> None:
    (nightly,) = find_consumers([CRON, JOB], secret=NAME, rollout=NAMED)
    assert nightly.jobs == (JOB,)
    assert excluded([CRON, JOB], secret=NAME, rollout=NAMED) == 0


def test_a_job_of_a_cron_job_that_does_not_use_the_secret_is_a_consumer_if_it_does() -> None:
    cron = replace(CRON, uses=())
    (found,) = find_consumers([cron, JOB], secret=NAME, rollout=Rollout())
    assert found.ref == ("Job", "nightly-1")


def test_a_job_that_has_ended_is_not_left_out() -> None:
    assert excluded([workload("done", WorkloadKind.JOB, finished=True)], secret=NAME, rollout=NAMED) == 0


@pytest.mark.parametrize(
    ("view", "pods", "waits"),
    [({}, 1, False), ({}, 0, True), ({"generation": 2, "observed_generation": 1}, 1, True), ({"replicas": 0}, 0, False)],
    ids=["all there", "none made", "not seen", "none wanted"],
)
def test_a_workload_awaits_its_pods_until_its_controller_has_made_them(view: dict[str, Any], pods: int, waits: bool) -> None:
    one = consumer(workload(**view))
    count = count_pods([pod(created=NOON + MINUTE)] * pods, content(), one, LIMITS, now=NOON + MINUTE)
    assert awaits_pods(one, count) is waits


def test_a_job_awaits_no_pods() -> None:
    one = consumer(workload("job", WorkloadKind.JOB), Treatment.REPORTED)
    assert not awaits_pods(one, count_pods([], content(), one, LIMITS, now=NOON))


def test_no_pod_of_a_workload_whose_pods_are_not_made_is_not_every_pod_of_it() -> None:
    one = consumer()
    seen = observed_secret(consumers=[one], pods={one.ref: []})
    adopted = find(secret_status(seen, secret_plan(seen, NOON), [], NOON).conditions, "Adopted")
    assert adopted is not None
    assert (adopted.status, adopted.reason) == ("False", "PodsMissing")
    assert adopted.message.endswith("Deployment api has not made all its pods yet")


def test_a_file_that_is_mounted_by_sub_path_cannot_be_reloaded() -> None:
    one = consumer(workload(uses=(use("subPath"),)), Treatment.RELOADS, reload_after=MINUTE)
    assert reloaded_at(one, content()) is None
