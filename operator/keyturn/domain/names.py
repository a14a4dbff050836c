"""Names that are computed, so that whoever comes again makes the same object and not a second one.

A run's name is the RotatingSecret's, cut short, and a digest of what the run is for. The token of its rotation follows from its uid.
"""

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Final

from keyturn.domain.versions import VersionId

LONGEST: Final = 63  # a run's name is a label's value too
_DIGEST: Final = 10


def scheduled_run(name: str, *, uid: str, slot: datetime) -> str:
    """The run of the RotatingSecret `name` for a slot of its schedule (the time before the spread)."""
    return _name(name, "slot", uid, slot.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def change_run(name: str, *, uid: str, epoch: int, version: str, shape: str) -> str:
    """The run that brings a change of content to the consumers: a version that was noticed, or an edit, after this epoch."""
    return _name(name, "change", uid, str(epoch), version, shape)


def rotation_token(run_uid: str) -> VersionId:
    """RotateSecret's ClientRequestToken, which becomes the new version's id."""
    return VersionId(str(uuid.uuid5(uuid.UUID(run_uid), "rotate")))


def _name(name: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST - _DIGEST - 1].rstrip('-.')}-{digest}"
