"""Restarting workloads and reading their pods, as the API server and the controllers see it."""

from __future__ import annotations

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.workload_views import workload_view
from keyturn.adapters.kube.workloads import KubeWorkloads
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import WorkloadKind, WorkloadView
from keyturn_lab.node import Node

ANNOTATION = "keyturn.dev/orders-db"
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture
def workloads(client: KubeClient) -> KubeWorkloads:
    return KubeWorkloads(client)


def workload(kind: str = "Deployment", name: str = "api", *, command: str = SLEEP, env: list[Object] | None = None) -> Object:
    labels = {"app": name}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "sh", "args": [command], "env": env or []}]}
    spec: Object = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    spec |= {} if kind == "DaemonSet" else {"replicas": 1}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def view(kube: Kube, kind: str = "Deployment", name: str = "api") -> WorkloadView:
    return workload_view(WorkloadKind(kind), kube.get(kind, name))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_restart_sets_the_one_annotation_and_nothing_else(workloads: KubeWorkloads, kube: Kube, kind: str) -> None:
    before = kube.create(workload(kind))
    answer = await workloads.restart(view(kube, kind), annotation=ANNOTATION, value="v2.2")
    after = kube.get(kind, "api")
    assert after["spec"]["template"]["metadata"].pop("annotations") == {ANNOTATION: "v2.2"}
    assert after["spec"]["template"]["metadata"]["labels"] == before["spec"]["template"]["metadata"]["labels"]
    assert after["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    assert answer.template_annotations == {ANNOTATION: "v2.2"}
    assert answer.generation == before["metadata"]["generation"] + 1


async def test_the_same_restart_twice_restarts_once(workloads: KubeWorkloads, kube: Kube) -> None:
    kube.create(workload())
    first = await workloads.restart(view(kube), annotation=ANNOTATION, value="v2.2")
    again = await workloads.restart(view(kube), annotation=ANNOTATION, value="v2.2")
    assert again.generation == first.generation


async def test_two_rotatingsecrets_leave_each_others_annotation_alone(workloads: KubeWorkloads, kube: Kube) -> None:
    kube.create(workload())
    await workloads.restart(view(kube), annotation=ANNOTATION, value="v2.2")
    answer = await workloads.restart(view(kube), annotation="keyturn.dev/other", value="v9.1")
    assert answer.template_annotations == {ANNOTATION: "v2.2", "keyturn.dev/other": "v9.1"}


async def test_restarting_another_workload_of_the_same_name_is_a_conflict(workloads: KubeWorkloads, kube: Kube) -> None:
    kube.create(workload())
    seen = view(kube)
    kube.delete("Deployment", "api")
    kube.create(workload())
    with pytest.raises(OutsideError) as refused:
        await workloads.restart(seen, annotation=ANNOTATION, value="v2.2")
    assert refused.value.kind is FailureKind.CONFLICT
    assert "annotations" not in kube.get("Deployment", "api")["spec"]["template"]["metadata"]


async def test_restarting_a_workload_that_is_gone_is_missing(workloads: KubeWorkloads, kube: Kube) -> None:
    kube.create(workload())
    seen = view(kube)
    kube.delete("Deployment", "api")
    with pytest.raises(OutsideError) as refused:
        await workloads.restart(seen, annotation=ANNOTATION, value="v2.2")
    assert refused.value.kind is FailureKind.MISSING


async def test_who_reverted_the_annotation_is_found(workloads: KubeWorkloads, kube: Kube) -> None:
    item = workload()
    kube.apply(item)
    seen = await workloads.restart(view(kube), annotation=ANNOTATION, value="v2.2")
    assert await workloads.annotation_owner(seen, ANNOTATION) == "keyturn-tests", "it owns the template around it"
    item["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: "theirs"}
    kube.apply(item)
    assert await workloads.annotation_owner(seen, ANNOTATION) == "keyturn-tests"


async def test_a_ready_pod_is_ready_with_its_start_and_its_references(
    workloads: KubeWorkloads, kube: Kube, namespace: str, node: Node
) -> None:
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-db"}, "stringData": {"p": "x"}})
    reference = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "orders-db", "key": "p"}}}
    kube.create(workload(env=[reference]))
    kube.wait_for("Deployment", "api", lambda seen: seen["status"]["availableReplicas"] == 1)
    (pod,) = await workloads.pods(namespace, "app=api")
    assert pod.ready
    assert pod.problem is None
    assert pod.first_started is not None
    assert pod.first_started >= pod.created
    assert [(use.secret, sorted(use.by)) for use in pod.uses] == [("orders-db", ["env"])]
    assert view(kube).available == 1


async def test_a_pod_that_waits_for_a_secret_has_not_started_and_says_why(
    workloads: KubeWorkloads, kube: Kube, namespace: str, node: Node
) -> None:
    kube.create(workload(env=[{"name": "P", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": "p"}}}]))
    kube.wait_for("Deployment", "api", lambda seen: seen["status"]["unavailableReplicas"] == 1)
    wait_until(lambda: kube.list("Pod", labels="app=api")[0]["status"].get("containerStatuses"), what="the node's word on the container")
    (seen,) = await workloads.pods(namespace, "app=api")
    assert (seen.first_started, seen.problem) == (None, "container main: CreateContainerConfigError")


async def test_pods_come_in_pages_and_only_those_that_match(
    workloads: KubeWorkloads, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.adapters.kube.workloads.PAGE", 2)
    for number in range(5):
        kube.create(bare_pod(f"a{number}", "a"))
    kube.create(bare_pod("b0", "b"))
    assert sorted(pod.name for pod in await workloads.pods(namespace, "app in (a)")) == ["a0", "a1", "a2", "a3", "a4"]
    assert len(await workloads.pods(namespace, None)) == 6


def bare_pod(name: str, app: str) -> Object:
    """Never scheduled: no node has that label."""
    spec = {"containers": [{"name": "main", "image": "sh"}], "nodeSelector": {"no": "node"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}
