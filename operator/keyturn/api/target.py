"""The Secret that is written: its name, its type, and what of the AWS secret goes into it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from .meta import CEL, Immutable, LabelValue, ListMap, ListSet, Model, ObjectName, Reason

KEY_PATTERN = "^[-._a-zA-Z0-9]+$"


FieldName = Annotated[str, Field(min_length=1, max_length=512)]


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


class KeyMapping(Model):
    """One field of the AWS secret under a name of your own."""

    from_: Annotated[FieldName, Field(alias="from")]
    """The field of the AWS secret's JSON, for example password. For a value that is not a JSON object: value."""

    to: Annotated[
        str,
        Field(min_length=1, max_length=253, pattern=KEY_PATTERN),
        CEL("self != '.' && !self.startsWith('..')", "must not be a dot or start with two dots"),
    ]
    """The data key in the Secret, for example DB_PASSWORD: letters, digits, hyphen, underscore and dot."""


_WELL_FORMED = CEL(
    "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
    "must have keys of letters, digits and ._-, 63 at most, after a domain and a slash if there is one",
)
_RESERVED = CEL(
    "self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|keyturn[.]dev)/'))",
    "must not have keys under kubernetes.io/, k8s.io/ or keyturn.dev/: these are not the user's to set",
    Reason.FORBIDDEN,
)
Labels = Annotated[dict[str, LabelValue], Field(max_length=16), _WELL_FORMED, _RESERVED]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16), _WELL_FORMED, _RESERVED]
Template = Annotated[
    dict[str, Annotated[str, Field(max_length=16_384)]],
    Field(max_length=32),
    CEL(
        "self.all(k, k.matches('^[-._a-zA-Z0-9]{1,253}$') && k != '.' && !k.startsWith('..'))",
        "must have keys of letters, digits and ._-, 253 at most, other than . and without .. in front",
    ),
]


class Target(Model):
    """The Secret that is written."""

    rules: ClassVar = (
        CEL(
            "!has(self.keys) || !has(self.template) || self.keys.all(k, !(k.to in self.template))",
            "must not name a key that keys has too",
            field_path=".template",
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

    labels: Labels = Field(default_factory=dict)
    """Labels that the Secret gets. Labels that others set are kept."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations that the Secret gets. Annotations that others set are kept."""

    keys: Annotated[list[KeyMapping], Field(min_length=1, max_length=100), ListMap("to")] | None = None
    """The fields of the AWS secret that become data keys. Absent: every top-level field, under its own name."""

    template: Template = Field(default_factory=dict)
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
