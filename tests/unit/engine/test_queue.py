"""One queue of keys: deduplicated, by due time, new objects first, one worker per key."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.support.eventually import WITHIN, eventually
from tests.support.observed import NOON, SECOND

from keyturn.engine.keys import Key, Kind
from keyturn.engine.queue import Queue


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return Queue(clock, lambda: NOON)


A, B, C = (Key(Kind.SECRET, "shop", name) for name in "abc")


async def take(queue: Queue, count: int) -> list[Key]:
    """Keys in the order in which one worker gets them."""
    taken = []
    for _ in range(count):
        key, _ = await queue.get()
        queue.done(key)
        taken.append(key)
    return taken


async def nothing(queue: Queue) -> bool:
    """Nothing is due."""
    waiting = asyncio.create_task(queue.get())
    for _ in range(3):
        await asyncio.sleep(0)
    idle = not waiting.done()
    waiting.cancel()
    return idle


async def test_a_key_that_is_put_twice_comes_once(queue: Queue) -> None:
    queue.put(A)
    queue.put(A)
    assert await take(queue, 1) == [A]
    assert await nothing(queue)
    assert len(queue) == 0


async def test_keys_come_in_the_order_of_their_due_times(queue: Queue, clock: Clock) -> None:
    queue.put(A, due=103)
    queue.put(B, due=101)
    queue.put(C, due=102)
    clock.now = 110
    assert await take(queue, 3) == [B, C, A]


async def test_a_moment_of_the_wall_clock_is_so_many_seconds_away_and_one_that_is_past_is_now(queue: Queue, clock: Clock) -> None:
    queue.put_at(A, NOON + 3 * SECOND)
    queue.put_at(B, NOON - 3 * SECOND)
    assert await take(queue, 1) == [B]
    clock.now = 102.9
    assert await nothing(queue)
    clock.now = 103
    assert await take(queue, 1) == [A]


async def test_the_crowd_is_what_is_due_and_no_worker_has_yet(queue: Queue, clock: Clock) -> None:
    for key in (A, B):
        queue.put(key)
    queue.put(C, due=101)
    await take(queue, 1)
    assert queue.crowd == 1


async def test_a_key_does_not_come_before_it_is_due(queue: Queue, clock: Clock) -> None:
    queue.put(A, due=101)
    assert await nothing(queue)
    assert queue.backlog == []
    clock.now = 103
    assert queue.backlog == [101]
    assert await take(queue, 1) == [A]


async def test_a_key_that_a_worker_has_is_no_backlog_though_it_is_due_again(queue: Queue, clock: Clock) -> None:
    queue.put(A, due=100)
    key, _ = await queue.get()
    queue.put(A, due=101)
    clock.now = 102
    assert queue.backlog == []
    queue.done(key)
    assert queue.backlog == [101]


@pytest.mark.parametrize("times", [(101, 105), (105, 101)])
async def test_of_two_due_times_the_earlier_counts_and_the_later_brings_nothing(
    queue: Queue, clock: Clock, times: tuple[float, float]
) -> None:
    for due in times:
        queue.put(A, due=due)
    clock.now = 101
    assert await take(queue, 1) == [A]
    clock.now = 200
    assert await nothing(queue)


async def test_new_objects_come_before_refreshes_that_were_due_earlier(queue: Queue, clock: Clock) -> None:
    queue.put(A, due=90)
    queue.put(B, due=95, new=True)
    assert await take(queue, 2) == [B, A]


async def test_a_key_is_new_only_once(queue: Queue) -> None:
    queue.put(A, new=True)
    await take(queue, 1)
    queue.put(B)
    queue.put(A)
    assert await take(queue, 2) == [B, A]


async def test_no_two_workers_have_the_same_key(queue: Queue) -> None:
    queue.put(A)
    await queue.get()
    queue.put(A)
    assert await nothing(queue)


async def test_a_key_that_is_put_while_it_is_worked_on_comes_again_afterwards(queue: Queue) -> None:
    queue.put(A)
    key, _ = await queue.get()
    queue.put(A)
    queue.put(A)
    queue.done(key)
    assert await take(queue, 1) == [A]
    assert await nothing(queue)


async def test_a_key_that_is_put_for_later_while_it_is_worked_on_waits_for_its_time(queue: Queue, clock: Clock) -> None:
    queue.put(A)
    key, _ = await queue.get()
    queue.put(A, due=105)
    queue.done(key)
    assert await nothing(queue)
    clock.now = 105
    assert await take(queue, 1) == [A]


async def test_a_key_whose_object_is_gone_does_not_come(queue: Queue) -> None:
    queue.put(A)
    queue.put(B)
    queue.forget(A)
    assert await take(queue, 1) == [B]
    assert await nothing(queue)


async def test_the_worker_hears_for_how_long_a_key_was_due(queue: Queue, clock: Clock) -> None:
    queue.put(A)
    clock.now += 3
    assert await queue.get() == (A, 3.0)


async def test_a_worker_that_waits_is_woken_by_a_key_that_is_due_at_once() -> None:
    queue = Queue(time.monotonic, lambda: NOON)
    queue.put(A, due=time.monotonic() + 3600)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(B)
    key, _ = await asyncio.wait_for(waiting, WITHIN)
    assert key == B


async def test_a_worker_that_waits_gets_a_key_when_its_time_has_come() -> None:
    queue = Queue(time.monotonic, lambda: NOON)
    queue.put(A, due=time.monotonic() + 0.02)
    key, waited = await asyncio.wait_for(queue.get(), WITHIN)
    assert key == A
    assert waited >= 0


async def test_many_workers_share_many_keys_without_loss_or_repeat() -> None:
    queue = Queue(time.monotonic, lambda: NOON)
    keys = [Key(Kind.SECRET, "shop", f"s{number}") for number in range(200)]
    seen: list[Key] = []
    active: set[Key] = set()

    async def work() -> None:
        while True:
            key, _ = await queue.get()
            assert key not in active
            active.add(key)
            await asyncio.sleep(0)
            seen.append(key)
            active.discard(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for key in keys:
        queue.put(key)
    await eventually(lambda: len(seen) == len(keys), what="all keys")
    for worker in workers:
        worker.cancel()
    assert sorted(seen) == sorted(keys)


async def test_of_many_waiting_workers_each_gets_a_key_and_none_is_left_behind() -> None:
    queue = Queue(time.monotonic, lambda: NOON)
    keys = [Key(Kind.SECRET, "shop", str(number)) for number in range(20)]
    workers = [asyncio.create_task(queue.get()) for _ in keys]
    await asyncio.sleep(0)
    for number, key in enumerate(keys):
        queue.put(key, due=time.monotonic() + 0.01 * (number % 3))
    async with asyncio.timeout(WITHIN):
        taken = [key for key, _ in await asyncio.gather(*workers)]
    assert sorted(taken) == sorted(keys)


async def test_a_worker_that_is_cancelled_as_it_is_woken_leaves_the_key_to_another(queue: Queue) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(A)
    first.cancel()
    async with asyncio.timeout(WITHIN):
        key, _ = await second
    assert key == A
