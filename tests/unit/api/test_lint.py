"""The linter notices what it is there for: each case breaks a good CRD in one place."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.unit.api.lint import lint

from keyturn.api import RotatingSecret
from keyturn.api.crd import document

GOOD = document(RotatingSecret)

Break = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]


def broken(change: Break) -> list[str]:
    crd = deepcopy(GOOD)
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    change(version, properties["spec"], properties["status"])
    return lint(crd)


def test_the_crd_that_is_broken_below_is_good() -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda _v, spec, _s: spec.update({"$ref": "x"}), "spec: $ref is not for structural schemas"),
        (lambda _v, spec, _s: spec["properties"]["suspend"].pop("type"), "spec.suspend: type None is not allowed"),
        (lambda _v, spec, _s: spec["properties"]["secretId"].pop("maxLength"), "spec.secretId: a string without maxLength"),
        (lambda _v, spec, _s: spec["properties"]["secretId"].update(pattern="(?=x)"), "spec.secretId: a pattern that RE2 does not know"),
        (lambda _v, spec, _s: spec["properties"]["suspend"]["enum"].append("all"), "spec.suspend: the enum value all is not CamelCase"),
        (
            lambda _v, spec, _s: spec["properties"]["historyLimit"].pop("maximum"),
            "spec.historyLimit: an integer without minimum, maximum or format",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"]["properties"]["keys"].pop("maxItems"),
            "spec.target.keys: a list without maxItems or items",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"]["properties"]["keys"].pop("x-kubernetes-list-type"),
            "spec.target.keys: a list without list type",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"]["properties"]["keys"]["items"].pop("required"),
            "spec.target.keys: the map key to is neither required nor defaulted",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"]["properties"]["keys"].update({"x-kubernetes-list-type": "set"}),
            "spec.target.keys: a set of what is not scalar",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"]["properties"]["labels"].pop("maxProperties"),
            "spec.target.labels: a map without maxProperties",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["target"].update(additionalProperties=False),
            "spec.target: additionalProperties next to properties, or without a schema",
        ),
        (lambda _v, spec, _s: spec["required"].append("gone"), "spec: gone is required and does not exist"),
        (lambda _v, spec, _s: spec["required"].append("target"), "spec: target is required and has a default"),
        (
            lambda _v, spec, _s: spec["properties"]["secretId"]["x-kubernetes-validations"][0].update(message="wrong"),
            "spec.secretId: the message 'wrong' does not say must or must not",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["secretId"]["x-kubernetes-validations"][0].pop("reason"),
            "spec.secretId: a rule without reason",
        ),
        (
            lambda _v, spec, _s: spec["properties"]["secretId"]["x-kubernetes-validations"][0].update(fieldPath=".gone"),
            "spec.secretId: a rule whose fieldPath .gone does not exist",
        ),
        (
            lambda _v, spec, _s: spec["properties"].update(on=spec["properties"]["suspend"]),
            "spec.on: YAML 1.1 reads the name as a boolean",
        ),
        (
            lambda _v, spec, _s: spec["properties"].update(snake_case=spec["properties"]["suspend"]),
            "spec.snake_case: the name is not camelCase",
        ),
        (lambda _v, spec, _s: spec["properties"]["suspend"].pop("description"), "spec.suspend: no description that ends like a sentence"),
        (lambda _v, _spec, status: status["properties"]["activeRun"].update(default="x"), "status.activeRun: a default in status"),
        (
            lambda version, _spec, _s: version["selectableFields"].append({"jsonPath": ".spec.gone"}),
            "the selectable field .spec.gone does not exist or is not scalar",
        ),
        (
            lambda version, _spec, _s: version.update(selectableFields=[{"jsonPath": ".spec.secretId"}] * 9),
            "more than 8 selectable fields",
        ),
        (
            lambda version, _spec, _s: version["additionalPrinterColumns"][1].update(jsonPath=".status.gone"),
            "the column Secret shows .status.gone, which does not exist",
        ),
        (
            lambda version, _spec, _s: version["additionalPrinterColumns"][1].update(type="date"),
            "the column Secret is a date, its field is not",
        ),
    ],
)
def test_one_fault_is_noticed(change: Break, complaint: str) -> None:
    assert complaint in broken(change)
