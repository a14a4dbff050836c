"""The metadata-only watch against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from tests.integration.kube.conftest import ManifestOf
from tests.support.eventually import WITHIN, eventually
from tests.support.kube import Kube

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.secrets import KubeSecrets
from keyturn.adapters.kube.watch import Pace, SecretWatch
from keyturn.domain.observed import TargetView
from keyturn_lab.controlplane import ControlPlane

FAST = Pace(server=1, silence=2, first_retry=0.05, last_retry=0.2, page=2)


class Seen:
    """What the watch told, in order, of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.events: list[tuple[str, TargetView | None]] = []

    def __call__(self, namespace: str, name: str, view: TargetView | None, labels: Mapping[str, str]) -> None:
        assert labels["keyturn.dev/managed"] == "true"
        if namespace == self.namespace:
            self.events.append((name, view))

    def now(self) -> dict[str, TargetView]:
        state: dict[str, TargetView] = {}
        for name, view in self.events:
            state.pop(name, None)
            if view is not None:
                state[name] = view
        return state


@asynccontextmanager
async def watching(
    client: KubeClient, seen: Seen, *, namespaces: Sequence[str] | None = None, pace: Pace = FAST
) -> AsyncIterator[SecretWatch]:
    watch = SecretWatch(client, seen, namespaces=namespaces, pace=pace)
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(WITHIN):
            await watch.synced.wait()
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_there_is_told_before_synced_page_by_page(client: KubeClient, namespace: str, manifest: ManifestOf) -> None:
    for number in range(5):
        await KubeSecrets(client).create(manifest(name=f"s{number}"))
    seen = Seen(namespace)
    async with watching(client, seen):
        assert sorted(seen.now()) == ["s0", "s1", "s2", "s3", "s4"]
        assert seen.now()["s0"].version == "v1"


async def test_changes_are_told_and_secrets_without_our_label_are_not(
    client: KubeClient, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    secrets, seen = KubeSecrets(client), Seen(namespace)
    async with watching(client, seen, namespaces=[namespace]):
        kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}})
        written = await secrets.create(manifest())
        await eventually(lambda: "orders-db" in seen.now(), what="the created Secret")
        assert seen.now()["orders-db"].resource_version == written.view.resource_version
        kube.patch("Secret", "orders-db", {"data": {"password": "eA=="}})
        await eventually(
            lambda: seen.now()["orders-db"].managers == ("Python-urllib",) or seen.now()["orders-db"].managers, what="the edit"
        )
        kube.delete("Secret", "orders-db")
        await eventually(lambda: "orders-db" not in seen.now(), what="the deletion")
    assert "theirs" not in [name for name, _ in seen.events]


async def test_a_secret_that_loses_our_label_is_gone(client: KubeClient, kube: Kube, namespace: str, manifest: ManifestOf) -> None:
    await KubeSecrets(client).create(manifest())
    seen = Seen(namespace)
    async with watching(client, seen):
        kube.patch("Secret", "orders-db", {"metadata": {"labels": {"keyturn.dev/managed": None}}})
        await eventually(lambda: not seen.now(), what="the Secret to be gone")


async def test_several_namespaces_are_watched_and_no_others(client: KubeClient, namespace: str, manifest: ManifestOf) -> None:
    await KubeSecrets(client).create(manifest())
    seen = Seen(namespace)
    async with watching(client, seen, namespaces=["default", namespace]):
        assert list(seen.now()) == ["orders-db"]
    elsewhere = Seen(namespace)
    async with watching(client, elsewhere, namespaces=["default", "kube-system"]):
        assert elsewhere.events == []


async def test_the_server_ends_each_watch_and_nothing_is_lost_or_told_twice(
    client: KubeClient, namespace: str, manifest: ManifestOf
) -> None:
    secrets, seen = KubeSecrets(client), Seen(namespace)
    async with watching(client, seen) as watch:
        for number in range(4):
            heard = watch.last_contact
            await secrets.create(manifest(name=f"s{number}"))
            await eventually(lambda: watch.last_contact > heard + 1, what="the next watch")  # noqa: B023 - used within the turn
        await eventually(lambda: len(seen.now()) == 4, what="all four")
    assert len(seen.events) == 4


async def test_a_restart_of_the_api_server_is_survived(
    client: KubeClient, control_plane: ControlPlane, kube: Kube, namespace: str, manifest: ManifestOf
) -> None:
    await KubeSecrets(client).create(manifest(name="before"))
    await KubeSecrets(client).create(manifest(name="deleted"))
    seen = Seen(namespace)
    async with watching(client, seen):
        await asyncio.to_thread(control_plane.restart_apiserver)
        kube.delete("Secret", "deleted")
        await KubeSecrets(client).create(manifest(name="after"))
        await eventually(lambda: sorted(seen.now()) == ["after", "before"], what="both changes")
