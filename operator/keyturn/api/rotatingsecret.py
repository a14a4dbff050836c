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
    EVERY_PATTERN,
    Conditions,
    Count,
    Duration,
    Extra,
    Generation,
    Immutable,
    Kind,
    ListMap,
    ListSet,
    Model,
    ObjectName,
    PrinterColumn,
    Reason,
    Resource,
    Short,
    Time,
    VersionId,
    condition_column,
)

KEY_PATTERN = "^[-._a-zA-Z0-9]+$"
NAME_CHARACTERS = "A-Za-z0-9/_+=.@!-"
ARN_PATTERN = f"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{{12}}:secret:[{NAME_CHARACTERS}]{{1,512}}-[A-Za-z0-9]{{6}}$"


FieldName = Annotated[str, Field(min_length=1, max_length=512)]


class ConnectionKind(StrEnum):
    """Where a connection lives."""

    CLUSTER_AWS_CONNECTION = "ClusterAWSConnection"
    AWS_CONNECTION = "AWSConnection"


class Suspend(StrEnum):
    """What is held back."""

    ROTATIONS = "Rotations"
    EVERYTHING = "Everything"


class Strategy(StrEnum):
    """What the rotator does to the old credential."""

    UNKNOWN = "Unknown"
    SINGLE_USER = "SingleUser"
    ALTERNATING_USERS = "AlternatingUsers"
    OVERLAP = "Overlap"


class SecretType(StrEnum):
    """The types of Secret that may be written."""

    OPAQUE = "Opaque"
    BASIC_AUTH = "kubernetes.io/basic-auth"
    DOCKER_CONFIG_JSON = "kubernetes.io/dockerconfigjson"
    SSH_AUTH = "kubernetes.io/ssh-auth"
    TLS = "kubernetes.io/tls"


class ConflictPolicy(StrEnum):
    """What to do about a Secret of that name that is not ours."""

    REFUSE = "Refuse"
    ADOPT = "Adopt"


class DeletionPolicy(StrEnum):
    """What becomes of the Secret when the RotatingSecret goes."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Discovery(StrEnum):
    """How the workloads that use the Secret are found."""

    REFERENCES = "References"
    NONE = "None"


class WorkloadKind(StrEnum):
    """The kinds of consumers that Keyturn knows."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    ROLLOUT = "Rollout"
    CRON_JOB = "CronJob"
    JOB = "Job"
    POD = "Pod"


class OnChange(StrEnum):
    """How a workload comes to use the new content."""

    RESTART = "Restart"
    RELOADS = "Reloads"
    EXTERNAL = "External"


class ConnectionRef(Model):
    """Which connection reaches AWS."""

    kind: ConnectionKind = ConnectionKind.CLUSTER_AWS_CONNECTION
    """ClusterAWSConnection (made by the cluster's administrators), or AWSConnection (in the RotatingSecret's namespace, with
    credentials of its own)."""

    name: ObjectName = "default"
    """The connection's name."""


class Schedule(Model):
    """When rotations start. Exactly one of `every` and `cron`."""

    rules: ClassVar = (
        CEL("has(self.every) != has(self.cron)", "must have exactly one of every and cron"),
        CEL("!has(self.timeZone) || has(self.cron)", "must not be set without cron", Reason.FORBIDDEN, ".timeZone"),
    )

    every: (
        Annotated[
            str,
            Field(min_length=2, max_length=6, pattern=EVERY_PATTERN),
            CEL(
                f"!self.matches('{EVERY_PATTERN}') || (self.endsWith('h')"
                " ? int(self.replace('h', '')) >= 4 && int(self.replace('h', '')) <= 24000 : int(self.replace('d', '')) <= 1000)",
                "must be between 4h (AWS's own limit) and 1000d",
            ),
        ]
        | None
    ) = None
    """Rotate this long after the last rotation that succeeded, whoever started it: a whole number and h (hours) or d (days), from
    4h to 1000d, for example 30d."""

    cron: Annotated[str, Field(min_length=9, max_length=100)] | None = None
    """Rotate at these times: five fields (minute, hour, day of month, month, day of week), for example "0 3 * * SUN". Times less
    than 4 hours after a rotation are skipped."""

    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$")] | None = None
    """The IANA name of the time zone in which cron is read, for example Europe/Berlin. Absent means Etc/UTC."""

    window: Annotated[str, Duration("0s", "24h")] = "1h"
    """The start is spread over this long after the scheduled time, differently for each object, so that many do not start
    together. 0s starts at once."""


