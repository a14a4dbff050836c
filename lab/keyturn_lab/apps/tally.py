"""How often a program's logins worked, as it is counted, shown and reported."""

import threading
import uuid
from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts of one process."""

    pod: str
    user: str = ""
    successes: int = 0
    failures: int = 0
    last_error_kind: str | None = None
    incarnation: str = field(default_factory=lambda: uuid.uuid4().hex)  # a container that is restarted in its pod counts anew

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Counter:
    """A Tally that the threads of one process share."""

    def __init__(self, pod: str) -> None:
        self._tally = Tally(pod=pod)
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
            self._healthy = True
            self._tally = replace(self._tally, user=user, successes=self._tally.successes + 1)

    def failed(self, user: str, kind: str) -> None:
        with self._lock:
            self._healthy = False
            self._tally = replace(self._tally, user=user, failures=self._tally.failures + 1, last_error_kind=kind)
