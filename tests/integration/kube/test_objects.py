"""Runs, statuses, credentials and namespace labels."""

from __future__ import annotations

import pytest
from tests.support.kube import Kube, Object

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.objects import KubeObjects
from keyturn.domain.failures import FailureKind, OutsideError

pytestmark = pytest.mark.usefixtures("crds")


@pytest.fixture
def objects(client: KubeClient) -> KubeObjects:
    return KubeObjects(client)


@pytest.fixture
def parent(kube: Kube) -> Object:
    spec = {"secretId": "shop/orders/db"}
    return kube.create({"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "metadata": {"name": "orders-db"}, "spec": spec})


def run(name: str = "orders-db-1") -> Object:
    spec = {"secretRef": {"name": "orders-db"}, "trigger": "Manual"}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotationRun", "metadata": {"name": name}, "spec": spec}


def owner(parent: Object) -> Object:
    return {"apiVersion": parent["apiVersion"], "kind": parent["kind"], "name": "orders-db", "uid": parent["metadata"]["uid"]}


async def test_a_run_is_created_once(objects: KubeObjects, namespace: str) -> None:
    created = await objects.create_run(namespace, run())
    with pytest.raises(OutsideError) as refused:
        await objects.create_run(namespace, run())
    assert (refused.value.kind, refused.value.reason) == (FailureKind.CONFLICT, "AlreadyExists")
    assert await objects.read_run(namespace, "orders-db-1") == created


async def test_a_run_that_the_schema_refuses_is_invalid_and_says_which_field(objects: KubeObjects, namespace: str) -> None:
    wrong = run()
    wrong["spec"]["trigger"] = "Whim"
    with pytest.raises(OutsideError, match=r"spec\.trigger") as refused:
        await objects.create_run(namespace, wrong)
    assert refused.value.kind is FailureKind.INVALID


async def test_a_run_that_is_not_there_reads_as_none(objects: KubeObjects, namespace: str) -> None:
    assert await objects.read_run(namespace, "nothing") is None


async def test_a_run_is_adopted_unless_it_is_another_one_by_now(objects: KubeObjects, namespace: str, parent: Object) -> None:
    created = await objects.create_run(namespace, run())
    adopted = await objects.adopt_run(namespace, "orders-db-1", uid=created["metadata"]["uid"], owner_reference=owner(parent))
    assert adopted["metadata"]["ownerReferences"] == [owner(parent)]
    with pytest.raises(OutsideError) as refused:
        await objects.adopt_run(namespace, "orders-db-1", uid=parent["metadata"]["uid"], owner_reference=owner(parent))
    assert refused.value.kind is FailureKind.CONFLICT


async def test_a_run_is_deleted_by_uid_and_a_missing_one_is_fine(objects: KubeObjects, kube: Kube, namespace: str, parent: Object) -> None:
    created = await objects.create_run(namespace, run())
    with pytest.raises(OutsideError) as refused:
        await objects.delete_run(namespace, "orders-db-1", uid=parent["metadata"]["uid"])
    assert refused.value.kind is FailureKind.CONFLICT
    await objects.delete_run(namespace, "orders-db-1", uid=created["metadata"]["uid"])
    kube.wait_gone("RotationRun", "orders-db-1")
    await objects.delete_run(namespace, "orders-db-1", uid=created["metadata"]["uid"])


async def test_a_status_patch_merges_and_belongs_to_the_status_manager(
    objects: KubeObjects, kube: Kube, namespace: str, parent: Object
) -> None:
    uid = parent["metadata"]["uid"]
    await objects.patch_status("RotatingSecret", namespace, "orders-db", uid=uid, patch={"observedGeneration": 1})
    answer = await objects.patch_status("RotatingSecret", namespace, "orders-db", uid=uid, patch={"activeRun": "orders-db-1"})
    assert answer["status"] == {"observedGeneration": 1, "activeRun": "orders-db-1"}
    managers = {
        entry["manager"]: entry.get("subresource") for entry in kube.get("RotatingSecret", "orders-db")["metadata"]["managedFields"]
    }
    assert managers["keyturn-status"] == "status"


async def test_a_status_patch_of_another_object_of_that_name_is_a_conflict(objects: KubeObjects, namespace: str, parent: Object) -> None:
    other = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(OutsideError) as refused:
        await objects.patch_status("RotatingSecret", namespace, "orders-db", uid=other, patch={"observedGeneration": 1})
    assert refused.value.kind is FailureKind.CONFLICT


async def test_a_status_patch_of_what_was_seen_before_somebody_changed_it_is_a_conflict(
    objects: KubeObjects, kube: Kube, namespace: str, parent: Object
) -> None:
    uid, version = parent["metadata"]["uid"], parent["metadata"]["resourceVersion"]
    newer = kube.patch("RotatingSecret", "orders-db", {"metadata": {"labels": {"newer": "yes"}}})["metadata"]["resourceVersion"]
    patch = {"observedGeneration": 1}
    with pytest.raises(OutsideError) as refused:
        await objects.patch_status("RotatingSecret", namespace, "orders-db", uid=uid, patch=patch, resource_version=version)
    assert refused.value.kind is FailureKind.CONFLICT
    answer = await objects.patch_status("RotatingSecret", namespace, "orders-db", uid=uid, patch=patch, resource_version=newer)
    assert answer["status"] == patch


async def test_the_status_of_a_cluster_wide_kind_is_patched_too(objects: KubeObjects, kube: Kube, namespace: str) -> None:
    item = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ClusterAWSConnection", "metadata": {"name": namespace}}
    created = kube.create(item | {"spec": {"region": "eu-west-1"}})
    patch = {"observedGeneration": 1}
    answer = await objects.patch_status("ClusterAWSConnection", None, namespace, uid=created["metadata"]["uid"], patch=patch)
    kube.delete("ClusterAWSConnection", namespace)
    assert answer["status"] == patch


async def test_credentials_are_read_without_trailing_newlines(objects: KubeObjects, kube: Kube, namespace: str) -> None:
    content = {"aws_access_key_id": "id\n", "aws_secret_access_key": "key\n", "unrelated": "x"}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": content})
    found = await objects.read_credentials(namespace, "keys")
    assert found.values == {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
    assert found.version == kube.get("Secret", "keys")["metadata"]["resourceVersion"]
    assert "key" not in repr(found)


async def test_incomplete_credentials_are_invalid_and_the_key_is_named(objects: KubeObjects, kube: Kube, namespace: str) -> None:
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"aws_access_key_id": "id"}})
    with pytest.raises(OutsideError, match=r"keys holds no usable aws_secret_access_key$") as refused:
        await objects.read_credentials(namespace, "keys")
    assert refused.value.kind is FailureKind.INVALID