class Rotation(Model):
    """How this secret is rotated by Keyturn."""

    schedule: Schedule | None = None
    """When rotations start. Absent: only on demand (a RotationRun, or `keyturn rotate`)."""

    strategy: Strategy = Strategy.UNKNOWN
    """What the rotator does, so that Keyturn knows how long the old credential works: SingleUser (the password is changed, the
    old one is dead at once), AlternatingUsers (two users in turn, the old one works until the next rotation), Overlap (one user
    with two valid credentials), or Unknown."""

    timeout: Annotated[str, Duration("1s", "24h")] = "15m"
    """How long a rotation may take from its start until AWS promotes the new version; after that the run fails. For example 15m."""


class KeyMapping(Model):
    """One field of the AWS secret under a name of your own."""

    from_: Annotated[FieldName, Field(alias="from")]
    """The field of the AWS secret's JSON, for example password. For a value that is not a JSON object: value."""

    to: Annotated[
        str,
        Field(min_length=1, max_length=253, pattern=KEY_PATTERN),
        CEL("self != '.' && !self.startsWith('..')", "must not be . or start with .."),
    ]
    """The data key in the Secret, for example DB_PASSWORD: letters, digits, hyphen, underscore and dot."""


_RESERVED = CEL(
    "self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|keyturn[.]dev)/'))",
    "must not have keys under kubernetes.io/, k8s.io/ or keyturn.dev/: these are not the user's to set",
    Reason.FORBIDDEN,
)


class Target(Model):
    """The Secret that is written."""

    rules: ClassVar = (
        CEL(
            "!has(self.keys) || !has(self.template) || self.keys.all(k, !(k.to in self.template))",
            "must not name a key that keys has too",
            Reason.DUPLICATE,
            ".template",
        ),
        CEL(
            "!has(self.deletion) || self.deletion != 'Delete' || self.conflict != 'Adopt'",
            "must not be Delete with conflict Adopt: a Secret that was there before stays",
            Reason.FORBIDDEN,
            ".deletion",
        ),
    )

    name: Annotated[ObjectName, Immutable("a new name is a new Secret; create another RotatingSecret")] | None = None
    """The Secret's name. Absent: the name of the RotatingSecret. Cannot be changed."""

    type: Annotated[SecretType, Immutable("a Secret cannot change its type; create another RotatingSecret")] = SecretType.OPAQUE
    """The Secret's type. The keys that a type needs (for example tls.crt and tls.key) must come from the AWS secret, keys or
    template. Cannot be changed."""

    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16), _RESERVED] = Field(default_factory=dict)
    """Labels that the Secret gets. Labels that others set are kept."""

    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16), _RESERVED] = Field(default_factory=dict)
    """Annotations that the Secret gets. Annotations that others set are kept."""

    keys: Annotated[list[KeyMapping], Field(min_length=1, max_length=100), ListMap("to")] | None = None
    """The fields of the AWS secret that become data keys. Absent: every top-level field, under its own name."""

    template: Annotated[
        dict[str, Annotated[str, Field(max_length=16_384)]],
        Field(max_length=32),
        CEL(
            "self.all(k, k.matches('^[-._a-zA-Z0-9]{1,253}$'))",
            "must have keys of letters, digits, hyphen, underscore and dot, 253 at most",
        ),
    ] = Field(default_factory=dict)
    """Further data keys, each rendered from the AWS secret's fields by an expression template, for example "postgresql://{{
    username | urlencode }}:{{ password | urlencode }}@{{ host }}:{{ port }}/{{ dbname }}"."""

    require: Annotated[list[FieldName], Field(max_length=100), ListSet] = Field(default_factory=list)
    """Fields of the AWS secret that must be there and not be empty; otherwise the Secret keeps its last good content. For example
    [username, password]."""

    conflict: ConflictPolicy = ConflictPolicy.REFUSE
    """If a Secret of that name exists and is not ours: Refuse leaves it alone; Adopt takes it over, provided that it carries the
    annotation keyturn.dev/adopt-by with the name of this object."""

    deletion: DeletionPolicy | None = None
    """What becomes of the Secret when this object is deleted: Delete or Retain. Absent: Delete, or Retain if conflict is Adopt."""

    @property
    def retained(self) -> bool:
        """The Secret outlives the RotatingSecret."""
        return self.conflict is ConflictPolicy.ADOPT or self.deletion is DeletionPolicy.RETAIN


