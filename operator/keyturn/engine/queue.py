"""One queue of object keys: deduplicated, ordered by due time; new objects first, then runs, then everything else.

What is under way goes before looks that only report, so that a burst of changes comes to its restarts before its statuses.

A key is handed out to one worker at a time; put again meanwhile, it comes again afterwards. Of several due times the earliest counts.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable

from keyturn.engine.keys import Key, Kind


class Queue:
    """Times are seconds of the given monotonic clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[Key, float] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._ready: list[tuple[int, float, int, Key]] = []  # lane, due, order
        self._fresh: set[Key] = set()
        self._active: set[Key] = set()
        self._order = itertools.count()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    @property
    def backlog(self) -> int:
        """Keys that are due and that no worker has yet."""
        now = self._clock()
        return sum(due <= now for key, due in self._due.items() if key not in self._active)

    def put(self, key: Key, *, due: float | None = None, new: bool = False) -> None:
        """Queue a key for now, or for a time; a time that is later than a known one changes nothing."""
        due = self._clock() if due is None else due
        known = self._due.get(key)
        if new:
            self._fresh.add(key)
        if known is not None and known <= due:
            return
        self._due[key] = due
        if key not in self._active:
            heapq.heappush(self._later, (due, next(self._order), key))
            self._go_on()

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._due.pop(key, None)
        self._fresh.discard(key)

    async def get(self) -> tuple[Key, float]:
        """The next key that is due, and the seconds for which it was."""
        while True:
            taken = self._take()
            if taken is not None:
                self._go_on()
                return taken
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._go_on()
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._go_on()  # what it was woken for is another's
                raise

    def _take(self) -> tuple[Key, float] | None:
        """The next key that is due, if there is one."""
        self._move_due()
        while self._ready:
            _, due, _, key = heapq.heappop(self._ready)
            if self._due.get(key) == due and key not in self._active:
                del self._due[key]
                self._fresh.discard(key)
                self._active.add(key)
                return key, self._clock() - due
        return None

    def _go_on(self) -> None:
        """Wake one worker if something is due, else one when the next thing will be. Waking all would cost more than the work."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiters:
            return
        self._move_due()
        if self._ready:
            self._wake_one()
        elif self._later:
            self._timer = asyncio.get_running_loop().call_later(self._later[0][0] - self._clock(), self._go_on)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def done(self, key: Key) -> None:
        """The worker has finished with the key."""
        self._active.discard(key)
        if key in self._due:
            heapq.heappush(self._later, (self._due[key], next(self._order), key))
        self._go_on()

    def _move_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, order, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                lane = 0 if key in self._fresh else 1 if key.kind is Kind.RUN else 2
                heapq.heappush(self._ready, (lane, due, order, key))
