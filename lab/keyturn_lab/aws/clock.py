"""The lab's clock: real time plus whatever a test has moved it on by."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Only ever moves forward, as AWS's does. Readers and movers may be on different threads."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The lab's present moment, in UTC."""
        with self._lock:
            return datetime.fromtimestamp(time.time(), UTC) + self._ahead

    def advance(self, step: timedelta) -> datetime:
        """Move the lab on, and answer with the new present."""
        if step < timedelta():
            raise ValueError("the lab's clock does not go back; backdate a secret instead")
        with self._lock:
            self._ahead += step
        return self.now()

    def reset(self) -> None:
        """Back to real time."""
        with self._lock:
            self._ahead = timedelta()
