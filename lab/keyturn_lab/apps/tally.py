"""How often a program's logins worked, as it is counted, shown and reported."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts of one process."""

    pod: str
    user: str = ""
    successes: int = 0
    failures: int = 0
    last_error_kind: str | None = None
    longest_gap: float = 0.0  # seconds from a success (or the start) over failures to the next success, or to the last failure
    incarnation: str = field(default_factory=lambda: uuid.uuid4().hex)  # a container that is restarted in its pod counts anew

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Counter:
    """A Tally that the threads of one process share."""

    def __init__(self, pod: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tally = Tally(pod=pod)
        self._clock = clock
        self._last_success = clock()
        self._failing = False
        self._lock = threading.Lock()
        self._healthy = False

    @property
    def tally(self) -> Tally:
        with self._lock:
            return self._tally

    @property
    def healthy(self) -> bool:
        """The last login worked."""
        with self._lock:
            return self._healthy

    def succeeded(self, user: str) -> None:
        with self._lock:
            gap = self._gap() if self._failing else self._tally.longest_gap
            self._healthy, self._failing, self._last_success = True, False, self._clock()
            self._tally = replace(self._tally, user=user, successes=self._tally.successes + 1, longest_gap=gap)

    def failed(self, user: str, kind: str) -> None:
        with self._lock:
            self._healthy, self._failing = False, True
            failures = self._tally.failures + 1
            self._tally = replace(self._tally, user=user, failures=failures, last_error_kind=kind, longest_gap=self._gap())

    def _gap(self) -> float:
        return max(self._tally.longest_gap, self._clock() - self._last_success)
