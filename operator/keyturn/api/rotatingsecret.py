"""RotatingSecret: what should be true of one AWS secret for ever.

Only what works is in the schema; the design keeps room for more. Every default is static, so that the stored object shows it
and GitOps tools see no drift.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .meta import (
    CEL,
    Conditions,
    Count,
    Extra,
    Generation,
    Immutable,
    Kind,
    Message,
    Model,
    ObjectName,
    PrinterColumn,
    Resource,
    Short,
    Time,
    VersionId,
    condition_column,
)
from .rollout import Rollout
from .rotation import Rotation
from .target import Target

NAME_CHARACTERS = "A-Za-z0-9/_+=.@!-"
ARN_PATTERN = f"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:[{NAME_CHARACTERS}]{{1,512}}-[A-Za-z0-9]{{6}}$"


class ConnectionKind(StrEnum):
    """Where a connection lives."""

    CLUSTER_AWS_CONNECTION = "ClusterAWSConnection"
    AWS_CONNECTION = "AWSConnection"


class Suspend(StrEnum):
    """What is held back."""

    ROTATIONS = "Rotations"
    EVERYTHING = "Everything"


class ConnectionRef(Model):
    """Which connection reaches AWS."""

    kind: ConnectionKind = ConnectionKind.CLUSTER_AWS_CONNECTION
    """ClusterAWSConnection (made by the cluster's administrators), or AWSConnection (in the RotatingSecret's namespace, with
    credentials of its own)."""

    name: ObjectName = "default"
    """The connection's name."""


SecretId = Annotated[
    str,
    Field(min_length=1, max_length=640),
    Immutable("another secret is another RotatingSecret"),
    CEL(
        f"self.startsWith('arn:') || self.matches('^[{NAME_CHARACTERS}]{{1,512}}$')",
        "must be the name of a secret in AWS (letters, digits and /_+=.@!-, 512 at most) or its full ARN",
    ),
    CEL(
        f"!self.startsWith('arn:') || self.matches('{ARN_PATTERN}')",
        "must be the full ARN of a secret, with the hyphen and six characters at its end, not a part of it",
    ),
    CEL(
        "self.startsWith('arn:') || !self.matches('-[A-Za-z0-9]{6}$') || self.matches('-[a-z]{6}$')",
        "must not end in a hyphen and six characters, which is how ARNs end: give the name without them, or the full ARN",
    ),
]


class RotatingSecretSpec(Model):
    """What should be true of one AWS secret."""

    secret_id: SecretId
    """The secret in AWS Secrets Manager: its name (for example shop/orders/db) or its full ARN. Cannot be changed."""

    connection_ref: ConnectionRef = Field(default_factory=ConnectionRef)
    """How AWS is reached, and who may."""

    suspend: Suspend | None = None
    """Rotations: start none by schedule, but mirror, restart, and rotate when asked. Everything: only watch and report. Absent:
    nothing is suspended."""

    rotation: Rotation | None = None
    """How Keyturn rotates the secret. Absent: it starts no rotation, and follows those that AWS or people start."""

    target: Target = Field(default_factory=Target)
    """The Secret that is written."""

    rollout: Rollout = Field(default_factory=Rollout)
    """How the workloads that use the Secret come to use a new version."""

    history_limit: Annotated[int, Field(ge=1, le=100), Extra((("format", "int32"),))] = 10
    """How many finished RotationRuns are kept."""


class SourceStatus(Model):
    """The secret in AWS, as last seen."""

    arn: Annotated[str, Field(max_length=2048)] | None = None
    """Its full ARN."""

    version_id: VersionId | None = None
    """The version that has the staging label AWSCURRENT."""

    version_time: Time | None = None
    """When that version was created."""

    rotated_by: Annotated[str, Field(max_length=2048)] | None = None
    """What rotates it in AWS: the ARN of its rotation function, or the service that manages it. Absent: nothing is configured."""

    next_rotation_time: Time | None = None
    """When AWS itself will rotate it next, if it has a schedule there."""


class MirrorStatus(Model):
    """The Secret, as last written."""

    secret_name: ObjectName
    """The Secret's name."""

    secret_uid: Annotated[str, Field(max_length=64)] | None = None
    """The Secret's uid: by it, a Secret is known to be ours."""

    resource_version: Annotated[str, Field(max_length=64)] | None = None
    """The Secret's resourceVersion after our last write; another one means that somebody touched it."""

    version_id: VersionId
    """The version of the AWS secret that it holds."""

    version_time: Time | None = None
    """When that version was made in AWS."""

    epoch: Count
    """How often its content has changed."""

    time: Time
    """When it got this content, by the API server's clock. Pods created later have read it."""

    shape: Annotated[str, Field(max_length=64)] | None = None
    """A digest of the parts of the spec that decided the content (keys, template, require, type), so that an edit of them is
    noticed. Never of a value."""


