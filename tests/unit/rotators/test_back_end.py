"""What both strategies ask of a kind of back end, and what the environment says to them."""

from dataclasses import replace

import pytest
from tests.unit.rotators.doors import Door, version

from keyturn_rotators.back_end import differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import first_accepted, same_connection

SECOND = version(password="second")


@pytest.mark.parametrize(("fields", "wrong"), [({}, None), ({"a": 2}, "a"), ({"b": 2}, "b"), ({"a": 2, "b": 2}, "a"), ({"c": 2}, None)])
def test_the_first_of_the_fields_that_is_not_the_same_is_named(fields: dict[str, object], wrong: str | None) -> None:
    known: dict[str, object] = {"a": 1, "b": 1, "c": 1}
    assert differs_in("a", "b")(Credential(known | fields), Credential(known)) == wrong


def test_an_older_version_is_the_current_ones_where_nothing_differs_and_is_refused_by_the_field_that_does() -> None:
    same_connection(SECOND, version(), differs_in("realm"))
    with pytest.raises(RotationError, match="the version's realm is not the current version's") as refused:
        same_connection(SECOND.replaced(realm="two"), version(), differs_in("realm"))
    assert refused.value.kind is Kind.POLICY


@pytest.mark.parametrize(
    ("kind", "taken"), [(Kind.AUTHENTICATION, False), (Kind.PERMISSION, True), (Kind.NETWORK, None), (Kind.TLS, None), (Kind.SERVER, None)]
)
def test_only_a_refused_credential_counts_as_refused(kind: Kind, taken: bool | None) -> None:
    door = Door()
    door.refuses_as = kind
    if taken is None:
        with pytest.raises(RotationError):
            door.back_end.takes(SECOND, Deadline.after(60))
        return
    assert door.back_end.takes(SECOND, Deadline.after(60)) is taken


def test_what_proves_a_retirement_names_host_and_user_and_not_the_password() -> None:
    door = Door()
    door.back_end.prove_refused(SECOND, Deadline.after(60))
    with pytest.raises(RotationError, match=r"db\.example:1234, user app") as still:
        door.back_end.prove_refused(version(), Deadline.after(60))
    assert "first" not in str(still.value)


def test_a_login_is_verified_as_the_apps_do_it_where_the_back_end_says_how() -> None:
    door = Door()
    door.back_end.verify(version(), Deadline.after(60))
    tried: list[Credential] = []
    replace(door.back_end, tried=lambda credential, _: tried.append(credential)).verify(SECOND, Deadline.after(60))
    assert (door.events, tried) == (["login app"], [SECOND])


def test_passwords_have_what_the_back_end_takes_and_no_more() -> None:
    back_end = replace(Door().back_end, forbidden="abc", longest_password=12)
    policy = back_end.settings({"EXCLUDE_CHARACTERS": "d"}).policy
    assert (len(policy.generate()), set(policy.excluded)) == (12, set("abcd"))
    with pytest.raises(RotationError, match="at most 12"):
        back_end.settings({"PASSWORD_LENGTH": "13"})


@pytest.mark.parametrize(("asks", "classes"), [(False, "p"), (True, "ulnp")])
def test_classes_that_the_back_end_asks_for_cannot_be_left_out(asks: bool, classes: str) -> None:
    environ = {"EXCLUDE_UPPERCASE": "true", "EXCLUDE_LOWERCASE": "true", "EXCLUDE_NUMBERS": "true", "REQUIRE_EACH_INCLUDED_TYPE": "false"}
    password = replace(Door().back_end, asks_for_classes=asks).settings(environ).policy.generate()
    found = {"u": str.isupper, "l": str.islower, "n": str.isdigit, "p": lambda letter: not letter.isalnum()}
    assert {name for name, is_one in found.items() if any(map(is_one, password))} == set(classes)


@pytest.mark.parametrize(("value", "ends"), [("true", True), ("Yes", True), ("1", True), ("false", False), ("", False), (None, False)])
def test_sessions_are_ended_where_the_environment_says_so(value: str | None, ends: bool) -> None:
    environ = {} if value is None else {"KEYTURN_END_SESSIONS": value}
    assert Door().back_end.settings(environ).end_sessions is ends


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        ({}, "one"),
        ({"one": Kind.AUTHENTICATION}, "two"),
        ({"one": Kind.AUTHENTICATION, "two": Kind.AUTHENTICATION}, Kind.AUTHENTICATION),
        ({"one": Kind.NETWORK}, Kind.NETWORK),
        ({"one": Kind.PERMISSION}, Kind.PERMISSION),
    ],
)
def test_the_first_login_that_is_taken_counts_and_only_a_refusal_is_followed_by_another(kinds: dict[str, Kind], outcome: object) -> None:
    def login(credential: Credential) -> str:
        if kind := kinds.get(credential.username):
            raise RotationError(kind, "refused", check="the test")
        return credential.username

    users = [version(username="one"), version(username="two")]
    if not isinstance(outcome, Kind):
        assert first_accepted(*users, login=login) == outcome
        return
    with pytest.raises(RotationError) as refused:
        first_accepted(*users, login=login)
    assert refused.value.kind is outcome
