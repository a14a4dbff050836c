"""What can go wrong outside, in the few classes that decide what to do next.

Adapters classify once, at the boundary; nobody else looks at HTTP codes or AWS error codes. `architecture.md` section 8.
"""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """How a failed read or write is to be met."""

    TRANSIENT = "Transient"  # throttling, 5xx, connection: soon again
    DENIED = "Denied"  # AWS permission or KMS: slowly again, Stalled, the missing action named
    MISSING = "Missing"  # it is not there
    INVALID = "Invalid"  # no retry until the object changes
    CONFLICT = "Conflict"  # 409, or 422 on metadata.uid: look again
    FORBIDDEN = "Forbidden"  # 403 of the API server, or 422 from an admission policy: slowly again, Stalled


class OutsideError(Exception):
    """A refusal of AWS or of the API server, classified.

    `reason` is a CamelCase condition reason (for instance SourceAccessDenied); `message` is one sentence that names the object, the
    identity in use and the action, and never a secret value.
    """

    def __init__(self, kind: FailureKind, *, reason: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message
