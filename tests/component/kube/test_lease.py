"""A leader whose API server dies must stop in time, by its own clock."""

from __future__ import annotations

import asyncio

import pytest
from tests.component.kube.fake_api import FakeApi, Handler, Json, answer, hang_up, silence, text

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.lease import Elector, LeaseTimes

TIMES = LeaseTimes(duration=40, renew=1, retry=0.1)
"""What must happen before the lease ends has time for it on a machine that stands still, too."""

MINE: Json = {"metadata": {"name": "keyturn", "resourceVersion": "1"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 2}}
NOT_FOUND = answer({"reason": "NotFound"}, 404)


@pytest.fixture
def elector(client: KubeClient) -> Elector:
    return Elector(client, namespace="keyturn", name="keyturn", identity="me", times=TIMES)


@pytest.mark.parametrize("death", [hang_up, silence, text("gateway", 502), answer({"reason": "Forbidden"}, 403)])
async def test_without_renewals_a_leader_gives_up_before_its_lease_ends_for_others(elector: Elector, api: FakeApi, death: Handler) -> None:
    api.then(NOT_FOUND, answer({}), death)
    await elector.acquire()
    started = asyncio.get_running_loop().time()
    await elector.hold()
    assert asyncio.get_running_loop().time() - started < TIMES.duration
    assert not elector.leading


async def test_a_short_outage_costs_nothing(client: KubeClient, api: FakeApi) -> None:
    api.then(NOT_FOUND, answer({}), hang_up, text("gateway", 502), answer(MINE))
    times = LeaseTimes(duration=4, renew=3, retry=0.1)
    elector = Elector(client, namespace="keyturn", name="keyturn", identity="me", times=times)
    await elector.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(times.duration + 0.5):
            await elector.hold()
    assert elector.leading


async def test_a_refused_renewal_proves_nothing_even_where_the_record_still_names_us(elector: Elector, api: FakeApi) -> None:
    api.then(NOT_FOUND, answer({}), *[answer(MINE), answer({"reason": "Conflict"}, 409)] * 50)
    await elector.acquire()
    async with asyncio.timeout(TIMES.duration):
        await elector.hold()
    assert not elector.leading


async def test_giving_up_a_lease_that_nobody_can_reach_is_no_error(elector: Elector, api: FakeApi) -> None:
    api.then(silence)
    async with asyncio.timeout(TIMES.duration):
        await elector.release()


async def test_times_that_would_allow_two_leaders_are_refused() -> None:
    with pytest.raises(ValueError, match="duration > renew"):
        LeaseTimes(duration=10, renew=10, retry=2)
