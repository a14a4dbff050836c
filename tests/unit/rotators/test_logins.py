"""The login before a change of password: whose password counts as known, and whose never does."""

import json
from collections.abc import Mapping

import pytest
from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.credential import CONNECTION_FIELDS, Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.versions import PREVIOUS

CURRENT_PASSWORD, PREVIOUS_PASSWORD = "canary-of-the-current", "canary-of-the-previous"
APP: dict[str, object] = {"engine": "fake", "host": "db.example", "port": 1234, "username": "app"}
PENDING = Credential(APP | {"password": "next"})


class Door:
    """A back end that refuses some passwords, each in its way, and remembers who came."""

    def __init__(self, **refused: Kind) -> None:
        """`refused`: by the role of a password, current or previous, how it is refused."""
        self.tried: list[str] = []
        self._refused = refused

    def __call__(self, credential: Credential) -> str:
        role = "current" if credential.password == CURRENT_PASSWORD else "previous"
        self.tried.append(role)
        if role in self._refused:
            raise RotationError(self._refused[role], f"{role} refused", check="the test")
        return role


def logged_in(door: Door, *, before: Credential = PENDING, previous: Mapping[str, object] | None = APP) -> str:
    """`previous`: what AWSPREVIOUS has besides its password; None: there is none."""
    store = DictionaryStore(app=json.dumps(APP | {"password": CURRENT_PASSWORD}))
    if previous is not None:
        store.values["app"]["v0"] = json.dumps(dict(previous) | {"password": PREVIOUS_PASSWORD})
        store.label("app", PREVIOUS, "v0")
    return valid_login(door, before=before, context=Context(store, "app", Deadline.after(60)))


def refused_as(door: Door, *, before: Credential = PENDING, previous: Mapping[str, object] | None = APP) -> RotationError:
    with pytest.raises(RotationError) as refused:
        logged_in(door, before=before, previous=previous)
    assert "canary" not in str(refused.value)
    return refused.value


def test_the_current_password_is_enough_and_the_previous_one_is_not_tried() -> None:
    door = Door(previous=Kind.AUTHENTICATION)
    assert logged_in(door) == "current"
    assert door.tried == ["current"]


def test_the_previous_password_is_tried_where_the_current_one_is_refused() -> None:
    door = Door(current=Kind.AUTHENTICATION)
    assert logged_in(door) == "previous"
    assert door.tried == ["current", "previous"]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.AUTHENTICATION])
def test_a_failure_that_is_no_refusal_of_the_password_is_not_followed_by_another_try(kind: Kind) -> None:
    door = Door(current=kind)
    assert refused_as(door).kind is kind
    assert door.tried == ["current"]


def test_the_refusal_of_the_current_password_is_told_where_there_is_no_previous_version() -> None:
    door = Door(current=Kind.AUTHENTICATION)
    assert refused_as(door, previous=None).what == "current refused"


@pytest.mark.parametrize("field", ["username", *CONNECTION_FIELDS])
def test_a_previous_version_of_another_user_or_place_is_not_tried(field: str) -> None:
    door = Door(current=Kind.AUTHENTICATION)
    assert refused_as(door, previous=APP | {field: "other"}).what == "current refused"
    assert door.tried == ["current"]


@pytest.mark.parametrize("field", ["username", *CONNECTION_FIELDS])
def test_a_previous_version_is_not_tried_for_a_pending_one_of_another_user_or_place(field: str) -> None:
    door = Door(current=Kind.AUTHENTICATION)
    assert refused_as(door, before=PENDING.replaced(**{field: "other"})).what == "current refused"
    assert door.tried == ["current"]


def test_a_previous_version_is_not_tried_where_the_engine_names_a_field_that_differs() -> None:
    door = Door(current=Kind.AUTHENTICATION)
    store = DictionaryStore(app=json.dumps(APP | {"password": CURRENT_PASSWORD}))
    store.values["app"]["v0"] = json.dumps(APP | {"password": PREVIOUS_PASSWORD, "vhost": "other"})
    store.label("app", PREVIOUS, "v0")
    context = Context(store, "app", Deadline.after(60))
    with pytest.raises(RotationError, match="current refused"):
        valid_login(
            door, before=PENDING, context=context, differs=lambda one, other: "vhost" if one.get("vhost") != other.get("vhost") else None
        )
    assert door.tried == ["current"]


def test_other_fields_may_differ() -> None:
    assert logged_in(Door(current=Kind.AUTHENTICATION), previous=APP | {"comment": "edited"}) == "previous"


def test_the_refusal_of_the_previous_password_is_told_where_both_are_refused() -> None:
    assert refused_as(Door(current=Kind.AUTHENTICATION, previous=Kind.AUTHENTICATION)).what == "previous refused"
    assert refused_as(Door(current=Kind.AUTHENTICATION, previous=Kind.NETWORK)).kind is Kind.NETWORK


def test_an_older_version_of_the_same_user_is_let_through_and_one_of_another_is_refused_by_name() -> None:
    same_user(PENDING.replaced(password=PREVIOUS_PASSWORD), PENDING)
    with pytest.raises(RotationError, match="user is not the current version's") as refused:
        same_user(PENDING.replaced(username="root", password=PREVIOUS_PASSWORD), PENDING)
    assert refused.value.kind is Kind.POLICY
    assert "root" in str(refused.value)
    assert "canary" not in str(refused.value)
