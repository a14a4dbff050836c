"""What the staging labels say about a secret's rotation.

AWS keeps no rotation state besides the labels, so everything about a rotation in flight is read off them.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_turn-on-for-other.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType, Self

VersionId = NewType("VersionId", str)

AWSCURRENT = "AWSCURRENT"
AWSPREVIOUS = "AWSPREVIOUS"
AWSPENDING = "AWSPENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Which version carries which staging label."""

    current: VersionId
    previous: VersionId | None = None
    pending: VersionId | None = None

    @classmethod
    def from_stages(cls, stages: Mapping[str, Iterable[str]]) -> Self | None:
        """Read DescribeSecret's VersionIdsToStages; None if no version is current (a secret that never had a value)."""
        carrier = {label: VersionId(version) for version, labels in stages.items() for label in labels}
        current = carrier.get(AWSCURRENT)
        if current is None:
            return None
        return cls(current=current, previous=carrier.get(AWSPREVIOUS), pending=carrier.get(AWSPENDING))

    @property
    def rotating(self) -> bool:
        """AWSPENDING sits on a version that has not been promoted."""
        return self.pending not in (None, self.current)


class Phase(StrEnum):
    """How far a rotation is, as seen by somebody who waits for one version."""

    IDLE = "Idle"  # nothing is in flight, and nobody waits
    NOT_STARTED = "NotStarted"  # no trace of the token: RotateSecret with it is (still) to be called
    RUNNING = "Running"  # AWS works on it, and repeats a failed step by itself
    FOREIGN = "Foreign"  # another version is pending: a rotation that we did not start
    OVERDUE = "Overdue"  # past the timeout; whether the pending version has a value must be asked first
    STUCK_EMPTY = "StuckEmpty"  # died in createSecret: the label blocks every later rotation, and may go
    STUCK_WITH_VALUE = "StuckWithValue"  # died in setSecret, testSecret or finishSecret: either password may be the live one
    ABANDONED = "Abandoned"  # the label was taken away without a promotion
    PROMOTED = "Promoted"
    LATE_SUCCESS = "LateSuccess"  # promoted after the one who waited had given up
    SUPERSEDED = "Superseded"  # AWSCURRENT went to a version that nobody here waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationState:
    """A phase, the version that it is about, and when time alone will change it."""

    phase: Phase
    version: VersionId | None = None
    look_again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The version that a run waits for: its own token, or the version of the rotation that it joined."""

    token: VersionId
    started_at: datetime | None = None  # when RotateSecret was first called, or the rotation was joined; None: not yet
    expected_from: VersionId | None = None  # what was current then
    seen: bool = False  # the token was once among the secret's versions
    behind: VersionId | None = None  # a foreign rotation that was in flight at the last look
    behind_since: datetime | None = None  # when that one was first seen
    given_up: bool = False  # the run is over, and failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a rotation may take."""

    timeout: timedelta  # from start to promotion
    grace: timedelta  # for labels that are read stale, and for AWS's own repeats before a label is removed


def classify(
    labels: Labels,
    awaited: Awaited | None,
    *,
    now: datetime,
    patience: Patience,
    pending_has_value: bool | None = None,
) -> RotationState:
    """Say what the labels mean for whoever waits for `awaited`. A limit that is reached counts as passed.

    A phase that is stuck is about its version, which may be the one of a foreign rotation.
    """
    if awaited is None:
        return RotationState(phase=Phase.FOREIGN, version=labels.pending) if labels.rotating else RotationState(phase=Phase.IDLE)
    if labels.current == awaited.token:
        return RotationState(phase=Phase.LATE_SUCCESS if awaited.given_up else Phase.PROMOTED, version=awaited.token)
    if _moved_on(labels, awaited):
        return RotationState(phase=Phase.SUPERSEDED, version=labels.current)
    if labels.pending == awaited.token:
        return _in_flight(awaited, now=now, patience=patience, has_value=pending_has_value)
    if labels.rotating:
        return _behind(labels.pending, awaited, now=now, patience=patience, has_value=pending_has_value)
    return _without_a_trace(awaited, now=now, patience=patience)


def _moved_on(labels: Labels, awaited: Awaited) -> bool:
    """AWSCURRENT has left the version from which the run started, or has been on the token already."""
    if labels.previous == awaited.token:
        return True
    started = awaited.started_at is not None and awaited.expected_from is not None
    return started and labels.current != awaited.expected_from


def _in_flight(awaited: Awaited, *, now: datetime, patience: Patience, has_value: bool | None) -> RotationState:
    running = RotationState(phase=Phase.RUNNING, version=awaited.token)
    if awaited.started_at is None:  # the call was made, and the process died before it could write down when
        return running
    deadline = awaited.started_at + patience.timeout
    if now < deadline:
        return RotationState(phase=Phase.RUNNING, version=awaited.token, look_again_at=deadline)
    if has_value is None and now < deadline + 2 * patience.grace:
        return RotationState(phase=Phase.OVERDUE, version=awaited.token)
    if has_value is not False:  # where AWS does not say, the worse is to be taken for true
        return RotationState(phase=Phase.STUCK_WITH_VALUE, version=awaited.token)
    if now < deadline + patience.grace:
        return RotationState(phase=Phase.RUNNING, version=awaited.token, look_again_at=deadline + patience.grace)
    return RotationState(phase=Phase.STUCK_EMPTY, version=awaited.token)


def _behind(pending: VersionId | None, awaited: Awaited, *, now: datetime, patience: Patience, has_value: bool | None) -> RotationState:
    """A foreign rotation may be of any age, and has its own retries: it counts from when it was first seen, and gets the grace besides."""
    if awaited.behind != pending or awaited.behind_since is None:
        return RotationState(phase=Phase.FOREIGN, version=pending)
    deadline = awaited.behind_since + patience.timeout + patience.grace
    if now < deadline:
        return RotationState(phase=Phase.FOREIGN, version=pending, look_again_at=deadline)
    if has_value is None and now < deadline + patience.grace:
        return RotationState(phase=Phase.FOREIGN, version=pending)
    return RotationState(phase=Phase.STUCK_EMPTY if has_value is False else Phase.STUCK_WITH_VALUE, version=pending)


def _without_a_trace(awaited: Awaited, *, now: datetime, patience: Patience) -> RotationState:
    """No label is on the token. DescribeSecret is eventually consistent: a token that was seen may be missing from one answer."""
    if not awaited.seen:
        return RotationState(phase=Phase.NOT_STARTED, version=awaited.token)
    if awaited.started_at is not None and now < awaited.started_at + patience.grace:
        return RotationState(phase=Phase.RUNNING, version=awaited.token, look_again_at=awaited.started_at + patience.grace)
    return RotationState(phase=Phase.ABANDONED, version=awaited.token)
