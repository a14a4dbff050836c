"""Pods without a controller: found by a list of the namespace, which is not made more often than it is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tests.support.observed import LONG_AGO, NOON, SECOND, pod, use

from keyturn.domain.observed import PodView, WorkloadKind, WorkloadView
from keyturn.engine.bare_pods import NAMESPACES, NONE_AGE, SOME_AGE, BarePods

ALONE = pod("alone", created=NOON, uses=(use(),))


@dataclass
class Lists:
    """The port Workloads, of which only the lists of whole namespaces are asked for; it has the clock, too."""

    found: Sequence[PodView] = ()
    lists: int = 0
    now: datetime = NOON

    async def pods(self, namespace: str, selector: str | None) -> Sequence[PodView]:
        assert selector is None
        self.lists += 1
        await asyncio.sleep(0)
        return self.found

    async def restart(self, workload: WorkloadView, *, annotation: str, value: str) -> WorkloadView:
        raise NotImplementedError

    async def annotation_owner(self, workload: WorkloadView, annotation: str) -> str | None:
        raise NotImplementedError


async def names(lists: Lists) -> list[str]:
    return [found.pod.name for found in await BarePods(lists, lambda: lists.now).of("shop", since=LONG_AGO)]


async def test_only_pods_of_nobody_that_use_a_secret_and_have_not_ended_are_bare() -> None:
    owned, idle, ended = replace(ALONE, name="b", owner_uid="u"), replace(ALONE, name="c", uses=()), replace(ALONE, name="d", ended=True)
    assert await names(Lists([ALONE, owned, idle, ended])) == ["alone"]


async def test_a_bare_pod_is_a_workload_of_its_own() -> None:
    lists = Lists([ALONE])
    (found,) = await BarePods(lists, lambda: lists.now).of("shop", since=LONG_AGO)
    assert (found.workload.kind, found.workload.name, found.workload.uses) == (WorkloadKind.POD, "alone", ALONE.uses)


async def test_a_namespace_without_any_is_listed_once_a_minute() -> None:
    lists = Lists()
    bare = BarePods(lists, lambda: lists.now)
    for _ in range(3):
        await bare.of("shop", since=LONG_AGO)
    assert lists.lists == 1
    lists.now += NONE_AGE
    await bare.of("shop", since=LONG_AGO)
    assert lists.lists == 2


async def test_while_some_are_there_they_are_listed_more_often() -> None:
    lists = Lists([ALONE])
    bare = BarePods(lists, lambda: lists.now)
    await bare.of("shop", since=LONG_AGO)
    lists.now += SOME_AGE
    lists.found = ()
    assert await bare.of("shop", since=LONG_AGO) == []
    assert lists.lists == 2


async def test_a_list_from_before_a_content_does_not_tell_who_uses_it() -> None:
    lists = Lists()
    bare = BarePods(lists, lambda: lists.now)
    await bare.of("shop", since=LONG_AGO)
    lists.found, lists.now = [ALONE], NOON + SECOND
    assert len(await bare.of("shop", since=NOON + SECOND)) == 1


async def test_many_who_ask_at_once_share_one_list() -> None:
    lists = Lists([ALONE])
    bare = BarePods(lists, lambda: lists.now)
    await asyncio.gather(*(bare.of("shop", since=LONG_AGO) for _ in range(5)))
    assert lists.lists == 1


async def test_namespaces_that_nobody_asks_for_any_more_are_forgotten() -> None:
    lists = Lists()
    bare = BarePods(lists, lambda: lists.now)
    for number in range(NAMESPACES + 1):
        await bare.of(f"shop-{number}", since=LONG_AGO)
    await bare.of("shop-1", since=LONG_AGO)
    assert lists.lists == NAMESPACES + 1
    await bare.of("shop-0", since=LONG_AGO)
    assert lists.lists == NAMESPACES + 2
