"""Writing the mirrors, as the API server sees it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.kube.conftest import ManifestOf
from tests.support.kube import Kube

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.secrets import KubeSecrets
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.targets import obstacle
from keyturn.engine.ports import LiveSecret

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.fixture
def secrets(client: KubeClient) -> KubeSecrets:
    return KubeSecrets(client)


async def live(secrets: KubeSecrets, namespace: str, name: str = "orders-db") -> LiveSecret:
    found = await secrets.read(namespace, name)
    assert found is not None
    return found


def data(kube: Kube, name: str = "orders-db") -> dict[str, bytes]:
    return {key: b64decode(value) for key, value in kube.get("Secret", name)["data"].items()}


def about_now(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(seconds=5)


async def test_a_created_secret_holds_the_bytes_and_the_answer_tells_version_epoch_and_time(
    secrets: KubeSecrets, kube: Kube, manifest: ManifestOf
) -> None:
    written = await secrets.create(manifest(data={"password": b"\x00\xff"}, secret_type="Opaque"))
    assert data(kube) == {"password": b"\x00\xff"}
    stored = kube.get("Secret", "orders-db")["metadata"]
    assert (written.view.uid, written.view.resource_version) == (stored["uid"], stored["resourceVersion"])
    assert (written.view.version, written.view.epoch, written.view.type) == ("v1", 1, "Opaque")
    assert written.view.managers == ()
    assert about_now(written.time)


async def test_creating_what_is_there_is_a_conflict_that_says_so(secrets: KubeSecrets, kube: Kube, manifest: ManifestOf) -> None:
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-db"}, "stringData": {"a": "theirs"}})
    with pytest.raises(OutsideError) as refused:
        await secrets.create(manifest())
    assert (refused.value.kind, refused.value.reason) == (FailureKind.CONFLICT, "AlreadyExists")
    assert data(kube) == {"a": b"theirs"}


async def test_a_look_tells_the_metadata_of_a_foreign_secret_and_that_none_is_there(secrets: KubeSecrets, kube: Kube) -> None:
    assert await secrets.look(kube.namespace, "orders-db") is None
    meta = {"name": "orders-db", "annotations": {"keyturn.dev/adopt-by": "orders-db"}}
    made = kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"a": "theirs"}})
    seen, whole = await secrets.look(kube.namespace, "orders-db"), (await live(secrets, kube.namespace)).view
    assert seen is not None
    assert (seen.uid, seen.adopt_by) == (made["metadata"]["uid"], "orders-db")
    assert obstacle(seen) == obstacle(whole)


async def test_creating_in_a_namespace_that_is_not_there_is_missing(secrets: KubeSecrets, manifest: ManifestOf) -> None:
    wanted = manifest()
    nowhere = type(wanted)(namespace="no-such-namespace", name="a", type="Opaque", data={}, labels={}, annotations={}, owner_reference=None)
    with pytest.raises(OutsideError) as refused:
        await secrets.create(nowhere)
    assert refused.value.kind is FailureKind.MISSING


async def test_a_secret_that_is_not_there_reads_as_none(secrets: KubeSecrets, namespace: str) -> None:
    assert await secrets.read(namespace, "nothing") is None


async def test_replacing_keeps_the_metadata_of_others_and_no_foreign_data(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest(labels={"team": "shop"}, annotations={"old": "ours"}))
    foreign = {"metadata": {"labels": {"theirs": "1"}, "annotations": {"theirs": "2"}}, "data": {"extra": b64encode(b"x").decode()}}
    kube.patch("Secret", "orders-db", foreign)
    await secrets.replace(await live(secrets, namespace), manifest(data={"password": b"second"}))
    meta = kube.get("Secret", "orders-db")["metadata"]
    assert data(kube) == {"password": b"second"}
    assert meta["labels"] == {"theirs": "1", "keyturn.dev/managed": "true"}
    assert meta["annotations"] == {"theirs": "2", "keyturn.dev/version": "v1", "keyturn.dev/epoch": "1"}


async def test_replacing_removes_what_kubectl_remembers_of_the_values(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    meta = {"name": "orders-db", "annotations": {LAST_APPLIED: '{"data": {"password": "b2xk"}}', "kept": "yes"}}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": "old"}})
    found = await live(secrets, namespace)
    assert LAST_APPLIED not in found.view.annotations
    await secrets.replace(found, manifest())
    annotations = kube.get("Secret", "orders-db")["metadata"]["annotations"]
    assert LAST_APPLIED not in annotations
    assert annotations["kept"] == "yes"


async def test_replacing_what_changed_meanwhile_is_a_conflict_and_writes_nothing(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest())
    seen = await live(secrets, namespace)
    kube.patch("Secret", "orders-db", {"metadata": {"labels": {"newer": "yes"}}})
    with pytest.raises(OutsideError) as refused:
        await secrets.replace(seen, manifest(data={"password": b"stale"}))
    assert refused.value.kind is FailureKind.CONFLICT
    assert data(kube) == {"password": b"first"}


async def test_replacing_what_was_deleted_is_a_conflict_and_does_not_bring_it_back(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest())
    seen = await live(secrets, namespace)
    kube.delete("Secret", "orders-db")
    with pytest.raises(OutsideError) as refused:
        await secrets.replace(seen, manifest())
    assert refused.value.kind is FailureKind.CONFLICT
    assert kube.find("Secret", "orders-db") is None


async def test_replacing_another_secret_of_the_same_name_is_a_conflict(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest())
    seen = await live(secrets, namespace)
    kube.delete("Secret", "orders-db")
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-db"}, "stringData": {"a": "theirs"}})
    with pytest.raises(OutsideError) as refused:
        await secrets.replace(seen, manifest())
    assert refused.value.kind is FailureKind.CONFLICT
    assert data(kube) == {"a": b"theirs"}


async def test_the_time_of_a_replace_is_when_the_server_wrote_it(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest())
    written = await secrets.replace(await live(secrets, namespace), manifest(data={"password": b"second"}))
    entries = kube.get("Secret", "orders-db")["metadata"]["managedFields"]
    ours = [entry["time"] for entry in entries if entry["manager"] == "keyturn"]
    assert [written.time] == [datetime.fromisoformat(time) for time in ours]
    assert about_now(written.time)


async def test_a_replace_that_changes_nothing_changes_neither_version_nor_time(
    secrets: KubeSecrets, namespace: str, manifest: ManifestOf
) -> None:
    first = await secrets.create(manifest())
    again = await secrets.replace(await live(secrets, namespace), manifest())
    assert (again.view.resource_version, again.time) == (first.view.resource_version, first.time)


async def test_other_managers_of_the_data_are_told_and_those_of_metadata_alone_are_not(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await secrets.create(manifest())
    kube.patch("Secret", "orders-db", {"metadata": {"labels": {"theirs": "1"}}})
    assert (await live(secrets, namespace)).view.managers == ()
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-db"}, "data": {"extra": "eA=="}})
    assert (await live(secrets, namespace)).view.managers == ("keyturn-tests",)


@pytest.mark.usefixtures("crds")
async def test_the_owner_follows_the_deletion_policy_and_other_owners_stay(
    secrets: KubeSecrets, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    owner = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret"}
    (made,) = kube.apply({**owner, "metadata": {"name": "orders-db"}, "spec": {"secretId": "orders-db"}})
    ours: dict[str, object] = {**owner, "name": "orders-db", "uid": made["metadata"]["uid"]}  # a real one: others are collected as garbage
    await secrets.create(manifest(owner=ours))
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}})
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": kube.get("ConfigMap", "other")["metadata"]["uid"]}
    kube.patch("Secret", "orders-db", {"metadata": {"ownerReferences": [ours, other]}})
    written = await secrets.replace(await live(secrets, namespace), manifest(owner=None))
    assert written.view.owner_uids == {other["uid"]}
    written = await secrets.replace(await live(secrets, namespace), manifest(owner=ours))
    assert written.view.owner_uids == {other["uid"], ours["uid"]}


async def test_a_key_that_cannot_be_is_invalid(secrets: KubeSecrets, manifest: ManifestOf) -> None:
    with pytest.raises(OutsideError) as refused:
        await secrets.create(manifest(data={"not a key": b"x"}))
    assert refused.value.kind is FailureKind.INVALID


async def test_a_secret_beyond_the_servers_limit_is_invalid(secrets: KubeSecrets, manifest: ManifestOf) -> None:
    with pytest.raises(OutsideError) as refused:
        await secrets.create(manifest(data={"big": b"x" * (2 << 20)}))
    assert refused.value.kind is FailureKind.INVALID
