"""What is read off workloads and pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.adapters.kube.workload_views import pod_view, secret_uses, selector_string, workload_view
from keyturn.domain.observed import SecretUse, WorkloadKind

CREATED = "2026-11-21T10:00:00Z"


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


def use(secret: str, *by: str, optional: bool = False) -> SecretUse:
    return SecretUse(secret=secret, by=frozenset(by), optional=optional)


ENV = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}
OPTIONAL_ENV = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p", "optional": True}}}

REFERENCES = [
    (container(env=[ENV]), [use("db", "env")]),
    (container(env=[{"name": "A", "value": "canary"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]), []),
    (container(envFrom=[{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "other"}}]), [use("db", "envFrom")]),
    ({"initContainers": [{"name": "i", "env": [ENV]}]}, [use("db", "env")]),
    ({"ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "db"}}]}]}, [use("db", "envFrom")]),
    ({"volumes": [{"name": "v", "secret": {"secretName": "db"}}]}, [use("db", "volume")]),
    (
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "db"}}, {"serviceAccountToken": {"path": "t"}}]}}]},
        [use("db", "projected")],
    ),
    (
        {**container(volumeMounts=[{"name": "v", "subPath": "password"}]), "volumes": [{"name": "v", "secret": {"secretName": "db"}}]},
        [use("db", "subPath")],
    ),
    (
        {
            "initContainers": [{"name": "i", "volumeMounts": [{"name": "v", "subPathExpr": "$(KEY)"}]}],
            "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "db"}}]}}],
        },
        [use("db", "subPath")],
    ),
    (
        {**container(volumeMounts=[{"name": "w", "subPath": "x"}]), "volumes": [{"name": "v", "secret": {"secretName": "db"}}]},
        [use("db", "volume")],
    ),
    ({"imagePullSecrets": [{"name": "registry"}]}, []),
    ({"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}}]}, []),
    (container(env=[OPTIONAL_ENV]), [use("db", "env", optional=True)]),
    (container(env=[OPTIONAL_ENV, ENV]), [use("db", "env")]),
    (
        {**container(env=[OPTIONAL_ENV]), "volumes": [{"name": "v", "secret": {"secretName": "db", "optional": True}}]},
        [use("db", "env", "volume", optional=True)],
    ),
    (container(envFrom=[{"secretRef": {"name": "z"}}], env=[ENV]), [use("db", "env"), use("z", "envFrom")]),
]


@pytest.mark.parametrize(("spec", "expected"), REFERENCES)
def test_references_to_secrets_are_found_wherever_a_pod_can_have_them(spec: dict[str, Any], expected: list[SecretUse]) -> None:
    assert list(secret_uses(spec)) == expected


SELECTORS = [
    (None, None),
    ({}, None),
    ({"matchLabels": {"app": "a", "tier": "b"}}, "app=a,tier=b"),
    ({"matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}, "k in (x,y)"),
    ({"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["x"]}]}, "k notin (x)"),
    ({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]}, "a=b,k"),
    ({"matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]}, "!k"),
]


@pytest.mark.parametrize(("selector", "expected"), SELECTORS)
def test_a_selector_becomes_the_query_and_an_empty_one_never_matches_all(selector: dict[str, Any] | None, expected: str | None) -> None:
    assert selector_string(selector) == expected


def raw(spec: dict[str, Any], status: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    metadata = {"name": "api", "namespace": "shop", "uid": "u", "generation": 3, "creationTimestamp": CREATED, **meta}
    return {"metadata": metadata, "spec": spec, "status": status or {}}


TEMPLATE = {"metadata": {"annotations": {"keyturn.dev/db": "v1.1", "other": "x"}}, "spec": container(env=[ENV])}


def test_a_deployment_tells_its_progress() -> None:
    spec = {
        "replicas": 4,
        "paused": True,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": "a"}},
        "template": TEMPLATE,
    }
    status = {"observedGeneration": 2, "replicas": 5, "updatedReplicas": 3, "readyReplicas": 2, "availableReplicas": 1}
    view = workload_view(WorkloadKind.DEPLOYMENT, raw(spec, status))
    assert (view.generation, view.observed_generation, view.replicas) == (3, 2, 4)
    assert (view.status_replicas, view.updated, view.ready, view.available) == (5, 3, 2, 1)
    assert (view.paused, view.strategy, view.selector) == (True, "Recreate", "app=a")
    assert view.template_annotations == {"keyturn.dev/db": "v1.1"}
    assert view.uses == (use("db", "env"),)
    assert view.created == datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_a_deployment_that_nobody_has_looked_at_yet_has_nothing() -> None:
    view = workload_view(WorkloadKind.DEPLOYMENT, raw({"template": TEMPLATE}))
    assert (view.replicas, view.observed_generation, view.available, view.strategy) == (1, 0, 0, "RollingUpdate")


def test_a_deployment_scaled_to_zero_wants_none() -> None:
    assert workload_view(WorkloadKind.DEPLOYMENT, raw({"replicas": 0, "template": TEMPLATE})).replicas == 0


def test_a_statefulset_tells_its_partition_and_revisions() -> None:
    spec = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, "template": TEMPLATE}
    view = workload_view(WorkloadKind.STATEFUL_SET, raw(spec, {"currentRevision": "a", "updateRevision": "b"}))
    assert (view.partition, view.current_revision, view.update_revision, view.strategy) == (2, "a", "b", "RollingUpdate")


def test_a_daemonset_wants_what_the_nodes_make_it_want() -> None:
    status = {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 3,
        "updatedNumberScheduled": 2,
        "numberReady": 2,
        "numberAvailable": 1,
    }
    view = workload_view(WorkloadKind.DAEMON_SET, raw({"updateStrategy": {"type": "OnDelete"}, "template": TEMPLATE}, status))
    assert (view.replicas, view.status_replicas, view.updated, view.ready, view.available) == (3, 3, 2, 2, 1)
    assert view.strategy == "OnDelete"


def test_a_rollout_counts_generations_in_a_string() -> None:
    status = {"observedGeneration": "3", "stableRS": "abc", "currentPodHash": "def", "updatedReplicas": 1}
    view = workload_view(WorkloadKind.ROLLOUT, raw({"strategy": {"canary": {}}, "template": TEMPLATE}, status))
    assert (view.observed_generation, view.current_revision, view.update_revision, view.strategy) == (3, "abc", "def", "RollingUpdate")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, (False, False)),
        ({"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": CREATED}]}, (True, False)),
        ({"abort": True, "pauseConditions": None}, (False, True)),
    ],
    ids=["going on", "at a step that pauses", "aborted"],
)
def test_a_rollout_tells_in_its_status_that_it_is_paused_or_aborted(status: dict[str, Any], expected: tuple[bool, bool]) -> None:
    view = workload_view(WorkloadKind.ROLLOUT, raw({"strategy": {"canary": {}}, "template": TEMPLATE}, status))
    assert (view.paused, view.aborted) == expected


def test_a_rollout_that_borrows_a_deployments_template_has_no_references_of_its_own() -> None:
    assert workload_view(WorkloadKind.ROLLOUT, raw({"workloadRef": {"kind": "Deployment", "name": "api"}})).uses == ()


def test_a_cronjob_shows_its_jobs_template_and_has_no_pods_of_its_own() -> None:
    view = workload_view(WorkloadKind.CRON_JOB, raw({"suspend": True, "jobTemplate": {"spec": {"template": TEMPLATE}}}))
    assert (view.uses, view.selector, view.paused) == ((use("db", "env"),), None, True)


@pytest.mark.parametrize(("condition", "finished"), [("Complete", True), ("Failed", True), ("Suspended", False)])
def test_a_job_is_finished_once_it_is_complete_or_failed(condition: str, finished: bool) -> None:
    owner = {"kind": "CronJob", "uid": "cron", "controller": True}
    spec = {"selector": {"matchLabels": {"job": "a"}}, "template": TEMPLATE}
    item = raw(spec, {"conditions": [{"type": condition, "status": "True"}]}, ownerReferences=[owner])
    view = workload_view(WorkloadKind.JOB, item)
    assert (view.finished, view.owner_uid, view.selector) == (finished, "cron", "job=a")


def test_a_bare_pod_is_a_workload_without_a_selector() -> None:
    view = workload_view(WorkloadKind.POD, raw(container(env=[ENV]), {"phase": "Running"}))
    assert (view.uses, view.selector, view.finished) == ((use("db", "env"),), None, False)


def statuses(**fields: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "ready": False, **fields}]}


CRASH = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": CREATED, "message": "canary"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "canary"}}

PROBLEMS = [
    ({"conditions": [{"type": "Ready", "status": "True"}]}, None),
    (statuses(state={"waiting": {"reason": "ContainerCreating"}}), None),
    (statuses(state={"waiting": {"reason": "ImagePullBackOff", "message": "canary"}}), "container main: ImagePullBackOff"),
    (statuses(state=BACK_OFF, lastState=CRASH), "container main: CrashLoopBackOff after exit code 1"),
    (statuses(state=CRASH), "container main: Error, exit code 1"),
    (statuses(state={"running": {"startedAt": CREATED}}, lastState=CRASH), "container main: running, not ready after exit code 1"),
    (statuses(state={"running": {"startedAt": CREATED}}, started=False), "container main: running, not started yet"),
    (statuses(state={"running": {"startedAt": CREATED}}, started=True), None),
    ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, "not scheduled: Unschedulable"),
    ({"phase": "Failed", "reason": "Evicted", "message": "canary"}, "Evicted"),
    ({"phase": "Succeeded", **statuses(state={"terminated": {"exitCode": 0}})}, None),
]


@pytest.mark.parametrize(("status", "problem"), PROBLEMS)
def test_a_pods_problem_is_a_reason_and_never_a_message(status: dict[str, Any], problem: str | None) -> None:
    assert pod_view(raw({}, status)).problem == problem


def test_the_first_start_is_the_earliest_of_any_container_before_its_restarts_too() -> None:
    init = {"name": "i", "state": {"terminated": {"exitCode": 0, "startedAt": "2026-11-21T10:00:03Z"}}}
    main = {"name": "m", "state": {"running": {"startedAt": "2026-11-21T10:00:09Z"}}}
    main["lastState"] = {"terminated": {"exitCode": 1, "startedAt": "2026-11-21T10:00:05Z"}}
    view = pod_view(raw({}, {"initContainerStatuses": [init], "containerStatuses": [main]}))
    assert view.first_started == datetime(2026, 11, 21, 10, 0, 3, tzinfo=UTC)


def test_a_pod_that_is_being_deleted_is_terminating_and_one_that_is_over_has_ended() -> None:
    assert pod_view(raw({}, {"phase": "Running"}, deletionTimestamp=CREATED)).terminating
    assert not pod_view(raw({}, {"phase": "Running"})).ended
    assert pod_view(raw({}, {"phase": "Failed"})).ended
