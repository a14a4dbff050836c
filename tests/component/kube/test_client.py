"""The client where the server is busy, gone, slow or unreadable."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.component.kube.fake_api import FakeApi, answer, hang_up, silence, text

from keyturn.adapters.kube.access import load_access
from keyturn.adapters.kube.client import MERGE_PATCH, Json, KubeClient
from keyturn.domain.failures import FailureKind, OutsideError


async def get(client: KubeClient) -> Json:
    return await client.request("GET", "/api/v1/things/a", subject="Thing shop/a")


async def refused(client: KubeClient, method: str = "GET", body: Json | None = None) -> OutsideError:
    with pytest.raises(OutsideError) as caught:
        await client.request(method, "/api/v1/things/a", body, subject="Thing shop/a")
    return caught.value


async def test_a_throttled_read_waits_as_long_as_it_is_told_and_tries_again(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({}, 429, Retry_After="0.3"), answer({"ok": True}))
    started = asyncio.get_running_loop().time()
    assert await get(client) == {"ok": True}
    assert asyncio.get_running_loop().time() - started >= 0.3


async def test_a_read_is_tried_three_times_and_then_transient(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({"reason": "TooManyRequests"}, 429, Retry_After="0"))
    error = await refused(client)
    assert (error.kind, error.reason, len(api.requests)) == (FailureKind.TRANSIENT, "TooManyRequests", 3)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_is_never_repeated(client: KubeClient, api: FakeApi, method: str) -> None:
    api.then(answer({}, 503))
    error = await refused(client, method, {})
    assert (error.kind, len(api.requests)) == (FailureKind.TRANSIENT, 1)


async def test_a_connection_that_breaks_is_transient(client: KubeClient, api: FakeApi) -> None:
    api.then(hang_up)
    error = await refused(client, "POST", {})
    assert (error.kind, error.reason) == (FailureKind.TRANSIENT, "ServerDisconnectedError")
    assert error.message == "cannot create Thing shop/a: the API server gave no answer (ServerDisconnectedError)"


async def test_a_server_that_does_not_answer_is_transient_after_the_time_for_a_request(client: KubeClient, api: FakeApi) -> None:
    api.then(silence)
    assert (await refused(client, "PATCH", {})).kind is FailureKind.TRANSIENT
    assert (await refused(client)).reason == "TimeoutError"
    assert len(api.requests) == 2, "a read that ran out of time is not tried again either"


async def test_a_proxys_page_is_transient_and_not_taken_for_json(client: KubeClient, api: FakeApi) -> None:
    api.then(text("<html>Bad gateway</html>", 502))
    error = await refused(client, "POST", {})
    assert (error.kind, error.reason) == (FailureKind.TRANSIENT, "HTTP502")
    api.handlers[:] = [text("<html>hello</html>", 200)]
    assert (await refused(client)).reason == "UnreadableAnswer"


async def test_missing_objects_are_not_asked_for_again(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({"reason": "NotFound", "message": "things a not found"}, 404))
    error = await refused(client)
    assert (error.kind, error.message, len(api.requests)) == (
        FailureKind.MISSING,
        "cannot read Thing shop/a: NotFound (404): things a not found",
        1,
    )


async def test_the_body_goes_out_compact_with_its_type_and_the_token(client: KubeClient, api: FakeApi) -> None:
    api.then(answer({}))
    await client.request("PATCH", "/x", {"a": [1]}, subject="x", content_type=MERGE_PATCH, params={"fieldManager": "keyturn"})
    (request,) = api.requests
    assert (request.headers["Content-Type"], request.headers["Authorization"]) == (MERGE_PATCH, "Bearer t0")
    assert (api.bodies, request.path_qs) == (['{"a":[1]}'], "/x?fieldManager=keyturn")


async def test_every_request_is_observed_with_its_code(api: FakeApi, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    access = await load_access(api.kubeconfig(tmp_path / "config", {}))
    async with KubeClient(access, on_request=lambda verb, code, _: seen.append((verb, code))) as client:
        api.then(answer({}), hang_up)
        await get(client)
        await refused(client, "POST", {})
    assert seen == [("GET", 200), ("POST", 0)]


async def test_a_session_that_is_lent_tells_of_the_requests_of_whoever_has_it(api: FakeApi, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    access = await load_access(api.kubeconfig(tmp_path / "config", {}))
    async with KubeClient(access, on_request=lambda verb, code, _: seen.append((verb, code)), lent=True) as client:
        api.then(answer({}), answer({}, 404), answer({}), hang_up)
        for path in ("/api/v1/things", "/api/v1/things/a", "/api/v1/things?watch=true"):
            async with client.session.get(client.url + path):
                pass
        with pytest.raises(aiohttp.ClientError):
            await client.session.get(client.url)
    assert seen == [("GET", 200), ("GET", 404), ("WATCH", 200), ("GET", 0)]
