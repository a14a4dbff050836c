"""What a plan asks to be done, and what came of it. An action is idempotent; a refusal is an outcome, not an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyturn.api import MirrorStatus
from keyturn.domain.consumers import Consumer
from keyturn.domain.observed import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteMirror:
    """Fetch AWSCURRENT, render it, and make the Secret hold it.

    `expect` is the version that must be current (None: whichever is, for the first mirror). `recorded` is what was last written.
    """

    expect: str | None
    recorded: MirrorStatus | None
    repair: bool = False  # what was written was touched by somebody else


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRotation:
    """RotateSecret with this ClientRequestToken."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePending:
    """Take AWSPENDING off a version that never got a value. `foreign`: somebody else's rotation left it there."""

    version: str
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Set the one annotation on a workload's pod template."""

    consumer: Consumer
    annotation: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRun:
    """Create a RotationRun; one of the same name and spec counts as created."""

    name: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptRun:
    """Make a RotationRun that a person created owned by its RotatingSecret."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRun:
    """Delete a finished run beyond the history limit."""

    name: str
    uid: str


Action = WriteMirror | StartRotation | RemovePending | Restart | CreateRun | AdoptRun | DeleteRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """The Secret holds the version. `changed`: its data is other than before; `created`: it was not there; `written`: there was a write."""

    mirror: MirrorStatus
    name: str
    arn: str
    changed: bool
    created: bool = False
    written: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Another version than the expected one is current, as the value itself says."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It was not done."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It was done, or had been done already."""


Outcome = Mirrored | Moved | Refused | Done