class Settled(Model):
    """The last change of content whose run is over."""

    version_id: VersionId
    """The version of the AWS secret."""

    epoch: Count
    """The Secret's epoch."""


class RejectedVersion(Model):
    """A version that cannot become the Secret's content."""

    version_id: VersionId
    """The version of the AWS secret."""

    shape: Annotated[str, Field(max_length=64)]
    """A digest of the parts of the spec (keys, template, require, type) with which it was tried: an edit of them is tried anew."""

    time: Time
    """When it was found out."""

    message: Message
    """Why, naming fields and never a value."""


class RotationTimes(Model):
    """When rotations were, and will be."""

    last_time: Time | None = None
    """When the last rotation succeeded, whoever started it."""

    next_time: Time | None = None
    """When the next one is due by the schedule."""

    last_schedule_time: Time | None = None
    """The last scheduled time for which a run was made, whether or not that run succeeded."""

    last_attempt_time: Time | None = None
    """When the last rotation was started by Keyturn."""

    schedule: Annotated[str, Field(max_length=256)] | None = None
    """The schedule that these times are about."""

    schedule_since: Time | None = None
    """Since when that schedule is in force: an edited schedule counts from its edit."""


class Adoption(Model):
    """Which pods run on the version that the Secret holds."""

    pods: Count = 0
    """Pods that use the Secret."""

    pods_on_version: Count = 0
    """Those of them that were created after the Secret got its present content."""

    workloads: Count = 0
    """Workloads that use the Secret."""

    since: Time | None = None
    """Pods that were created at this time or later have surely read the Secret's present content."""


class SecretSummary(Model):
    """Strings for the columns of `kubectl get`."""

    version: Short | None = None
    """The mirrored version, shortened."""

    adopted: Short | None = None
    """Pods on the version and pods in all, for example 7/7."""

    next_rotation: Short | None = None
    """When the next rotation is due."""


class RotatingSecretStatus(Model):
    """What is true of it now."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """Ready (the Secret holds a complete, current version), Reconciling and Stalled (only when True), Mirrored, Adopted, RotationOnTime."""

    source: SourceStatus | None = None
    """The secret in AWS, as last seen."""

    mirror: MirrorStatus | None = None
    """The Secret, as last written."""

    settled: Settled | None = None
    """The last change of content whose run is over."""

    rejected: RejectedVersion | None = None
    """The version that is current in AWS, if it cannot become the Secret's content: the Secret keeps the one before."""

    rotation: RotationTimes | None = None
    """When rotations were, and will be."""

    adoption: Adoption | None = None
    """Which pods run on the version that the Secret holds."""

    active_run: ObjectName | None = None
    """The RotationRun that is changing the credential now."""

    summary: SecretSummary | None = None
    """Strings for the columns of `kubectl get`."""


class RotatingSecret(Kind):
    """An AWS secret, mirrored into a Secret, rotated on schedule and on demand, and brought to every workload that uses it."""

    resource: ClassVar = Resource(
        kind="RotatingSecret",
        plural="rotatingsecrets",
        singular="rotatingsecret",
        short_name="rsec",
        columns=(
            condition_column("Ready", "Ready", "status", "Whether the Secret holds a complete version that is current."),
            PrinterColumn(name="Secret", path=".status.mirror.secretName", description="The Secret that is written."),
            PrinterColumn(name="Version", path=".status.summary.version", description="The mirrored version, shortened."),
            PrinterColumn(name="Adopted", path=".status.summary.adopted", description="Pods on that version, of all that use the Secret."),
            PrinterColumn(name="Last Rotated", path=".status.rotation.lastTime", description="Time since the last rotation.", type="date"),
            PrinterColumn(name="Next", path=".status.summary.nextRotation", description="When the next rotation is due."),
            PrinterColumn(name="Age", path=".metadata.creationTimestamp", description="Time since the object was created.", type="date"),
            PrinterColumn(name="Source", path=".spec.secretId", description="The secret in AWS.", wide=True),
            condition_column("Reason", "Ready", "reason", "Why it is ready, or not.", wide=True),
            condition_column("Message", "Ready", "message", "The same in a sentence.", wide=True),
        ),
        selectable=(".spec.secretId", ".spec.connectionRef.name"),
        name_limit=63,
    )

    kind: Literal["RotatingSecret"] = "RotatingSecret"
    spec: RotatingSecretSpec
    """What should be true of one AWS secret."""

    status: RotatingSecretStatus = Field(default_factory=RotatingSecretStatus)
    """What is true of it now. Written by Keyturn."""

    @property
    def target_name(self) -> str:
        """The name of the Secret."""
        return self.spec.target.name or self.metadata.name
