"""The watch where history is gone, streams break and servers fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tests.component.kube.fake_api import FakeApi, Json, answer, break_off, fall_silent, stream
from tests.support.eventually import eventually

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.watch import Pace, SecretWatch
from keyturn.domain.observed import TargetView

PACE = Pace(silence=0.2, first_retry=0.01, last_retry=0.02, page=2)


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, str | None]] = []

    def __call__(self, namespace: str, name: str, view: TargetView | None, labels: Mapping[str, str]) -> None:
        self.events.append((name, view.resource_version if view else None))


def item(name: str, version: int) -> Json:
    meta = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version), "labels": {"keyturn.dev/managed": "true"}}
    return {"metadata": meta}


def event(kind: str, name: str, version: int) -> Json:
    return {"type": kind, "object": item(name, version)}


def bookmark(version: int) -> Json:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def listed(version: int, *items: Json, more: str = "") -> Json:
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(items)}


GONE: Json = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}}


@asynccontextmanager
async def watching(client: KubeClient, told: Told) -> AsyncIterator[SecretWatch]:
    watch = SecretWatch(client, told, pace=PACE)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        assert not task.done(), "the watch has ended by itself"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_after_410_it_lists_again_and_reports_what_is_gone(client: KubeClient, api: FakeApi) -> None:
    api.then(
        answer(listed(5, item("a", 1), item("b", 2))),
        stream(GONE),
        answer(listed(9, item("a", 1), item("c", 8))),
        stream(then=fall_silent),
    )
    told = Told()
    async with watching(client, told):
        await eventually(lambda: len(told.events) == 4, what="what changed meanwhile")
    assert told.events == [("a", "1"), ("b", "2"), ("c", "8"), ("b", None)]


async def test_a_refusal_of_the_watch_with_410_leads_to_a_new_list_too(client: KubeClient, api: FakeApi) -> None:
    api.then(
        answer(listed(5, item("a", 1))),
        answer({"reason": "Expired"}, 410),
        answer(listed(9)),
        stream(then=fall_silent),
    )
    told = Told()
    async with watching(client, told):
        await eventually(lambda: ("a", None) in told.events, what="the deletion")


async def test_a_stream_that_breaks_is_resumed_where_it_was_without_a_new_list(client: KubeClient, api: FakeApi) -> None:
    api.then(
        answer(listed(5)),
        stream(event("ADDED", "a", 6), bookmark(7), then=break_off),
        stream(event("MODIFIED", "a", 8), then=fall_silent),
    )
    told = Told()
    async with watching(client, told):
        await eventually(lambda: len(told.events) == 2, what="both events")
    assert told.events == [("a", "6"), ("a", "8")]
    assert [request.query.get("resourceVersion") for request in api.requests[:3]] == [None, "5", "7"]


async def test_a_silent_connection_is_given_up(client: KubeClient, api: FakeApi) -> None:
    api.then(answer(listed(5)), stream(bookmark(6), then=fall_silent), stream(event("ADDED", "a", 7), then=fall_silent))
    told = Told()
    async with watching(client, told):
        await eventually(lambda: told.events == [("a", "7")], what="the event of the second connection")


async def test_throttling_and_outages_delay_it_and_do_not_end_it(client: KubeClient, api: FakeApi) -> None:
    api.then(
        *[answer({}, 429, Retry_After="0")] * 4,
        answer(listed(5)),
        *[answer({}, 503)] * 3,
        answer({}, 403),
        stream(event("ADDED", "a", 7), then=fall_silent),
    )
    told = Told()
    async with watching(client, told) as watch:
        await eventually(lambda: told.events == [("a", "7")], what="the event after all that")
        assert watch.synced.is_set()


async def test_it_is_not_synced_and_has_no_contact_before_the_list_is_complete(client: KubeClient, api: FakeApi) -> None:
    api.then(answer(listed(5, item("a", 1), more="page2")), answer({}, 500))
    told = Told()
    async with watching(client, told) as watch:
        await eventually(lambda: len(api.requests) > 3, what="some tries")
        assert not watch.synced.is_set()
    assert api.requests[1].query["continue"] == "page2"


async def test_a_line_longer_than_any_buffer_is_one_event(client: KubeClient, api: FakeApi) -> None:
    big = event("ADDED", "a", 6)
    big["object"]["metadata"]["annotations"] = {"big": "x" * 3_000_000}
    api.then(answer(listed(5)), stream(big, then=fall_silent))
    told = Told()
    async with watching(client, told):
        await eventually(lambda: told.events == [("a", "6")], what="the long line")


async def test_only_metadata_is_asked_for(client: KubeClient, api: FakeApi) -> None:
    api.then(answer(listed(5)), stream(then=fall_silent))
    async with watching(client, Told()):
        await eventually(lambda: len(api.requests) == 2, what="list and watch")
    assert [request.headers["Accept"] for request in api.requests] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]
    assert all(request.query["labelSelector"] == "keyturn.dev/managed=true" for request in api.requests)
