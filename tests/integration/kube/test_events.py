"""Events as people see them with kubectl."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from tests.support.eventually import eventually
from tests.support.kube import Kube, Object, Objects

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.events import KubeRecorder, Rules
from keyturn_lab.controlplane import ControlPlane

RULES = Rules(quiet=0.2, burst=3, refill=1000)


@pytest_asyncio.fixture
async def recorder(client: KubeClient) -> AsyncIterator[KubeRecorder]:
    recorder = KubeRecorder(client, instance="keyturn-0", rules=RULES)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def subject(kube: Kube) -> Object:
    """Any object will do."""
    return kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "orders-db"}}) | {
        "apiVersion": "v1",
        "kind": "ConfigMap",
    }


def events(kube: Kube) -> Objects:
    return [event for event in kube.list("Event") if event["reportingComponent"] == "keyturn.dev/operator"]


async def test_describe_shows_the_reason_the_message_and_who_says_so(
    recorder: KubeRecorder, kube: Kube, subject: Object, control_plane: ControlPlane, namespace: str
) -> None:
    recorder.record(subject, warning=True, reason="RolloutFailed", message="wave 1 did not get ready", action="Rollout")
    await eventually(lambda: events(kube), what="the event")
    described = control_plane.kubectl("describe", "configmap", "orders-db", "-n", namespace).stdout
    assert "Warning  RolloutFailed" in described
    assert "keyturn.dev/operator  wave 1 did not get ready" in described


async def test_a_repeat_is_counted_and_not_told_again(recorder: KubeRecorder, kube: Kube, subject: Object) -> None:
    for _ in range(5):
        recorder.record(subject, warning=False, reason="SecretSynced", message="version v2 is mirrored", action="Mirror")
    await eventually(lambda: [e for e in events(kube) if (e.get("series") or {}).get("count") == 5], what="the count of five")
    recorder.record(subject, warning=False, reason="SecretSynced", message="version v2 is mirrored", action="Mirror")
    await eventually(lambda: [e for e in events(kube) if e["series"]["count"] == 6], what="the count of six")
    assert len(events(kube)) == 1


async def test_one_object_cannot_flood_and_others_still_get_theirs(recorder: KubeRecorder, kube: Kube, subject: Object) -> None:
    other = kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}) | {
        "apiVersion": "v1",
        "kind": "ConfigMap",
    }
    for number in range(20):
        recorder.record(subject, warning=False, reason="SecretSynced", message=f"version {number}", action="Mirror")
    recorder.record(other, warning=False, reason="SecretSynced", message="version 1", action="Mirror")
    await eventually(lambda: len(events(kube)) == 4, what="three events of the one and one of the other")
    assert recorder.dropped == 17


async def test_an_event_about_an_object_that_is_nowhere_does_not_stop_the_next(recorder: KubeRecorder, kube: Kube, subject: Object) -> None:
    nowhere = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": "no-such-namespace", "uid": "1"}
    recorder.record(nowhere, warning=False, reason="SecretSynced", message="m", action="Mirror")
    recorder.record(subject, warning=False, reason="SecretSynced", message="m" * 5000, action="Mirror")
    await eventually(lambda: events(kube), what="the second event")
    assert len(events(kube)[0]["message"]) == 1024
