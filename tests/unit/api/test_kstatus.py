"""The oracle itself: it accepts what is right and notices each single thing that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.kstatus import check_conditions, kstatus


def condition(type_: str, status: str = "True", **changes: Any) -> dict[str, Any]:
    base = {"type": type_, "status": status, "reason": "Because", "message": "It is so.", "observedGeneration": 2}
    return base | {"lastTransitionTime": "2026-11-21T12:00:00Z"} | changes


def obj(*conditions: dict[str, Any], generation: int = 2, observed: int | None = 2, **metadata: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": list(conditions)}
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"name": "x", "generation": generation} | metadata, "status": status}


STALLED = (condition("Ready", "False"), condition("Stalled"))
RECONCILING = (condition("Ready", "Unknown"), condition("Reconciling"))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (obj(condition("Ready"), deletionTimestamp="2026-11-21T12:00:00Z"), "Terminating"),
        (obj(condition("Ready"), observed=1), "InProgress"),
        (obj(condition("Ready"), observed=None), "Current"),
        (obj(*RECONCILING), "InProgress"),
        (obj(*STALLED), "Failed"),
        (obj(condition("Ready")), "Current"),
        (obj(condition("Ready", "False")), "InProgress"),
        (obj(condition("Ready", "Unknown")), "InProgress"),
        (obj(), "Current"),
        ({"metadata": {"name": "new", "generation": 1}}, "Current"),
    ],
)
def test_an_object_is_read_as_kstatus_reads_it(seen: dict[str, Any], expected: str) -> None:
    assert kstatus(seen) == expected


@pytest.mark.parametrize(
    "seen",
    [
        obj(condition("Ready"), condition("Adopted", "False")),
        obj(condition("Ready", "False")),
        obj(*STALLED),
        obj(*RECONCILING),
        obj(condition("Ready", "False", observedGeneration=1), observed=1),
    ],
)
def test_nothing_is_said_about_conditions_that_are_right(seen: dict[str, Any]) -> None:
    assert check_conditions(seen) == []


@pytest.mark.parametrize(
    ("seen", "complaint"),
    [
        (obj(), "Ready is missing"),
        (obj(condition("Ready"), condition("Ready")), "a type is there twice"),
        (obj(condition("Ready", "Yes")), "Ready has the status 'Yes'"),
        (obj(condition("Ready", reason="")), "Ready has no proper reason"),
        (obj(condition("Ready", reason="not camel case")), "Ready has no proper reason"),
        (obj(condition("Ready", message=None)), "Ready has no proper message"),
        (obj(condition("Ready", lastTransitionTime="now")), "Ready has no proper lastTransitionTime"),
        (obj(condition("Ready"), condition("Stalled", "False")), "Stalled is False where it should be gone"),
        (obj(condition("Ready", "False"), condition("Reconciling"), condition("Stalled")), "Reconciling and Stalled are both there"),
        (obj(condition("Ready"), condition("Stalled")), "Ready is not False while Stalled"),
        (obj(condition("Ready"), condition("Reconciling")), "Ready is True while Reconciling"),
        (obj(condition("Ready", "Unknown")), "Ready is Unknown while not Reconciling"),
        (
            obj(condition("Ready", "False"), condition("Stalled", reason="Other")),
            "Ready does not repeat the reason and message of Stalled",
        ),
        (
            obj(condition("Ready", "False"), condition("Reconciling", message="Other.")),
            "Ready does not repeat the reason and message of Reconciling",
        ),
        (obj(condition("Ready"), observed=None), "the root observedGeneration is missing"),
        (obj(condition("Ready"), observed=3), "the root observedGeneration 3 is greater than the generation 2"),
        (obj(condition("Ready", "False", observedGeneration=0)), "Ready has no observedGeneration"),
        (obj(condition("Ready", observedGeneration=3)), "Ready has an observedGeneration 3 greater than the generation 2"),
        (obj(condition("Ready"), generation=3), "Ready is True though the generation 3 has not been observed"),
        (
            obj(condition("Ready"), condition("Adopted", observedGeneration=1)),
            "Ready is True though Adopted is about another generation than the root",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_noticed(seen: dict[str, Any], complaint: str) -> None:
    assert complaint in check_conditions(seen)
