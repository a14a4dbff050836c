"""From models to structural schemas: what is carried over, and what is refused rather than lost."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from keyturn.api.meta import CEL, Duration, Immutable, ListMap, Model, Reason, Time
from keyturn.api.structural import structural


class Leaf(Model):
    """A leaf."""

    rules: ClassVar = (CEL("has(self.name)", "must have a name"),)

    name: Annotated[str, Field(max_length=5)] = "x"
    """Its name."""


class Tree(Model):
    """A tree."""

    fixed: Annotated[str, Field(max_length=5), Immutable("plant another")] | None = None
    """Cannot
    change."""

    span: Annotated[str, Duration("1s", "1h")] = "1m"
    """How long."""

    leaf: Leaf = Field(default_factory=Leaf)
    """One leaf."""

    leaves: Annotated[list[Leaf], Field(max_length=3), ListMap("name")] = Field(default_factory=list)
    """More of them."""

    grown: Time | None = None
    """When."""


class Loop(Model):
    """Contains itself."""

    inner: Loop | None = None
    """The same again."""


class Mute(Model):
    """Says nothing of its field."""

    field: bool = False


class Fraction(Model):
    """Has what a structural schema has no word for."""

    part: Annotated[int, Field(multiple_of=2)] = 2
    """A part."""


@pytest.fixture
def tree() -> dict[str, Any]:
    return structural(Tree, defaults=True)


def test_references_are_inlined_with_their_rules(tree: dict[str, Any]) -> None:
    rule = {"rule": "has(self.name)", "message": "must have a name", "reason": "FieldValueInvalid"}
    assert tree["properties"]["leaf"]["x-kubernetes-validations"] == [rule]
    assert tree["properties"]["leaves"]["items"]["x-kubernetes-validations"] == [rule]


def test_the_description_of_a_field_wins_over_that_of_its_type(tree: dict[str, Any]) -> None:
    assert tree["properties"]["leaf"]["description"] == "One leaf."
    assert tree["properties"]["leaves"]["items"]["description"] == "A leaf."


def test_a_description_is_one_line_however_it_is_wrapped(tree: dict[str, Any]) -> None:
    assert tree["properties"]["fixed"]["description"] == "Cannot change."


def test_null_is_no_value_of_an_optional_field(tree: dict[str, Any]) -> None:
    assert tree["properties"]["grown"] == {"description": "When.", "type": "string", "format": "date-time"}


def test_an_object_that_has_defaults_inside_is_itself_defaulted(tree: dict[str, Any]) -> None:
    assert tree["properties"]["leaf"]["default"] == {}
    assert tree["properties"]["leaf"]["properties"]["name"]["default"] == "x"


def test_status_has_no_defaults() -> None:
    node = structural(Tree, defaults=False)
    assert "default" not in str(node)


def test_an_immutable_optional_field_is_guarded_by_its_parent_too(tree: dict[str, Any]) -> None:
    (own,) = tree["properties"]["fixed"]["x-kubernetes-validations"]
    (parents,) = tree["x-kubernetes-validations"]
    assert own == {"rule": "self == oldSelf", "message": "must not be changed: plant another", "reason": Reason.FORBIDDEN}
    assert parents["rule"] == "has(self.fixed) == has(oldSelf.fixed)"
    assert parents["fieldPath"] == ".fixed"


def test_a_duration_has_a_pattern_and_a_range(tree: dict[str, Any]) -> None:
    span = tree["properties"]["span"]
    assert "pattern" in span
    assert span["x-kubernetes-validations"][0]["message"] == "must be between 1s and 1h"


def test_a_list_map_says_its_keys(tree: dict[str, Any]) -> None:
    assert tree["properties"]["leaves"]["x-kubernetes-list-map-keys"] == ["name"]


@pytest.mark.parametrize(
    ("model", "complaint"),
    [(Loop, "contains itself"), (Mute, r"Mute.field has no description"), (Fraction, "no Kubernetes schema for multipleOf")],
)
def test_what_cannot_be_said_is_an_error(model: type[Model], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        structural(model, defaults=True)
