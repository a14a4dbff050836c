"""Whose a Secret is, what its metadata must say, and whether it is written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.support.observed import NAME, NOON, UID, mirror, rotating_secret, target

from keyturn.api import MirrorStatus
from keyturn.domain.targets import Write, conflict_with, decide_write, is_ours, metadata_is_as_wanted, owner_reference, wanted_annotations

ADOPT = {"target": {"conflict": "Adopt"}}
RECORDED = mirror("v1", epoch=3, time=NOON)
FOREIGN: dict[str, Any] = {"uid": "somebody-else's", "annotations": {}, "owner_uids": frozenset()}


def conflict(spec: dict[str, Any] | None = None, *, recorded: MirrorStatus | None = None, **seen: Any) -> str | None:
    secret = rotating_secret(spec)
    return conflict_with(secret, target(secret, mirror(), **seen), recorded)


@pytest.mark.parametrize(
    ("spec", "recorded", "seen", "says"),
    [
        (None, mirror(), {}, None),
        (None, mirror(), {"annotations": {}}, None),
        (None, None, {"uid": "another"}, None),
        (None, mirror(), FOREIGN, "is not Keyturn's"),
        (None, None, FOREIGN, "is not Keyturn's"),
        (ADOPT, None, FOREIGN, "does not consent"),
        (ADOPT, None, {**FOREIGN, "adopt_by": "another"}, "does not consent"),
        (ADOPT, None, {**FOREIGN, "adopt_by": NAME}, None),
        (ADOPT, None, {**FOREIGN, "adopt_by": NAME, "managers": ("external-secrets",)}, "managed by external-secrets"),
        (None, None, {**FOREIGN, "adopt_by": NAME}, "is not Keyturn's"),
        (ADOPT, None, {**FOREIGN, "adopt_by": NAME, "type": "kubernetes.io/tls"}, "with type kubernetes.io/tls"),
        (None, mirror(), {"managers": ("external-secrets",)}, None),
        (None, None, {**FOREIGN, "labels": {"keyturn.dev/rotatingsecret": NAME}}, "is not Keyturn's"),
    ],
    ids=[
        "ours by uid",
        "ours by uid though the annotation is gone",
        "ours by annotation",
        "another of that name",
        "not ours",
        "no consent",
        "consent to another",
        "consent",
        "another manager",
        "consent alone",
        "another type",
        "ours, with another manager",
        "a label proves nothing",
    ],
)
def test_a_secret_that_is_not_ours_is_refused_unless_both_sides_want_it_adopted(
    spec: dict[str, Any] | None, recorded: MirrorStatus | None, seen: dict[str, Any], says: str | None
) -> None:
    found = conflict(spec, recorded=recorded, **seen)
    assert found is None if says is None else says in (found or "")


def test_the_annotation_of_another_rotating_secret_is_not_ours() -> None:
    secret = rotating_secret()
    assert not is_ours(secret, target(rotating_secret(uid="another"), mirror(), uid="x"), None)


def test_an_adopted_or_retained_secret_gets_no_owner() -> None:
    assert owner_reference(rotating_secret(ADOPT)) is None
    assert owner_reference(rotating_secret({"target": {"deletion": "Retain"}})) is None
    assert (owner_reference(rotating_secret()) or {})["uid"] == UID


def test_the_user_s_annotations_cannot_stand_in_for_ours() -> None:
    secret = rotating_secret({"target": {"annotations": {"keyturn.dev/epoch": "99", "team": "shop"}}})
    found = wanted_annotations(secret, version="v1", epoch=2)
    assert (found["keyturn.dev/epoch"], found["team"]) == ("2", "shop")


def test_an_owner_that_is_no_longer_wanted_is_a_drift() -> None:
    retained = rotating_secret({"target": {"deletion": "Retain"}})
    assert not metadata_is_as_wanted(retained, target(retained, mirror(), owner_uids=frozenset({UID})))
    assert metadata_is_as_wanted(retained, target(retained, mirror()))


# --- decide_write: what the Secret is to hold, and whether pods must come to read it ---------------------------------

SHAPE = RECORDED.shape
LATER: datetime | None = None  # since the write itself


def decide(**told: Any) -> Write:
    """A Secret that was written with v1 in epoch 3, and is as it was."""
    known: dict[str, Any] = {
        "recorded": RECORDED,
        "live_epoch": 3,
        "exists": True,
        "same_data": True,
        "same_metadata": True,
        "version": "v1",
        "shape": SHAPE,
        "may_have_been_read": True,
    }
    return decide_write(**(known | told))


FIRST: dict[str, Any] = {"recorded": None, "live_epoch": None}
GONE: dict[str, Any] = {"exists": False, "live_epoch": None, "same_data": False, "same_metadata": False}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({**FIRST, **GONE}, Write(epoch=1, changed=True)),
        ({**FIRST, "same_metadata": False}, Write(epoch=1, changed=False)),
        ({**FIRST, "same_data": False, "same_metadata": False}, Write(epoch=1, changed=True)),
        ({**FIRST, "live_epoch": 4}, Write(epoch=4, changed=False, needed=False)),
        ({**FIRST, "live_epoch": 4, "same_data": False}, Write(epoch=5, changed=True)),
        ({}, Write(epoch=3, changed=False, needed=False, since=NOON)),
        ({"same_metadata": False}, Write(epoch=3, changed=False, since=NOON)),
        (GONE, Write(epoch=3, changed=False, since=NOON)),
        ({**GONE, "version": "v2"}, Write(epoch=4, changed=True)),
        ({"same_data": False}, Write(epoch=4, changed=True)),
        ({"same_data": False, "may_have_been_read": False}, Write(epoch=3, changed=False, since=NOON)),
        ({"version": "v2", "same_data": False, "may_have_been_read": False}, Write(epoch=4, changed=True)),
        ({"shape": "edited", "same_data": False, "may_have_been_read": False}, Write(epoch=4, changed=True)),
        ({"version": "v2", "same_metadata": False}, Write(epoch=3, changed=False, since=NOON)),
        ({"shape": "edited"}, Write(epoch=3, changed=False, needed=False, since=NOON)),
        ({"version": "v2", "live_epoch": 4}, Write(epoch=4, changed=False, needed=False, since=LATER)),
        ({"version": "v3", "live_epoch": 4, "same_data": False}, Write(epoch=5, changed=True)),
        ({"live_epoch": None, "same_data": False}, Write(epoch=4, changed=True)),
    ],
    ids=[
        "the first, where there is none",
        "the first, onto an adopted one with the same content",
        "the first, onto an adopted one with another content",
        "the first, written by us before a crash",
        "the first, written by us before a crash, and AWS has moved on",
        "as it was",
        "only its metadata differs",
        "deleted",
        "deleted, and AWS has moved on",
        "edited, and pods may have read it",
        "edited, and no pod can have read it",
        "a new version is never a mere repair",
        "an edit of the spec is never a mere repair",
        "a new version of the same content",
        "an edit of the spec that changes nothing",
        "written before a crash",
        "written before a crash, and AWS has moved on",
        "its epoch was taken away",
    ],
)
def test_the_epoch_moves_when_pods_must_come_to_read_something_else_and_only_then(told: dict[str, Any], expected: Write) -> None:
    assert decide(**told) == expected
