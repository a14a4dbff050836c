"""The admission policies on a real API server: what each refuses the operator, and what it lets through.

The operator has every right that RBAC can give here, so a refusal is a policy's, and it must name the policy.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object
from tests.support.release import Release, deployment, held_by_policies_only, rotation_run

from keyturn_lab.controlplane import ApiError

MANAGED = {"keyturn.dev/managed": "true"}
CAUSES = {
    "Schedule": {"trigger": "Schedule", "slot": "2026-01-01T03:00:00Z"},
    "Observed": {"trigger": "Observed", "versionId": "11111111-2222-3333-4444-555555555555"},
    "Edited": {"trigger": "Edited"},
}
ROLLOUTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "scope": "Namespaced",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
Consumer = tuple[str, str]


@pytest.fixture(scope="module")
def operator(release: Release) -> Iterator[Kube]:
    """The operator, held by nothing but the policies."""
    with held_by_policies_only(release) as unleashed:
        yield unleashed


@pytest.fixture
def admin(release: Release) -> Kube:
    """Somebody else."""
    return release.admin


@pytest.fixture(scope="module")
def rollouts(release: Release) -> Iterator[None]:
    """The kind Rollout, as far as policies see it."""
    release.admin.create(ROLLOUTS)
    wait_until(lambda: release.plane.client.answers("/apis/argoproj.io/v1alpha1/rollouts"), what="rollouts to be served")
    yield
    release.admin.delete("CustomResourceDefinition", "rollouts.argoproj.io")
    release.admin.wait_gone("CustomResourceDefinition", "rollouts.argoproj.io")


@pytest.fixture(params=["Deployment", "StatefulSet", "DaemonSet", "Rollout"])
def consumer(request: pytest.FixtureRequest, admin: Kube, rollouts: None) -> Iterator[Consumer]:
    """Kind and name of a workload that is not the operator's."""
    kind, name = request.param, f"web-{secrets.token_hex(3)}"
    body = {**deployment(name), "kind": kind}
    if kind == "Rollout":
        body["apiVersion"] = "argoproj.io/v1alpha1"
    if kind == "DaemonSet":
        del body["spec"]["replicas"]
    admin.create(body)
    yield kind, name
    admin.delete(kind, name)


def template(annotations: dict[str, str | None]) -> Object:
    """A patch of a pod template's annotations."""
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def refused(caught: pytest.ExceptionInfo[ApiError], release: Release, policy: str, message: str) -> None:
    """The refusal is this policy's, and says this."""
    assert caught.value.status == 403
    assert f"ValidatingAdmissionPolicy '{release.name}-{policy}'" in caught.value.message
    assert message in caught.value.message


# --- workloads


