"""Electing one leader on a real Lease. The times are short, the rules are the real ones."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from tests.support.eventually import WITHIN, eventually
from tests.support.kube import Kube, Object

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.lease import Elector, LeaseTimes

TIMES = LeaseTimes(duration=3, renew=2, retry=0.2)
LASTING = LeaseTimes(duration=120, renew=100, retry=0.2)
"""For what must not wait until a lease ends, and for leaders that must not lose theirs meanwhile, on a slow machine either."""


class Candidates:
    """Those for one Lease."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client, self._namespace = client, namespace

    def __call__(self, identity: str, times: LeaseTimes = TIMES) -> Elector:
        return Elector(self._client, namespace=self._namespace, name="keyturn", identity=identity, times=times)


@pytest.fixture
def candidate(client: KubeClient, namespace: str) -> Candidates:
    return Candidates(client, namespace)


def lease(kube: Kube) -> Object:
    spec: Object = kube.get("Lease", "keyturn")["spec"]
    return spec


async def test_the_first_candidate_leads_and_writes_the_record_that_others_read(candidate: Candidates, kube: Kube) -> None:
    first = candidate("a")
    assert not first.leading
    await first.acquire()
    assert first.leading
    assert (lease(kube)["holderIdentity"], lease(kube)["leaseDurationSeconds"], lease(kube)["leaseTransitions"]) == ("a", 3, 0)


async def test_a_released_lease_is_taken_at_once(candidate: Candidates, kube: Kube) -> None:
    first, second = candidate("a", LASTING), candidate("b", LASTING)
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await eventually(lambda: second.last_contact, what="the standby to have looked")
    await first.release()
    async with asyncio.timeout(WITHIN):
        await waiting
    assert (lease(kube)["holderIdentity"], lease(kube)["leaseTransitions"]) == ("b", 1)


async def test_a_dead_leader_is_followed_after_its_lease_and_not_before(candidate: Candidates) -> None:
    first, second = candidate("a"), candidate("b")
    await first.acquire()
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(WITHIN):
        await second.acquire()
    assert loop.time() - started >= TIMES.duration


async def test_while_the_leader_renews_nobody_follows(candidate: Candidates) -> None:
    first, second = candidate("a"), candidate("b")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMES.duration + 1):
            await second.acquire()
    assert first.leading
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding


async def test_a_leader_whose_lease_was_taken_stops_holding(candidate: Candidates, kube: Kube) -> None:
    first = candidate("a", LASTING)
    await first.acquire()
    kube.patch("Lease", "keyturn", {"spec": {"holderIdentity": "b"}})
    async with asyncio.timeout(WITHIN):
        await first.hold()
    assert not first.leading


async def test_a_foreign_edit_of_the_lease_costs_nobody_the_leadership(candidate: Candidates, kube: Kube) -> None:
    first = candidate("a", LASTING)
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    for number in range(10):
        kube.patch("Lease", "keyturn", {"metadata": {"labels": {"edit": str(number)}}})
        await asyncio.sleep(0)
    renewed = lease(kube)["renewTime"]
    await eventually(lambda: lease(kube)["renewTime"] > renewed, what="the next renewal")
    assert not holding.done()
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding


async def test_of_many_candidates_at_once_one_leads(candidate: Candidates) -> None:
    candidates = [candidate(str(number), LASTING) for number in range(8)]
    tasks = [asyncio.create_task(one.acquire()) for one in candidates]
    await eventually(lambda: any(one.leading for one in candidates), what="a leader")
    done, pending = await asyncio.wait(tasks, timeout=1)
    assert len(done) == 1
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
