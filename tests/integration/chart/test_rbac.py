"""What RBAC lets the operator do, as a real API server reads the chart's roles, and what it adds to the cluster's own."""

from __future__ import annotations

import pytest
from tests.support.eventually import wait_until
from tests.support.release import Release

from keyturn_lab.controlplane import ApiError

NEEDED = (
    ("get list watch", "rotatingsecrets.keyturn.dev"),
    ("get list watch create patch delete", "rotationruns.keyturn.dev"),
    ("get list watch", "awsconnections.keyturn.dev"),
    ("patch", "rotatingsecrets.keyturn.dev/status"),
    ("patch", "rotationruns.keyturn.dev/status"),
    ("patch", "awsconnections.keyturn.dev/status"),
    ("get list watch create update", "secrets"),
    ("get list watch patch", "deployments.apps"),
    ("get list watch patch", "statefulsets.apps"),
    ("get list watch patch", "daemonsets.apps"),
    ("get list watch patch", "rollouts.argoproj.io"),
    ("get list watch", "cronjobs.batch"),
    ("get list watch", "jobs.batch"),
    ("get list", "pods"),
    ("get", "namespaces"),
    ("create patch", "events"),
    ("create patch", "events.events.k8s.io"),
)
CLUSTER_WIDE = (
    ("get list watch", "clusterawsconnections.keyturn.dev"),
    ("patch", "clusterawsconnections.keyturn.dev/status"),
)
NEVER = (
    ("delete patch deletecollection", "secrets"),
    ("create update delete", "deployments.apps"),
    ("update patch", "deployments.apps/scale"),
    ("create update delete patch", "rotatingsecrets.keyturn.dev"),
    ("update", "rotationruns.keyturn.dev"),
    ("create patch", "rotationruns.keyturn.dev/finalizers"),
    ("create update patch delete", "clusterawsconnections.keyturn.dev"),
    ("create delete patch", "pods"),
    ("create", "pods/exec"),
    ("create", "serviceaccounts/token"),
    ("list watch create patch", "namespaces"),
    ("create update patch", "jobs.batch"),
    ("bind escalate create", "roles.rbac.authorization.k8s.io"),
    ("get list", "configmaps"),
    ("get list watch", "customresourcedefinitions.apiextensions.k8s.io"),
)


def each(table: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Verb and resource of each right."""
    return [(verb, resource) for verbs, resource in table for verb in verbs.split()]


@pytest.mark.parametrize(("verb", "resource"), each(NEEDED + CLUSTER_WIDE))
def test_the_operator_may_do_its_work_in_every_namespace(release: Release, verb: str, resource: str) -> None:
    assert release.may(verb, resource, namespace="" if "cluster" in resource else "kube-system")


@pytest.mark.parametrize(("verb", "resource"), each(NEVER))
def test_the_operator_may_do_nothing_that_its_work_does_not_need(release: Release, verb: str, resource: str) -> None:
    assert not release.may(verb, resource, namespace=release.tenant)


@pytest.mark.parametrize(("verb", "resource"), each(NEEDED))
def test_told_its_namespaces_it_may_do_its_work_there_and_nowhere_else(namespaced: Release, verb: str, resource: str) -> None:
    assert namespaced.may(verb, resource, namespace=namespaced.tenant)
    assert not namespaced.may(verb, resource, namespace="kube-system")
    assert not namespaced.may(verb, resource)


@pytest.mark.parametrize(("verb", "resource"), each(CLUSTER_WIDE))
def test_told_its_namespaces_it_still_reads_cluster_wide_connections(namespaced: Release, verb: str, resource: str) -> None:
    assert namespaced.may(verb, resource)


def test_told_its_namespaces_it_reads_no_secret_of_its_own_namespace(namespaced: Release) -> None:
    assert not namespaced.may("get", "secrets", namespace=namespaced.namespace)


def test_told_its_namespaces_its_hold_on_runs_ends_with_them(namespaced: Release) -> None:
    """Elsewhere another release may be the operator."""
    policy = namespaced.admin.get("ValidatingAdmissionPolicy", f"{namespaced.name}-runs")
    [expression] = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespaced.tenant]}


@pytest.mark.parametrize("verb", ["get", "update"])
def test_the_operator_may_touch_its_own_lease_only(release: Release, verb: str) -> None:
    lease = "leases.coordination.k8s.io"
    assert release.may(verb, lease, namespace=release.namespace, name=release.name)
    assert not release.may(verb, lease, namespace=release.namespace, name="another")
    assert not release.may(verb, lease, namespace="kube-system", name="kube-scheduler")


def test_the_operator_may_create_a_lease_in_its_own_namespace_only(release: Release) -> None:
    assert release.may("create", "leases.coordination.k8s.io", namespace=release.namespace)
    assert not release.may("create", "leases.coordination.k8s.io", namespace="kube-node-lease")


def test_the_operators_own_token_is_good_for_its_work(release: Release) -> None:
    operator = release.operator()
    assert operator.list("Secret") == []
    with pytest.raises(ApiError, match="cannot list resource"):
        operator.list("ConfigMap")


@pytest.mark.parametrize(
    ("role", "may"),
    [("view", {"get", "list", "watch"}), ("edit", {"get", "list", "watch", "create", "update", "patch", "delete"})],
)
def test_people_with_the_clusters_own_roles_get_rights_to_the_kinds(release: Release, role: str, may: set[str]) -> None:
    person = f"{role}er@example.com"
    release.admin.create(_binding(role, person))
    wait_until(
        lambda: all(release.may(verb, "rotatingsecrets.keyturn.dev", namespace=release.tenant, user=person) for verb in may),
        what=f"the role {role} to be aggregated",
    )
    refused = {"get", "create", "update", "patch", "delete"} - may
    assert not any(release.may(verb, "rotationruns.keyturn.dev", namespace=release.tenant, user=person) for verb in refused)
    assert not release.may("patch", "rotatingsecrets.keyturn.dev/status", namespace=release.tenant, user=person)


def test_viewers_of_the_kinds_read_no_secrets(release: Release) -> None:
    auditor = "auditor@example.com"
    release.admin.create(_binding("view", auditor))
    wait_until(
        lambda: release.may("get", "rotatingsecrets.keyturn.dev", namespace=release.tenant, user=auditor),
        what="the role view to be aggregated",
    )
    assert not release.may("get", "secrets", namespace=release.tenant, user=auditor)


def _binding(role: str, person: str) -> dict[str, object]:
    api = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"generateName": f"{role}-"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": person}],
    }
