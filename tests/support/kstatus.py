"""How the tools that wait for objects read a status: an oracle for tests, not used by the operator.

`kstatus` is the algorithm by which Flux, Helm and others decide that an object of an unknown kind is done.
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
`check_conditions` is what Flux holds its own controllers to (fluxcd/pkg, runtime/conditions/check), and what metav1.Condition
asks for. Two of Flux's rules are ours in a milder form: while Reconciling, Ready may be Unknown as well as False, and the root
observedGeneration may already have moved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Object = dict[str, Any]
Check = Callable[[Object, dict[str, dict[str, Any]]], Iterator[str]]

NEGATIVE = ("Reconciling", "Stalled")
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def kstatus(obj: Object) -> str:
    """One of Current, InProgress, Failed, Terminating."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata.get("generation")) != metadata.get("generation"):
        return "InProgress"
    for condition in status.get("conditions") or []:
        match condition["type"], condition["status"]:
            case "Reconciling", "True":
                return "InProgress"
            case "Stalled", "True":
                return "Failed"
    ready = _by_type(obj).get("Ready")
    return "Current" if ready is None or ready["status"] == "True" else "InProgress"


def check_conditions(obj: Object) -> list[str]:
    """What is wrong with the object's conditions, one sentence each. Empty when nothing is."""
    by_type = _by_type(obj)
    return [complaint for check in _CHECKS for complaint in check(obj, by_type)]


def _by_type(obj: Object) -> dict[str, dict[str, Any]]:
    return {condition["type"]: condition for condition in (obj.get("status") or {}).get("conditions") or []}


def _is(by_type: dict[str, dict[str, Any]], type_: str, status: str = "True") -> bool:
    return by_type.get(type_, {}).get("status") == status


def _ready_is_there(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    if "Ready" not in by_type:
        yield "Ready is missing"


def _each_type_is_there_once(obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    if len(by_type) != len((obj.get("status") or {}).get("conditions") or []):
        yield "a type is there twice"


def _is_well_formed(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    for type_, condition in by_type.items():
        if condition["status"] not in ("True", "False", "Unknown"):
            yield f"{type_} has the status {condition['status']!r}"
        if not _REASON.fullmatch(condition.get("reason", "")) or len(condition["reason"]) > 1024:
            yield f"{type_} has no proper reason"
        if not isinstance(condition.get("message"), str) or len(condition["message"]) > 32_768:
            yield f"{type_} has no proper message"
        if not _TIME.fullmatch(condition.get("lastTransitionTime", "")):
            yield f"{type_} has no proper lastTransitionTime"


def _negatives_are_there_only_while_true(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    for type_ in NEGATIVE:
        if type_ in by_type and not _is(by_type, type_):
            yield f"{type_} is {by_type[type_]['status']} where it should be gone"


def _is_not_both_reconciling_and_stalled(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    if all(type_ in by_type for type_ in NEGATIVE):
        yield "Reconciling and Stalled are both there"


def _ready_agrees_with_negatives(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    if _is(by_type, "Stalled") and "Ready" in by_type and not _is(by_type, "Ready", "False"):
        yield "Ready is not False while Stalled"
    if _is(by_type, "Reconciling") and _is(by_type, "Ready"):
        yield "Ready is True while Reconciling"
    if _is(by_type, "Ready", "Unknown") and not _is(by_type, "Reconciling"):
        yield "Ready is Unknown while not Reconciling"


def _ready_repeats_the_worst(_obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    worst = next((by_type[type_] for type_ in ("Stalled", "Reconciling") if _is(by_type, type_)), None)
    ready = by_type.get("Ready")
    if worst and ready and any(ready.get(part) != worst.get(part) for part in ("reason", "message")):
        yield f"Ready does not repeat the reason and message of {worst['type']}"


def _generations_are_told(obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    generation, root = obj["metadata"].get("generation", 0), (obj.get("status") or {}).get("observedGeneration")
    if root is None:
        yield "the root observedGeneration is missing"
        return
    if root > generation:
        yield f"the root observedGeneration {root} is greater than the generation {generation}"
    for type_, condition in by_type.items():
        seen = condition.get("observedGeneration", 0)
        if seen < 1:
            yield f"{type_} has no observedGeneration"
        elif seen > generation:
            yield f"{type_} has an observedGeneration {seen} greater than the generation {generation}"


def _ready_is_about_this_generation(obj: Object, by_type: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Or a stale Ready would be taken for success."""
    if not _is(by_type, "Ready"):
        return
    generation, root = obj["metadata"].get("generation", 0), (obj.get("status") or {}).get("observedGeneration")
    if root is not None and root < generation:
        yield f"Ready is True though the generation {generation} has not been observed"
    for type_, condition in by_type.items():
        if condition.get("observedGeneration") != root:
            yield f"Ready is True though {type_} is about another generation than the root"


_CHECKS: tuple[Check, ...] = (
    _ready_is_there,
    _each_type_is_there_once,
    _is_well_formed,
    _negatives_are_there_only_while_true,
    _is_not_both_reconciling_and_stalled,
    _ready_agrees_with_negatives,
    _ready_repeats_the_worst,
    _generations_are_told,
    _ready_is_about_this_generation,
)
