"""Switches that make the lab's AWS misbehave.

A fault meets a call by service and action, and for Secrets Manager by the secret; it acts for a number of calls, with a probability, or
until it is cleared. Faults of Lambda meet a step of a rotation instead.
"""

import fnmatch
import itertools
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FaultKind = Literal[
    "throttle", "error", "latency", "hang", "deny", "stale-list", "stale-read", "kms-disabled", "lambda-fail", "lambda-hang"
]
CALL_KINDS = frozenset({"throttle", "error", "latency", "hang", "deny"})


@dataclass(slots=True, kw_only=True)
class Fault:
    """One switch that is on. Patterns are those of a shell (`*`)."""

    kind: FaultKind
    fault_id: str = ""
    action: str = "*"
    """`GetSecretValue` for Secrets Manager, `sts:AssumeRole` for others; lambda faults: the function's name."""
    secret: str = "*"
    """Name or ARN of the secret that the call names; a pattern other than `*` meets only calls that name one."""
    caller: str = "*"
    """Access key id of the caller."""
    step: str = "*"
    """lambda faults: the step, e.g. `setSecret`."""
    after: bool = False
    """lambda faults: let the function do its work first, then fail or hang."""
    calls: int | None = None
    """How many more calls it meets; None: all."""
    probability: float = 1.0
    seconds: float = 0.0
    """latency: how long a call is held up; hang: how long at most (0: until the fault is cleared)."""
    code: str = "InternalServiceError"
    message: str = "An error occurred on the server side."
    status: int = 500
    lambdas: bool = False
    """Whether calls that the lab's own Lambda functions make are met too."""
    then: dict[str, dict[str, str]] = field(default_factory=dict)
    """stale-read: the labels by ARN when it was set; the lab fills it in."""


class Faults:
    """The switches that are on. Asking takes one use of a fault that has a number of calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._on: dict[str, Fault] = {}
        self._cleared = threading.Condition(self._lock)

    def set(self, fault: Fault) -> str:
        """Switch on; the answer names it for `clear`."""
        with self._lock:
            fault.fault_id = f"fault-{next(self._numbers)}"
            self._on[fault.fault_id] = fault
            return fault.fault_id

    def clear(self, fault_id: str | None = None) -> None:
        """Switch one off, or all; what hangs on it goes on."""
        with self._lock:
            for known in list(self._on) if fault_id is None else [fault_id]:
                self._on.pop(known, None)
            self._cleared.notify_all()

    def listed(self) -> list[dict[str, Any]]:
        """Those that are on."""
        with self._lock:
            return [asdict(fault) for fault in self._on.values()]

    @property
    def any_on(self) -> bool:
        """Whether any switch is on."""
        return bool(self._on)

    def any_of(self, kind: FaultKind) -> bool:
        """Whether a switch of this kind is on."""
        with self._lock:
            return any(fault.kind == kind for fault in self._on.values())

    def for_call(self, action: str, *, names: Iterable[str], caller: str, by_lambda: bool) -> list[Fault]:
        """What befalls a call that names a secret by any of `names`."""
        return self._of_kinds(CALL_KINDS, action, names=list(names), caller=caller, by_lambda=by_lambda)

    def for_part(self, action: str, *, names: Iterable[str], caller: str, by_lambda: bool) -> bool:
        """Whether an action that another call includes is denied: BatchGetSecretValue needs GetSecretValue for each secret."""
        return bool(self._of_kinds(frozenset({"deny"}), action, names=list(names), caller=caller, by_lambda=by_lambda))

    def stale_labels(self, arn: str, names: Iterable[str]) -> dict[str, str] | None:
        """The labels that a read of this secret still sees."""
        known = list(names)
        met = self._take(lambda fault: fault.kind == "stale-read" and arn in fault.then and _names(fault.secret, known))
        return met[0].then[arn] if met else None

    def _of_kinds(self, kinds: frozenset[str], action: str, *, names: list[str], caller: str, by_lambda: bool) -> list[Fault]:
        return self._take(
            lambda fault: (
                fault.kind in kinds
                and (fault.lambdas or not by_lambda)
                and fnmatch.fnmatchcase(action, fault.action)
                and fnmatch.fnmatchcase(caller, fault.caller)
                and _names(fault.secret, names)
            )
        )

    def for_key(self, names: Iterable[str]) -> bool:
        """Whether the key of a secret cannot be used."""
        known = list(names)
        return bool(self._take(lambda fault: fault.kind == "kms-disabled" and _names(fault.secret, known)))

    def for_step(self, function: str, step: str) -> list[Fault]:
        """What befalls one step of a function."""
        return self._take(
            lambda fault: (
                fault.kind in ("lambda-fail", "lambda-hang")
                and fnmatch.fnmatchcase(function, fault.action)
                and fnmatch.fnmatchcase(step, fault.step)
            )
        )

    def hang(self, fault: Fault) -> None:
        """Hold the calling thread until the fault is cleared, or its seconds are over."""
        with self._lock:
            self._cleared.wait_for(lambda: fault.fault_id not in self._on, timeout=fault.seconds or None)

    def _take(self, meets: Callable[[Fault], bool]) -> list[Fault]:
        with self._lock:
            met = [fault for fault in self._on.values() if meets(fault) and fault.calls != 0 and random.random() < fault.probability]
            for fault in met:
                if fault.calls is not None:
                    fault.calls -= 1
                    if fault.calls == 0 and fault.kind != "hang":
                        del self._on[fault.fault_id]
            return met


def _names(pattern: str, names: list[str]) -> bool:
    return pattern == "*" or any(fnmatch.fnmatchcase(name, pattern) for name in names)
