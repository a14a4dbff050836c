"""What deserves a look: the key of an object. An event is only a hint, so nothing but the key is queued."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The kinds that are reconciled."""

    SECRET = "RotatingSecret"  # noqa: S105 - the name of a kind
    RUN = "RotationRun"
    CONNECTION = "AWSConnection"
    CLUSTER_CONNECTION = "ClusterAWSConnection"


class Key(NamedTuple):
    """One object. The namespace of a cluster-wide one is empty."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.value} {self.name}"
