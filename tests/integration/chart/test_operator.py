"""The operator as pods of the chart, under the rights and policies of the chart, on a lab of its own: what the chart grants is enough.

A lab of its own, because the operator of other tests, an admin's, would do its work for it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.kube import Kube, Object, condition
from tests.support.lab import running_node
from tests.support.release import Release, held_by_policies_only, installed

from keyturn_lab.aws import Aws
from keyturn_lab.controlplane import ControlPlane

Lab = tuple[ControlPlane, Aws]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A user of the operator."""

    release: Release
    aws: Aws

    @property
    def kube(self) -> Kube:
        """His namespace."""
        return self.release.admin

    def promote(self, name: str) -> str:
        """A new random password for the secret in AWS, which is created if it is not there; answers the version's id."""
        client, secret_id = self.aws.client("secretsmanager"), f"{self.release.tenant}/{name}"
        value = json.dumps({"username": "app", "password": secrets.token_hex(12)})
        if secret_id in {found["Name"] for found in client.list_secrets()["SecretList"]}:
            return client.put_secret_value(SecretId=secret_id, SecretString=value)["VersionId"]
        return client.create_secret(Name=secret_id, SecretString=value)["VersionId"]

    def rotating_secret(self, name: str) -> Object:
        """A RotatingSecret for it, by the connection of the release."""
        spec = {
            "secretId": f"{self.release.tenant}/{name}",
            "connectionRef": {"kind": "ClusterAWSConnection", "name": self.release.name},
        }
        return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "metadata": {"name": name}, "spec": spec}

    def deployment(self, name: str) -> Object:
        """A workload that reads the Secret of that name."""
        container = {"name": "main", "image": "sh", "args": ["exec sleep 300"], "envFrom": [{"secretRef": {"name": name}}]}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A control plane with a node, and AWS."""
    with ControlPlane() as plane, running_node(plane), Aws(region="eu-west-1") as aws:
        yield plane, aws


@pytest.fixture(scope="module", params=[False, True], ids=["everywhere", "in one namespace"])
def tenant(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A tenant of a release that Helm has seen ready, in both modes of the chart."""
    plane, aws = lab
    values = {
        "settings": {"leaseSeconds": 4, "marginSeconds": 1},
        "connection": {"pollInterval": "10s"},
        "extraEnv": [{"name": name, "value": value} for name, value in aws.environment.items() if name != "AWS_REGION"],
    }
    with installed(plane, values, in_its_namespaces_only=request.param, wait=True) as release:
        with held_by_policies_only(release):
            pass  # from here on the policies are in force
        yield Tenant(release, aws)


def test_helm_waits_until_both_pods_are_ready_and_aws_is_reached(tenant: Tenant) -> None:
    release = tenant.release
    deployment = release.admin.get("Deployment", release.name, namespace=release.namespace)
    assert deployment["status"]["readyReplicas"] == 2
    assert condition(release.admin.get("ClusterAWSConnection", release.name), "Ready")["status"] == "True"


def test_one_of_the_pods_leads(tenant: Tenant) -> None:
    release = tenant.release
    lease = release.admin.wait_for("Lease", release.name, lambda seen: seen["spec"]["holderIdentity"], namespace=release.namespace)
    pods = {pod["metadata"]["name"] for pod in release.admin.list("Pod", namespace=release.namespace)}
    assert lease["spec"]["holderIdentity"].split("_")[0] in pods


def test_a_promotion_reaches_secret_and_workload_with_the_rights_that_the_chart_grants(tenant: Tenant) -> None:
    kube, first = tenant.kube, tenant.promote("orders-db")
    kube.apply([tenant.rotating_secret("orders-db"), tenant.deployment("orders-db")])
    kube.wait_for("RotatingSecret", "orders-db", lambda seen: seen["status"]["mirror"]["versionId"] == first, timeout=90)
    kube.wait_for("RotatingSecret", "orders-db", lambda seen: condition(seen, "Adopted")["status"] == "True", timeout=90)
    second = tenant.promote("orders-db")
    kube.wait_for("RotatingSecret", "orders-db", lambda seen: seen["status"]["settled"]["versionId"] == second, timeout=120)
    annotations = kube.get("Deployment", "orders-db")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["keyturn.dev/orders-db"].startswith(second)
    assert kube.get("Secret", "orders-db")["metadata"]["annotations"]["keyturn.dev/version"] == second
    assert "Observed" in {run["spec"]["trigger"] for run in kube.list("RotationRun")}
    assert [event for event in kube.list("Event") if event["involvedObject"]["kind"] == "RotationRun"]
    _nothing_was_refused(tenant)


def _nothing_was_refused(tenant: Tenant) -> None:
    release = tenant.release
    for pod in release.admin.list("Pod", namespace=release.namespace):
        log = release.plane.kubectl("logs", f"--namespace={release.namespace}", pod["metadata"]["name"]).stdout
        assert "orbidden" not in log
        assert "Traceback" not in log
