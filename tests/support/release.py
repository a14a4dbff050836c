"""The chart as a release on a real control plane, and what the API server lets its service account do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object
from tests.support.lab import fresh_namespace

from keyturn_lab import helm
from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.controlplane.cluster import admin_client

CHART = Path(__file__).parents[2] / "charts" / "keyturn"
POLICIES = ("workloads", "secrets", "runs")


@dataclass(frozen=True, slots=True)
class Release:
    """An installed chart. Objects without a namespace of their own are named after it."""

    plane: ControlPlane
    name: str
    namespace: str
    """Of the operator."""
    tenant: str
    """A namespace in which it works."""

    @property
    def admin(self) -> Kube:
        """The cluster's admin, in the tenant's namespace."""
        return Kube(self.plane.client, self.tenant)

    @property
    def username(self) -> str:
        """The operator's, as the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def operator(self) -> Kube:
        """The operator by its own service account's token, in the tenant's namespace."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.name}/token"
        token = self.plane.client.request("POST", path, {"spec": {}})["status"]["token"]
        return Kube(admin_client(self.plane.url, self.plane.ca, token), self.tenant)

    def may(self, verb: str, resource: str, *, namespace: str = "", name: str = "", user: str = "") -> bool:
        """Does RBAC let the operator, or another user, do this? `resource` is `plural[.group][/subresource]`."""
        resource, _, subresource = resource.partition("/")
        plural, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, "namespace": namespace, "name": name}
        review = {"spec": {"user": user or self.username, "resourceAttributes": attributes}}
        answer = self.plane.client.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])


@contextmanager
def installed(
    plane: ControlPlane, values: Mapping[str, Any], *, in_its_namespaces_only: bool = False, wait: bool = False
) -> Iterator[Release]:
    """A release of a random name in a namespace that enforces Pod Security `restricted`."""
    with fresh_namespace(plane) as namespace, fresh_namespace(plane) as tenant:
        release = Release(plane, f"keyturn-{secrets.token_hex(3)}", namespace, tenant)
        _enforce_restricted(release)
        own = {
            "aws": {"region": "eu-west-1"},
            "connection": {"name": release.name},
            "namespaces": [tenant] if in_its_namespaces_only else [],
        }
        helm.install(plane.kubeconfig, release.name, namespace, _merged(own, values), CHART, wait=wait)
        try:
            yield release
        finally:
            helm.uninstall(plane.kubeconfig, release.name, namespace)
            wait_until(lambda: not _in_force(release, "runs", release.admin), what=f"the policy {release.name}-runs to be forgotten")


@contextmanager
def held_by_policies_only(release: Release) -> Iterator[Kube]:
    """The operator with all rights that RBAC can give, so that nothing but the policies refuses; returns once they are in force."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{release.name}-everything"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": release.name, "namespace": release.namespace}],
    }
    release.admin.create(binding)
    try:
        operator = release.operator()
        for policy in POLICIES:
            wait_until(partial(_in_force, release, policy, operator), what=f"the policy {release.name}-{policy}")
        yield operator
    finally:
        release.admin.delete("ClusterRoleBinding", f"{release.name}-everything")


def rotation_run(**spec: str) -> Object:
    """A RotationRun that is asked for."""
    body = {"secretRef": {"name": "orders-db"}, **spec}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotationRun", "metadata": {"generateName": "orders-db-"}, "spec": body}


def deployment(name: str = "web") -> Object:
    """A workload whose template has an annotation of somebody else's."""
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {"example.com/owner": "shop"}},
        "spec": {"containers": [{"name": "main", "image": "web", "env": [{"name": "A", "value": "1"}]}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> Object:
    """As Helm merges values."""
    both = {key: _merged(values[key], over[key]) for key in values.keys() & over.keys() if isinstance(values[key], dict)}
    return {**values, **over, **both}


def _enforce_restricted(release: Release) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    release.admin.patch("Namespace", release.namespace, {"metadata": {"labels": labels}})


def _in_force(release: Release, policy: str, operator: Kube) -> bool:
    """Is a request refused that this policy must refuse? Nothing is written."""
    namespace = release.tenant
    probes: dict[str, tuple[str, Object]] = {
        "workloads": (f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("probe")),
        "secrets": (f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "probe"}}),
        "runs": (f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/rotationruns", rotation_run(trigger="Edited")),
    }
    path, body = probes[policy]
    client = release.plane.client if policy == "runs" else operator.client
    try:
        client.request("POST", f"{path}?dryRun=All", body)
    except ApiError as error:
        return f"'{release.name}-{policy}'" in error.message
    return False
