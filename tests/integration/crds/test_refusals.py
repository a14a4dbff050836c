"""Every rule of the CRDs on a real API server: an object that it refuses, and the words that the user reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.crds.cases import ACCEPTED, REFUSED, Refused, Spec
from tests.integration.crds.objects import Objects
from tests.support.lab import fresh_namespace
from tests.unit.api.lint import VALIDATIONS, walk

from keyturn.api.crd import documents
from keyturn_lab.controlplane import ApiError, ControlPlane

FIELD = re.compile(r"(?:^|[\[ ])((?:spec|metadata)[\w.\[\]]*): ")


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """One for all: nearly everything here is a dry run."""
    with fresh_namespace(control_plane) as name:
        yield name


def said(path: str, message: str, answer: str) -> bool:
    """Whether the API server says these words about this field. It says `path: Invalid value: "...": message` for each fault."""
    _, *parts = FIELD.split(answer)
    return any(path == field and message in words for field, words in zip(parts[::2], parts[1::2], strict=True))


def contains(stored: Any, sent: Any) -> bool:
    """Whether what was sent is stored as it was, next to defaults."""
    match stored, sent:
        case dict(), dict():
            return all(key in stored and contains(stored[key], sent[key]) for key in sent)
        case list(), list():
            return len(stored) == len(sent) and all(map(contains, stored, sent))
    return bool(stored == sent)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.kind}-{case.path}-{case.message[:40]}")
def test_the_api_server_refuses_it_and_says_why(case: Refused, objects: Objects) -> None:
    if case.before is not None:
        objects.create(case.kind, case.name, case.before)
    with pytest.raises(ApiError) as refusal:
        objects.send(case.kind, case.name, case.spec, replace=case.before is not None)
    assert refusal.value.status == 422
    assert said(case.path, case.message, refusal.value.message), refusal.value.message


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED, ids=str)
def test_the_api_server_accepts_what_is_good(kind: str, spec: Spec, objects: Objects) -> None:
    assert contains(objects.send(kind, "accepted", spec)["spec"], spec)


def test_no_rule_is_without_a_case() -> None:
    rules = {
        (crd["spec"]["names"]["kind"], path + rule.get("fieldPath", ""), rule["message"])
        for crd in documents()
        for path, node in walk(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        for rule in node.get(VALIDATIONS, [])
    }
    shown = {(case.kind, re.sub(r"\[\d+\]", "[]", case.path), case.message) for case in REFUSED}
    assert rules - shown == set()
