"""What the four kinds share: the base model, metadata, conditions, times, and the marks that become CRD schema.

Kubernetes knows more about a field than JSON schema can say (rules in CEL, list maps, immutability). Those things are said as
annotations next to the field's type, and `crd.py` carries them into the CRDs. Descriptions are the docstrings below the fields.
Reading is tolerant: fields of newer versions are ignored, so that an older operator survives a newer CRD.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

GROUP = "keyturn.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DURATION_PATTERN = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"
EVERY_PATTERN = "^([1-9][0-9]{0,4}h|[1-9][0-9]{0,3}d)$"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

JsonSchema = dict[str, Any]


def duration(text: str) -> timedelta:
    """The length that a duration of the API says: `90s`, `10m`, `1h30m`, and for schedules `30d`."""
    if not text or not (re.fullmatch(DURATION_PATTERN, text) or re.fullmatch(EVERY_PATTERN, text)):
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m or 1h30m")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text)))


def rfc3339(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- marks: what Kubernetes wants to know and JSON schema has no word for --------------------------------------------


class Mark:
    """An annotation that changes nothing in Python and adds something to the field's schema."""

    def __get_pydantic_json_schema__(self, source: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = dict(handler(source))
        self.apply(schema)
        return schema

    def apply(self, schema: JsonSchema) -> None:
        raise NotImplementedError


class Reason(StrEnum):
    """The causes that the API server can give with a refused rule. (With FieldValueDuplicate it would leave out the message.)"""

    INVALID = "FieldValueInvalid"
    FORBIDDEN = "FieldValueForbidden"
    REQUIRED = "FieldValueRequired"


@dataclass(frozen=True, slots=True)
class CEL(Mark):
    """A rule that the API server evaluates. The message is what the user reads, after the field's path."""

    rule: str
    message: str
    reason: Reason = Reason.INVALID
    field_path: str | None = None

    def apply(self, schema: JsonSchema) -> None:
        entry = {"rule": self.rule, "message": self.message, "reason": str(self.reason)}
        if self.field_path:
            entry["fieldPath"] = self.field_path
        schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), entry]


@dataclass(frozen=True, slots=True)
class Immutable(Mark):
    """May be set at creation only. For an optional field the generator adds the rule that it is neither added nor removed."""

    why: str = "create a new object instead"

    def apply(self, schema: JsonSchema) -> None:
        CEL("self == oldSelf", f"must not be changed: {self.why}", Reason.FORBIDDEN).apply(schema)
        schema["x-keyturn-immutable"] = self.why


@dataclass(frozen=True, slots=True)
class Extra(Mark):
    """Keywords set as they are."""

    keywords: tuple[tuple[str, Any], ...]

    def apply(self, schema: JsonSchema) -> None:
        schema.update((key, list(value) if isinstance(value, tuple) else value) for key, value in self.keywords)


def ListMap(*keys: str) -> Extra:
    """A list whose items are told apart by these fields, so that appliers of different items do not collide."""
    return Extra((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", keys)))


ListSet = Extra((("x-kubernetes-list-type", "set"),))
Atomic = Extra((("x-kubernetes-list-type", "atomic"),))


@dataclass(frozen=True, slots=True)
class Duration(Mark):
    """A length of time such as `90s`, `10m` or `1h30m`, between two others."""

    least: str = "0s"
    most: str = "24h"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_checked_duration, handler(source))

    def apply(self, schema: JsonSchema) -> None:
        schema.update(pattern=DURATION_PATTERN, minLength=2, maxLength=20)
        within = f"duration(self) >= duration('{self.least}') && duration(self) <= duration('{self.most}')"
        CEL(f"!self.matches('{DURATION_PATTERN}') || self == '' || ({within})", f"must be between {self.least} and {self.most}").apply(
            schema
        )


def _checked_duration(text: str) -> str:
    duration(text)
    return text


def _cut(limit: int) -> Callable[[object], object]:
    def cut(text: object) -> object:
        return text[: limit - 1] + "…" if isinstance(text, str) and len(text) > limit else text

    return cut


# --- types of fields -------------------------------------------------------------------------------------------------

Time = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1), Extra((("format", "int32"),))]
Generation = Annotated[int, Field(ge=0, le=2**53), Extra((("format", "int64"),))]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
OwnName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
LabelValue = Annotated[str, Field(max_length=63, pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
VersionId = Annotated[str, Field(min_length=1, max_length=64)]
Message = Annotated[str, BeforeValidator(_cut(1024)), Field(max_length=1024)]
Short = Annotated[str, BeforeValidator(_cut(128)), Field(max_length=128)]


class Model(BaseModel):
    """Immutable, snake_case in Python, camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, frozen=True, extra="ignore"
    )

    rules: ClassVar[tuple[CEL, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, source: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = handler.resolve_ref_schema(handler(source))
        for rule in cls.rules:
            rule.apply(schema)
        return schema

    def to_dict(self) -> dict[str, Any]:
        """As JSON for the API server; what is not set is left out."""
        return self.model_dump(mode="json", exclude_none=True)


class ObjectMeta(Model):
    """The part of metadata that Keyturn looks at. What the API server has not set yet is empty."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: list[dict[str, Any]] = Field(default_factory=list)


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of the object's state, as `kubectl wait --for=condition=...` reads it."""

    type: Annotated[str, Field(min_length=1, max_length=316, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """What it is about, for example Ready."""

    status: ConditionStatus
    """Whether it holds: True, False, or Unknown."""

    observed_generation: Generation | None = None
    """The generation of the object that this was said about."""

    last_transition_time: Time
    """When the status last changed from one value to another."""

    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, in one CamelCase word for programs, for example SourceNotFound."""

    message: Annotated[str, BeforeValidator(_cut(32_768)), Field(max_length=32_768)]
    """Why, in a sentence for people: what is wrong and what to do."""


Conditions = Annotated[list[Condition], Field(max_length=16), ListMap("type")]


# --- kinds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterColumn:
    """One column of `kubectl get`; wide ones appear with `-o wide`."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "date", "boolean"] = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """How a kind appears in the API server and in kubectl."""

    kind: str
    plural: str
    singular: str
    short_name: str
    namespaced: bool = True
    columns: tuple[PrinterColumn, ...]
    selectable: tuple[str, ...] = ()
    name_limit: int | None = None

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{GROUP}"


def condition_column(name: str, type_: str, part: str, description: str, *, wide: bool = False) -> PrinterColumn:
    """A column that shows a part of one condition."""
    return PrinterColumn(name=name, path=f'.status.conditions[?(@.type=="{type_}")].{part}', description=description, wide=wide)


class Kind(Model):
    """An object of one of our kinds, as the API server keeps it."""

    resource: ClassVar[Resource]

    api_version: str = API_VERSION
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    def manifest(self) -> dict[str, Any]:
        """The object as it is sent to be created: without status, and without what only the API server sets."""
        body = self.to_dict()
        body.pop("status", None)
        body["metadata"] = self.metadata.model_dump(mode="json", exclude_defaults=True)
        return body