async def test_credentials_that_are_nothing_but_a_newline_are_invalid(objects: KubeObjects, kube: Kube, namespace: str) -> None:
    content = {"aws_access_key_id": "\n", "aws_secret_access_key": "key"}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": content})
    with pytest.raises(OutsideError, match=r"aws_access_key_id$") as refused:
        await objects.read_credentials(namespace, "keys")
    assert refused.value.reason == "CredentialsInvalid"


async def test_missing_credentials_are_missing_and_the_secret_is_named(objects: KubeObjects, namespace: str) -> None:
    with pytest.raises(OutsideError, match=f"Secret {namespace}/keys") as refused:
        await objects.read_credentials(namespace, "keys")
    assert (refused.value.kind, refused.value.reason) == (FailureKind.MISSING, "CredentialsNotFound")


async def test_namespace_labels_are_kept_for_half_a_minute(client: KubeClient, kube: Kube, namespace: str) -> None:
    now = 100.0
    objects = KubeObjects(client, clock=lambda: now)
    assert (await objects.namespace_labels(namespace))["kubernetes.io/metadata.name"] == namespace
    kube.patch("Namespace", namespace, {"metadata": {"labels": {"team": "shop"}}})
    now += 29
    assert "team" not in await objects.namespace_labels(namespace)
    now += 2
    assert (await objects.namespace_labels(namespace))["team"] == "shop"
