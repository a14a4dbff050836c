"""The API server's clock, told from the Date of its answers.

Times in objects are the server's, and what is decided by comparing them with now must not depend on this machine's clock. A Date has
whole seconds, so each answer only bounds the difference of the clocks; together they bound it closely. Within the bounds no difference is
assumed.
https://www.rfc-editor.org/rfc/rfc9110#name-date
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EVERY = 1.0  # seconds between two looks: a Date changes no faster


class ServerClock:
    """Ahead of ours by something between `low` and `high` seconds."""

    def __init__(self, local: Callable[[], float] = time.time) -> None:
        self._local = local
        self.low, self.high = -math.inf, math.inf
        self._looked = -math.inf

    def heard(self, date: str | None, *, sent: float, received: float) -> None:
        """An answer to a request between two moments of our clock."""
        if date is None or abs(received - self._looked) < EVERY:
            return
        try:
            second = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return
        self._looked = received
        low, high = second - received, second + 1 - sent
        if low > self.high or high < self.low:  # one of the clocks was set
            self.low, self.high = low, high
        else:
            self.low, self.high = max(low, self.low), min(high, self.high)

    def now(self) -> datetime:
        """The server's time."""
        ahead = min(max(0.0, self.low), self.high)
        return datetime.fromtimestamp(self._local(), UTC) + timedelta(seconds=ahead)
