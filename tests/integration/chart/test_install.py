"""The chart as a release: everything that it renders is accepted by a real API server, and goes away with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import helm_python
import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object
from tests.support.release import CHART, POLICIES, Release, installed

from keyturn_lab import helm
from keyturn_lab.controlplane import ControlPlane

Values = dict[str, Any]


def test_both_operator_pods_are_admitted_where_pod_security_restricted_is_enforced(release: Release) -> None:
    wait_until(lambda: len(_pods(release)) == 2, what="the operator's pods")


def test_pod_security_restricted_is_really_enforced_there(release: Release) -> None:
    pod = {"metadata": {"name": "careless"}, "spec": {"containers": [{"name": "main", "image": "web"}]}}
    with pytest.raises(Exception, match='violates PodSecurity "restricted'):
        release.plane.client.request("POST", f"/api/v1/namespaces/{release.namespace}/pods", pod)


def test_the_connection_has_the_defaults_of_the_chart(release: Release) -> None:
    spec = release.admin.get("ClusterAWSConnection", release.name)["spec"]
    allow = [{"namespaces": {"all": True}, "secrets": ["{namespace}/**"], "verbs": ["Mirror", "Rotate"]}]
    assert spec == {"region": "eu-west-1", "pollInterval": "1m", "maxRotations": 20, "allow": allow}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_api_server_finds_no_fault_with_the_types_of_a_policy(release: Release, policy: str) -> None:
    checked = release.admin.wait_for(
        "ValidatingAdmissionPolicy", f"{release.name}-{policy}", lambda seen: "typeChecking" in seen["status"], timeout=30
    )
    assert checked["status"]["typeChecking"] == {}


def test_what_was_installed_is_gone_after_uninstalling_but_the_crds(control_plane: ControlPlane) -> None:
    with installed(control_plane, {}) as made:
        objects = _rendered(made, {"connection": {"name": made.name}})
        assert [item for item in objects if not _find(made, item)] == []
    for item in objects:
        wait_until(partial(_is_gone, made, item), what=f"{item['kind']} {item['metadata']['name']} to be gone")
    assert made.admin.find("CustomResourceDefinition", "rotatingsecrets.keyturn.dev")


def test_an_upgrade_brings_a_release_to_other_values(control_plane: ControlPlane) -> None:
    with installed(control_plane, {}) as made:
        values: Values = {
            "aws": {"region": "eu-west-1"},
            "connection": {"name": made.name, "maxRotations": 7},
            "policies": {"secrets": False},
        }
        helm.upgrade(control_plane.kubeconfig, made.name, made.namespace, values, CHART)
        assert made.admin.get("ClusterAWSConnection", made.name)["spec"]["maxRotations"] == 7
        assert made.admin.find("ValidatingAdmissionPolicy", f"{made.name}-secrets") is None


def test_values_that_the_schema_refuses_install_nothing(control_plane: ControlPlane, namespace: str, kube: Kube) -> None:
    with pytest.raises(helm_python.HelmError, match="replicas"):
        helm.install(control_plane.kubeconfig, "keyturn-refused", namespace, {"replicas": "many"}, CHART)
    assert kube.find("Deployment", "keyturn-refused") is None
    assert kube.list("Secret") == []


def test_uninstalling_what_is_not_there_is_no_error(control_plane: ControlPlane, namespace: str) -> None:
    helm.uninstall(control_plane.kubeconfig, "keyturn-never", namespace)


def _rendered(release: Release, values: Values) -> tuple[Object, ...]:
    return helm.template(release.name, release.namespace, {"aws": {"region": "eu-west-1"}, **values}, CHART).objects


def _find(release: Release, item: Object) -> Object | None:
    return release.admin.find(item["kind"], item["metadata"]["name"], namespace=item["metadata"].get("namespace"))


def _is_gone(release: Release, item: Object) -> bool:
    return _find(release, item) is None


def _pods(release: Release) -> list[Object]:
    return release.admin.list("Pod", labels=f"app.kubernetes.io/instance={release.name}", namespace=release.namespace)
