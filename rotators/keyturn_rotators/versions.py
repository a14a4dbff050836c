"""The versions of secrets and their staging labels, as a rotation sees them: a port, so that no step knows where they are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What DescribeSecret says about a rotation."""

    rotation_enabled: bool | None  # None: never configured
    stages: Mapping[str, frozenset[str]]  # VersionId -> its labels, versions without a value included

    def holder(self, label: str) -> str | None:
        """The version that carries the label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)

    @property
    def in_flight(self) -> bool:
        """AWSPENDING sits on a version that is not current."""
        return self.holder(PENDING) not in (None, self.holder(CURRENT))


class VersionMissing(Exception):
    """The version is not there, has no value, or does not carry the label."""


class VersionExists(Exception):
    """The version has a value already, and another one."""


class VersionStore(Protocol):
    """The versions of secrets. Every refusal but the two above is a RotationError."""

    def describe(self, secret: str) -> Description: ...

    def read(self, secret: str, *, label: str | None = None, version: str | None = None) -> str:
        """The value with that label, of that version, or both at once. Raises VersionMissing."""

    def put_pending(self, secret: str, *, token: str, value: str, rotation_token: str | None) -> None:
        """Store the value as the version `token`, labelled AWSPENDING. Raises VersionExists."""

    def promote(self, secret: str, *, token: str, from_version: str) -> None:
        """Move AWSCURRENT from one version to the other."""
