"""Deadlines for polling that count only the time in which we were able to look.

A busy or virtual machine can stand still for seconds. What we wait for stands still then, too: a plain deadline would give up on something
that never had the chance to happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_LOOK = 0.5
"""Seconds that one look and the pause after it count at most."""


class Patience:
    """Asked once after each look; says when `seconds` of looking are over."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._left, self._clock = seconds, clock
        self._asked_at = clock()

    @property
    def over(self) -> bool:
        """Reading it counts the time since it was last read."""
        now = self._clock()
        self._left -= min(now - self._asked_at, LONGEST_LOOK)
        self._asked_at = now
        return self._left < 0