def test_the_operator_may_set_change_and_remove_its_annotation_on_a_pod_template(operator: Kube, consumer: Consumer) -> None:
    for value in ("v1.1", "v2.2", None):
        patched = operator.patch(*consumer, template({"keyturn.dev/orders-db": value}))
        assert patched["spec"]["template"]["metadata"]["annotations"].get("keyturn.dev/orders-db") == value


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (template({"example.com/owner": "mallory"}), "no annotation of a pod template but those under keyturn.dev/"),
        (template({"example.com/owner": None}), "no annotation of a pod template but those under keyturn.dev/"),
        (template({"notkeyturn.dev/orders-db": "v1"}), "no annotation of a pod template but those under keyturn.dev/"),
        (template({"keyturn.dev/orders-db": "v1", "example.com/more": "x"}), "no annotation of a pod template"),
        ({"spec": {"template": {"metadata": {"labels": {"tier": "front"}}}}}, "nothing of a pod template but its annotations"),
        ({"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}}, "nothing of a pod template but its annotations"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "evil"}]}}}}, "nothing of a pod template"),
        ({"spec": {"minReadySeconds": 9}}, "nothing of a workload's spec but annotations of its pod template"),
        ({"metadata": {"annotations": {"keyturn.dev/orders-db": "v1"}}}, "may not change the metadata of a workload"),
        ({"metadata": {"labels": {"app": None}}}, "may not change the metadata of a workload"),
        ({"metadata": {"finalizers": ["keyturn.dev/hold"]}}, "may not change the metadata of a workload"),
    ],
    ids=[
        "another annotation changed",
        "another annotation removed",
        "an annotation that looks similar",
        "another annotation besides",
        "a label of the template",
        "the service account",
        "the image",
        "another field of the spec",
        "an annotation of the workload itself",
        "a label of the workload",
        "a finalizer",
    ],
)
def test_the_operator_may_change_nothing_else_of_a_workload(
    operator: Kube, release: Release, consumer: Consumer, patch: Object, message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        operator.patch(*consumer, patch)
    refused(caught, release, "workloads", message)


def test_the_operator_may_not_create_a_workload(operator: Kube, release: Release) -> None:
    with pytest.raises(ApiError) as caught:
        operator.create(deployment())
    refused(caught, release, "workloads", "neither create, delete nor scale")


def test_the_operator_may_not_delete_a_workload(operator: Kube, release: Release, consumer: Consumer) -> None:
    with pytest.raises(ApiError) as caught:
        operator.delete(*consumer)
    refused(caught, release, "workloads", "neither create, delete nor scale")


def test_the_operator_may_not_scale_a_workload(operator: Kube, release: Release, admin: Kube) -> None:
    created = admin.create(deployment(f"web-{secrets.token_hex(3)}"))
    with pytest.raises(ApiError) as caught:
        operator.patch("Deployment", created["metadata"]["name"], {"spec": {"replicas": 3}}, subresource="scale")
    refused(caught, release, "workloads", "neither create, delete nor scale")


def test_nobody_else_is_held_to_annotations_of_workloads(admin: Kube, consumer: Consumer) -> None:
    patched = admin.patch(*consumer, template({"example.com/owner": "pay"}))
    assert patched["spec"]["template"]["metadata"]["annotations"] == {"example.com/owner": "pay"}


def test_a_rollout_without_a_template_of_its_own_is_held_too(operator: Kube, release: Release, admin: Kube, rollouts: None) -> None:
    body = {**deployment(f"web-{secrets.token_hex(3)}"), "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    body["spec"] = {"workloadRef": {"kind": "Deployment", "name": "web"}}
    name = admin.create(body)["metadata"]["name"]
    with pytest.raises(ApiError) as caught:
        operator.patch("Rollout", name, {"spec": {"workloadRef": {"name": "another"}}})
    refused(caught, release, "workloads", "nothing of a workload's spec")
    operator.patch("Rollout", name, template({"keyturn.dev/orders-db": "v1.1"}))


# --- Secrets


def secret(*, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, type: str = "Opaque") -> Object:
    """A Secret of a random name, without values."""
    metadata = {"name": f"orders-{secrets.token_hex(3)}", "labels": labels or {}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type}


def replaced(client: Kube, item: Object, **changes: dict[str, str]) -> Object:
    """The Secret after a PUT with these labels or annotations."""
    body = {**item, "metadata": {**item["metadata"], **changes}}
    path = f"/api/v1/namespaces/{client.namespace}/secrets/{item['metadata']['name']}"
    return client.client.request("PUT", path, body)


def test_the_operator_may_create_and_replace_secrets_that_carry_its_label(operator: Kube) -> None:
    created = operator.create(secret(labels=MANAGED))
    updated = replaced(operator, created, labels={**MANAGED, "team": "shop"})
    assert updated["metadata"]["labels"]["team"] == "shop"


@pytest.mark.parametrize("labels", [{}, {"keyturn.dev/managed": "false"}, {"team": "shop"}], ids=str)
def test_the_operator_may_not_create_a_secret_without_its_label(operator: Kube, release: Release, labels: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        operator.create(secret(labels=labels))
    refused(caught, release, "secrets", "only write Secrets with the label keyturn.dev/managed=true")


@pytest.mark.parametrize("type", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"])
def test_the_operator_may_not_create_a_secret_that_is_a_token_or_somebody_elses_record(operator: Kube, release: Release, type: str) -> None:
    with pytest.raises(ApiError) as caught:
        operator.create(secret(labels=MANAGED, type=type, annotations={"kubernetes.io/service-account.name": "default"}))
    refused(caught, release, "secrets", "may not write Secrets of this type")


def test_the_operator_may_not_take_over_a_secret_that_does_not_consent(operator: Kube, release: Release, admin: Kube) -> None:
    theirs = admin.create(secret())
    with pytest.raises(ApiError) as caught:
        replaced(operator, theirs, labels=MANAGED, annotations={"keyturn.dev/adopt-by": "orders-db"})
    refused(caught, release, "secrets", "that it wrote, or that consent")


def test_the_operator_may_take_over_a_secret_that_consents(operator: Kube, admin: Kube) -> None:
    theirs = admin.create(secret(annotations={"keyturn.dev/adopt-by": "orders-db"}))
    assert replaced(operator, theirs, labels=MANAGED)["metadata"]["labels"] == MANAGED


def test_the_operator_may_put_back_a_label_that_somebody_took_off(operator: Kube, admin: Kube) -> None:
    created = operator.create(secret(labels=MANAGED, annotations={"keyturn.dev/version": "v1"}))
    bare = replaced(admin, created, labels={})
    assert replaced(operator, bare, labels=MANAGED)["metadata"]["labels"] == MANAGED


def test_the_operator_may_not_take_its_label_off(operator: Kube, release: Release) -> None:
    created = operator.create(secret(labels=MANAGED))
    with pytest.raises(ApiError) as caught:
        replaced(operator, created, labels={})
    refused(caught, release, "secrets", "only write Secrets with the label")


def test_the_operator_may_not_delete_a_secret_even_of_its_own(operator: Kube, release: Release) -> None:
    created = operator.create(secret(labels=MANAGED))
    with pytest.raises(ApiError) as caught:
        operator.delete("Secret", created["metadata"]["name"])
    refused(caught, release, "secrets", "may not delete Secrets")


def test_nobody_else_is_held_to_the_label(admin: Kube) -> None:
    created = admin.create(secret(type="example.com/anything"))
    admin.delete("Secret", created["metadata"]["name"])
    assert admin.find("Secret", created["metadata"]["name"]) is None


# --- RotationRuns


@pytest.mark.usefixtures("operator")  # which waits until the policies are in force
@pytest.mark.parametrize("trigger", CAUSES)
def test_nobody_but_the_operator_may_say_that_a_run_was_not_asked_for(release: Release, admin: Kube, trigger: str) -> None:
    with pytest.raises(ApiError) as caught:
        admin.create(rotation_run(**CAUSES[trigger]))
    refused(caught, release, "runs", "only Keyturn may create a RotationRun with this trigger")


@pytest.mark.parametrize("trigger", CAUSES)
def test_the_operator_may(operator: Kube, trigger: str) -> None:
    created = operator.create(rotation_run(**CAUSES[trigger]))
    assert created["spec"]["trigger"] == trigger


@pytest.mark.parametrize("spec", [{}, {"trigger": "Manual"}], ids=["absent", "Manual"])
def test_anybody_with_the_right_may_ask_for_a_run(admin: Kube, spec: dict[str, str]) -> None:
    assert admin.create(rotation_run(**spec))["spec"]["trigger"] == "Manual"
