"""AWSConnection and ClusterAWSConnection: how AWS is reached, and who may.

The cluster-wide kind may use the operator's own identity and says which namespaces may use it for which secrets.
The namespaced kind brings its own credentials, never the operator's, and sets no endpoint.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .meta import (
    CEL,
    Atomic,
    Conditions,
    Duration,
    Extra,
    Generation,
    Kind,
    LabelValue,
    ListSet,
    Model,
    ObjectName,
    PrinterColumn,
    Resource,
    Time,
    condition_column,
)


class Verb(StrEnum):
    """What a RotatingSecret may do with a secret."""

    MIRROR = "Mirror"
    ROTATE = "Rotate"


class SecretRef(Model):
    """A Secret with the keys aws_access_key_id, aws_secret_access_key and, if there is one, aws_session_token."""

    name: ObjectName
    """Its name. It is in the connection's namespace; for a ClusterAWSConnection, in the operator's."""


class StaticCredentials(Model):
    """An access key kept in a Secret. Discouraged; for clusters outside AWS."""

    secret_ref: SecretRef
    """The Secret that holds the access key."""


class Auth(Model):
    """With whose identity AWS is called."""

    static_credentials: StaticCredentials
    """An access key kept in a Secret. Discouraged; for clusters outside AWS."""


class NamespaceSelector(Model):
    """Some namespaces. Exactly one of names, matchLabels and all."""

    rules: ClassVar = (
        CEL(
            "(has(self.names) ? 1 : 0) + (has(self.matchLabels) ? 1 : 0) + (has(self.all) ? 1 : 0) == 1",
            "must have exactly one of names, matchLabels and all",
        ),
    )

    names: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]],
            Field(min_length=1, max_length=100),
            ListSet,
        ]
        | None
    ) = None
    """These namespaces, for example [shop, pay]."""

    match_labels: Annotated[dict[str, LabelValue], Field(min_length=1, max_length=16)] | None = None
    """Namespaces that carry all of these labels."""

    all: Annotated[bool, CEL("self", "must be true if it is set")] | None = None
    """Every namespace. Only true is allowed."""


SecretPattern = Annotated[
    str,
    Field(min_length=1, max_length=512, pattern="^[A-Za-z0-9/_+=.@!*{}-]+$"),
    CEL(
        "self.matches('^([^{}/]*|[{]namespace[}])(/([^{}/]*|[{]namespace[}]))*$')",
        "must have {namespace} as a whole segment between slashes, and no other braces",
    ),
]


class Allow(Model):
    """Who may use the connection, and for what."""

    namespaces: NamespaceSelector
    """The namespaces whose RotatingSecrets may use it."""

    secrets: Annotated[list[SecretPattern], Field(min_length=1, max_length=50), ListSet]
    """Patterns of the secret's name in AWS: * stands for anything but a slash, ** for anything, {namespace} for the
    RotatingSecret's namespace as a whole segment. For example prod/{namespace}/*."""

    verbs: Annotated[list[Verb], Field(min_length=1, max_length=len(Verb)), ListSet]
    """Mirror: read it and write it into a Secret. Rotate: also start rotations."""


Region = Annotated[str, Field(min_length=5, max_length=32, pattern="^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$")]
PollInterval = Annotated[str, Duration("10s", "24h")]
Endpoint = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$")]
MaxRotations = Annotated[int, Field(ge=1, le=1000), Extra((("format", "int32"),))]


class ConnectionSpec(Model):
    """How AWS is reached."""

    region: Region
    """The AWS region, for example eu-west-1."""

    poll_interval: PollInterval = "1m"
    """How often AWS is asked whether secrets have changed, at least 10s. One question serves all secrets of the connection."""

    max_rotations: MaxRotations = 20
    """How many rotations may be under way at once."""


class AWSConnectionSpec(ConnectionSpec):
    """How AWS is reached from one namespace, with credentials of its own."""

    auth: Auth
    """With whose identity AWS is called. A namespaced connection never uses the operator's."""


class ClusterAWSConnectionSpec(ConnectionSpec):
    """How AWS is reached, and which namespaces may use it for which secrets."""

    endpoint: Endpoint | None = None
    """The URL of Secrets Manager, for example of a VPC endpoint. Absent: AWS's own."""

    auth: Auth | None = None
    """With whose identity AWS is called. Absent: the operator's own (IRSA, Pod Identity, or its environment)."""

    allow: Annotated[list[Allow], Field(max_length=50), Atomic] = Field(default_factory=list)
    """Who may use it, and for what. A RotatingSecret is allowed what any entry allows. Absent: nobody may."""


class ConnectionStatus(Model):
    """Whether AWS is reached."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """Ready: AWS knows the identity and answers."""

    identity: Annotated[str, Field(max_length=2048)] | None = None
    """The ARN of the identity in use, as AWS says it."""

    last_success_time: Time | None = None
    """When AWS last answered well."""


_COLUMNS = (
    condition_column("Ready", "Ready", "status", "Whether AWS is reached."),
    PrinterColumn(name="Region", path=".spec.region", description="The AWS region."),
    PrinterColumn(name="Last Success", path=".status.lastSuccessTime", description="Time since AWS last answered well.", type="date"),
    PrinterColumn(name="Age", path=".metadata.creationTimestamp", description="Time since the object was created.", type="date"),
    PrinterColumn(name="Identity", path=".status.identity", description="The identity in use.", wide=True),
    condition_column("Reason", "Ready", "reason", "Why it is ready, or not.", wide=True),
    condition_column("Message", "Ready", "message", "The same in a sentence.", wide=True),
)


class AWSConnection(Kind):
    """How the RotatingSecrets of one namespace reach AWS, with credentials of that namespace."""

    resource: ClassVar = Resource(
        kind="AWSConnection", plural="awsconnections", singular="awsconnection", short_name="kaws", columns=_COLUMNS
    )

    kind: Literal["AWSConnection"] = "AWSConnection"
    spec: AWSConnectionSpec
    """How AWS is reached."""

    status: ConnectionStatus = Field(default_factory=ConnectionStatus)
    """Whether AWS is reached. Written by Keyturn."""


class ClusterAWSConnection(Kind):
    """How RotatingSecrets reach AWS, and which namespaces may use it for which secrets."""

    resource: ClassVar = Resource(
        kind="ClusterAWSConnection",
        plural="clusterawsconnections",
        singular="clusterawsconnection",
        short_name="kcaws",
        namespaced=False,
        columns=_COLUMNS,
    )

    kind: Literal["ClusterAWSConnection"] = "ClusterAWSConnection"
    spec: ClusterAWSConnectionSpec
    """How AWS is reached, and who may use it."""

    status: ConnectionStatus = Field(default_factory=ConnectionStatus)
    """Whether AWS is reached. Written by Keyturn."""