RuleKind = Literal[WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET, WorkloadKind.ROLLOUT, WorkloadKind.CRON_JOB]


class WorkloadRule(Model):
    """Order, or an exception, for one workload."""

    rules: ClassVar = (
        CEL(
            "has(self.after) == (has(self.onChange) && self.onChange == 'Reloads')",
            "must be set with onChange: Reloads (how long the application takes to read its files again), and only then",
            Reason.REQUIRED,
            ".after",
        ),
        CEL(
            "self.kind != 'CronJob' || !has(self.onChange)",
            "must not be set for a CronJob: its next Job reads the new content",
            Reason.FORBIDDEN,
            ".onChange",
        ),
    )

    kind: RuleKind
    """The workload's kind."""

    name: ObjectName
    """The workload's name."""

    wave: Annotated[int, Field(ge=0, le=1000), Extra((("format", "int32"),))] = 0
    """Its place in the order: a wave starts when the one before it is ready and has soaked."""

    # Not `on` on the wire: YAML 1.1, and with it kubectl, reads that key as the boolean true.
    on: Annotated[OnChange | None, Field(alias="onChange")] = None
    """How it comes to use the new content: Restart (Keyturn restarts it), Reloads (it reads its mounted files again by itself,
    see after), External (somebody else restarts it). Absent: what is usual for its kind."""

    after: Annotated[str, Duration("0s", "24h")] | None = None
    """With Reloads: how long after the Secret is written the application surely uses it, for example 2m."""


class Rollout(Model):
    """How the workloads come to use a new version."""

    discovery: Discovery = Discovery.REFERENCES
    """References: every workload of the namespace whose pod template names the Secret. None: only those listed in workloads."""

    workloads: Annotated[list[WorkloadRule], Field(max_length=100), ListMap("kind", "name")] = Field(default_factory=list)
    """Order and exceptions, by kind and name. Workloads that are not listed are restarted in wave 0."""

    timeout: Annotated[str, Duration("1s", "24h")] = "10m"
    """How long a wave may take to be ready on the new version; after that the run is Held and later waves are not touched."""

    soak: Annotated[str, Duration("0s", "24h")] = "0s"
    """How long a ready wave must stay ready before the next one starts."""


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

    epoch: Count
    """How often its content has changed."""

    time: Time
    """When it got this content, by the API server's clock. Pods created later have read it."""


class Settled(Model):
    """The last change of content whose run is over."""

    version_id: VersionId
    """The version of the AWS secret."""

    epoch: Count
    """The Secret's epoch."""


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

    shape: Annotated[str, Field(max_length=64)] | None = None
    """A digest of the parts of the spec that decide the content (keys, template, require, type), so that an edit of them is
    noticed. Never of a value."""

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
