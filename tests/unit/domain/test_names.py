"""Computed names: the same for the same cause, another for another, and always allowed."""

import re
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.names import change_run, rotation_token, scheduled_run

UID = "6d2c7a0e-8c1f-4a57-9c39-0f6f8f2f6b11"
OTHER = "6d2c7a0e-8c1f-4a57-9c39-0f6f8f2f6b12"
SLOT = datetime(2026, 3, 1, 3, tzinfo=UTC)


def test_a_slot_has_one_name_in_whatever_zone_it_is_told() -> None:
    elsewhere = SLOT.astimezone(timezone(timedelta(hours=5)))
    assert scheduled_run("orders-db", uid=UID, slot=SLOT) == scheduled_run("orders-db", uid=UID, slot=elsewhere)


def change(*, uid: str = UID, epoch: int = 7, version: str = "v2", shape: str = "0123456789abcdef", name: str = "orders-db") -> str:
    return change_run(name, uid=uid, epoch=epoch, version=version, shape=shape)


def test_another_cause_or_parent_has_another_name() -> None:
    names = {
        scheduled_run("orders-db", uid=UID, slot=SLOT),
        scheduled_run("orders-db", uid=UID, slot=SLOT + timedelta(seconds=1)),
        scheduled_run("orders-db", uid=OTHER, slot=SLOT),
        change(),
        change(uid=OTHER),
        change(epoch=8),
        change(version="v3"),
        change(shape="fedcba9876543210"),
    }
    assert len(names) == 8


@given(name=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,70}[a-z0-9])?", fullmatch=True), epoch=st.integers(0, 10**9))
def test_every_name_begins_with_the_parents_and_is_a_valid_label_value(name: str, epoch: int) -> None:
    made = change(name=name, epoch=epoch)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", made)
    assert len(made) <= 63
    assert made.startswith(name[:52].rstrip("-."))


def test_names_stay_what_they_are_over_releases() -> None:
    assert scheduled_run("orders-db", uid=UID, slot=SLOT) == "orders-db-b0ee96ac63"
    assert change() == "orders-db-5fee95d4eb"


def test_the_token_follows_from_the_runs_uid() -> None:
    token = rotation_token(UID)
    assert token == str(uuid.uuid5(uuid.UUID(UID), "rotate"))
    assert token != rotation_token(OTHER)
    assert 32 <= len(token) <= 64


@pytest.mark.parametrize("uid", ["", "orders-db"])
def test_a_token_needs_a_real_uid(uid: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        rotation_token(uid)
