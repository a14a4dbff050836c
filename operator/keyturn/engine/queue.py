"""One queue of object keys: deduplicated, ordered by due time, new objects first.

A key is handed out to one worker at a time; put again meanwhile, it comes again afterwards. Of several due times the earliest counts.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from keyturn.engine.keys import Key


class Queue:
    """Times are seconds of the given monotonic clock; `wall` tells the time of day."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], datetime]) -> None:
        self._clock, self._wall = clock, wall
        self._due: dict[Key, float] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._ready: list[tuple[int, float, int, Key]] = []  # lane, due, order: new objects have lane 0
        self._fresh: set[Key] = set()
        self._active: set[Key] = set()
        self._order = itertools.count()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def backlog(self) -> list[float]:
        """Since when each key has been due that no worker has yet."""
        now = self._clock()
        return [due for key, due in self._due.items() if due <= now and key not in self._active]

    @property
    def crowd(self) -> int:
        """About how many keys wait for a worker; cheap."""
        return len(self._ready)

    def put_at(self, key: Key, when: datetime) -> None:
        """Queue a key for a moment of the wall clock."""
        self.put(key, due=self._clock() + max((when - self._wall()) / timedelta(seconds=1), 0.0))

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
            self._wake.set()

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._due.pop(key, None)
        self._fresh.discard(key)

    async def get(self) -> tuple[Key, float]:
        """The next key that is due, and the seconds for which it was."""
        while True:
            self._move_due()
            while self._ready:
                _, due, _, key = heapq.heappop(self._ready)
                if self._due.get(key) == due and key not in self._active:
                    del self._due[key]
                    self._fresh.discard(key)
                    self._active.add(key)
                    return key, self._clock() - due
            self._wake.clear()
            wait = self._later[0][0] - self._clock() if self._later else None
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """The worker has finished with the key."""
        self._active.discard(key)
        if key in self._due:
            heapq.heappush(self._later, (self._due[key], next(self._order), key))
        self._wake.set()

    def _move_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, order, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                heapq.heappush(self._ready, (0 if key in self._fresh else 1, due, order, key))
