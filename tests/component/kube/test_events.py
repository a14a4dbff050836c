"""Events through an outage, and under a flood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from tests.component.kube.fake_api import FakeApi, answer, hang_up
from tests.support.eventually import eventually

from keyturn.adapters.kube.client import Json, KubeClient
from keyturn.adapters.kube.events import KubeRecorder, Rules

Record = Callable[[str], None]


def regarding(name: str) -> Json:
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "namespace": "shop", "name": name, "uid": name}


@asynccontextmanager
async def recording(
    client: KubeClient, rules: Rules, *, busy: Callable[[], bool] = lambda: False
) -> AsyncIterator[tuple[KubeRecorder, Record]]:
    recorder = KubeRecorder(client, instance="i", rules=rules, busy=busy)

    def record(name: str) -> None:
        recorder.record(regarding(name), warning=False, reason="SecretSynced", message="mirrored", action="Mirror")

    task = asyncio.create_task(recorder.run())
    yield recorder, record
    assert not task.done(), "the recorder has ended by itself"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_event_is_told_after_an_outage(client: KubeClient, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.adapters.kube.events.RETRY", 0.05)
    api.then(hang_up, answer({}, 503), answer({}))
    async with recording(client, Rules()) as (recorder, record):
        record("a")
        await eventually(lambda: len(api.requests) == 3, what="the third try")
    assert recorder.dropped == 0


async def test_what_is_refused_is_dropped_and_a_repeat_begins_anew(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({"reason": "Forbidden"}, 403), answer({}))
    async with recording(client, Rules()) as (recorder, record):
        record("a")
        await eventually(lambda: recorder.dropped == 1, what="the refusal")
        record("a")
        await eventually(lambda: len(api.requests) == 2, what="the second event")
    assert [request.method for request in api.requests] == ["POST", "POST"]


async def test_the_queue_is_bounded_and_the_oldest_goes(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({}))
    async with recording(client, Rules(queue=3)) as (recorder, record):
        for number in range(10):
            record(str(number))
        await eventually(lambda: len(api.requests) == 3, what="those that fit")
    assert [f'"uid":"{number}"' in body for number, body in zip((7, 8, 9), api.bodies, strict=True)] == [True] * 3
    assert recorder.dropped == 7


async def test_an_event_waits_while_there_is_other_work(client: KubeClient, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyturn.adapters.kube.events.NAP", 0.01)
    api.then(answer({}))
    work = ["restart"] * 5
    told: list[int] = []

    def busy() -> bool:
        told.append(len(api.requests))
        return bool(work.pop()) if work else False

    async with recording(client, Rules(), busy=busy) as (_, record):
        record("a")
        await eventually(lambda: len(api.requests) == 1, what="the event")
    assert told == [0] * 6


async def test_an_event_is_told_when_it_has_waited_for_long_enough(
    client: KubeClient, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.adapters.kube.events.NAP", 0.01)
    api.then(answer({}))
    async with recording(client, Rules(patience=0.05), busy=lambda: True) as (_, record):
        record("a")
        await eventually(lambda: len(api.requests) == 1, what="the event")
