"""Conditions that every tool reads the same way: kubectl wait, kstatus (Flux, Helm, Argo CD), and people.

Ready is always there. Reconciling and Stalled are there only while True, never both, and Ready then repeats their reason and message.
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.api import Condition, ConditionStatus

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
ORDER = (READY, RECONCILING, STALLED, "Mirrored", "Adopted", "RotationOnTime", "Complete", "Failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a condition is to say."""

    status: ConditionStatus
    reason: str
    message: str


def true(reason: str, message: str) -> Verdict:
    """The condition holds."""
    return Verdict(status=ConditionStatus.TRUE, reason=reason, message=message)


def false(reason: str, message: str) -> Verdict:
    """The condition does not hold."""
    return Verdict(status=ConditionStatus.FALSE, reason=reason, message=message)


def unknown(reason: str, message: str) -> Verdict:
    """It cannot be told whether the condition holds."""
    return Verdict(status=ConditionStatus.UNKNOWN, reason=reason, message=message)


def stalled(reason: str, message: str) -> dict[str, Verdict]:
    """It cannot go on by itself."""
    return {READY: false(reason, message), STALLED: true(reason, message)}


def reconciling(reason: str, message: str) -> dict[str, Verdict]:
    """It is on its way."""
    return {READY: false(reason, message), RECONCILING: true(reason, message)}


def merge(before: Sequence[Condition], wanted: Mapping[str, Verdict], *, generation: int, now: datetime) -> list[Condition]:
    """The list of conditions that says what is wanted, and nothing else; a transition time moves only when the status flips."""
    old = {condition.type: condition for condition in before}
    return [
        Condition(
            type=type_,
            status=verdict.status,
            observed_generation=generation,
            last_transition_time=old[type_].last_transition_time if type_ in old and old[type_].status is verdict.status else now,
            reason=verdict.reason,
            message=verdict.message,
        )
        for type_, verdict in sorted(wanted.items(), key=lambda item: ORDER.index(item[0]))
    ]


def find(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """The condition of that type."""
    return next((condition for condition in conditions if condition.type == type_), None)


def holds(conditions: Sequence[Condition], type_: str) -> bool:
    """Whether the condition is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status is ConditionStatus.TRUE
