"""A secret's JSON as AWS documents it, and that nothing of it is shown."""

import copy
import pickle

import pytest

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import RotationError

FIELDS = {"engine": "postgres", "host": "h", "username": "u", "password": "canary", "port": "5433", "dbname": "d"}


def test_nothing_shows_its_fields() -> None:
    credential = Credential(FIELDS, secret="arn:x")
    for shown in (repr(credential), str(credential), f"{credential}", f"{[credential]}"):
        assert "canary" not in shown
        assert "arn:x" in shown


def test_it_is_not_pickled_or_copied_by_accident() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Credential(FIELDS))
    with pytest.raises(TypeError):
        copy.copy(Credential(FIELDS))


@pytest.mark.parametrize("value", [True, "true", "TRUE", None, "yes", 1, ""])
def test_tls_is_on_unless_the_secret_says_false(value: object) -> None:
    assert Credential(FIELDS | {"ssl": value}).tls


@pytest.mark.parametrize("value", [False, "false", "False", " FALSE "])
def test_tls_is_off_where_the_secret_says_false(value: object) -> None:
    assert not Credential(FIELDS | {"ssl": value}).tls


def test_a_secret_without_ssl_means_tls() -> None:
    assert Credential(FIELDS).tls


@pytest.mark.parametrize(("value", "port"), [("5433", 5433), (5433, 5433), (None, 5432), ("", 5432)])
def test_the_port_is_a_number_or_text_or_the_engines_own(value: object, port: int) -> None:
    assert Credential(FIELDS | {"port": value}).port(5432) == port


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(RotationError, match="field port"):
        Credential(FIELDS | {"port": "x"}).port(5432)


@pytest.mark.parametrize("value", [None, "", 7, ["u"]])
def test_a_user_that_is_missing_or_no_text_is_refused_by_the_fields_name(value: object) -> None:
    with pytest.raises(RotationError, match="field username"):
        _ = Credential(FIELDS | {"username": value}).username


def test_replacing_a_field_leaves_the_others_and_the_original() -> None:
    first = Credential(FIELDS | {"mine": {"a": 1}}, secret="arn:x")
    second = first.replaced(password="other")
    assert (first.password, second.password, second.get("mine"), second.secret) == ("canary", "other", {"a": 1}, "arn:x")


@pytest.mark.parametrize("name", ["engine", "host", "port", "dbname", "ssl", "masterarn"])
def test_a_difference_of_the_connection_is_named(name: str) -> None:
    assert Credential(FIELDS).differs_from(Credential(FIELDS | {name: "another"})) == name


def test_user_and_password_are_no_difference_of_the_connection() -> None:
    assert Credential(FIELDS).differs_from(Credential(FIELDS | {"username": "x", "password": "y", "note": 1})) is None


@pytest.mark.parametrize("value", ["text", "[1]", "{", "", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', "[" * 100_000])
def test_what_is_not_a_json_object_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(RotationError, match="not a JSON object") as refused:
        Credential.parse(value, secret="arn:x")
    assert refused.value.__suppress_context__
    assert value not in ("", "{") or "arn:x" in str(refused.value)


def test_letters_of_other_alphabets_stay_as_long_as_they_are() -> None:
    value = '{"note": "ü漢😀"}'
    assert Credential.parse(value, secret="x").to_json() == value


def test_what_json_can_say_and_utf8_cannot_is_carried_along_all_the_same() -> None:
    value = Credential.parse(r'{"note": "\ud800", "other": "ü"}', secret="x").to_json()
    assert value.encode()
    assert Credential.parse(value, secret="x").get("note") == "\ud800"


def test_a_value_without_any_of_awss_fields_is_a_value() -> None:
    credential = Credential.parse('{"api_key": "k"}', secret="x")
    assert credential.text("api_key") == "k"
    assert credential.replaced(api_key="l", note=1).without("note").to_json() == '{"api_key": "l"}'
    assert credential.tls
    assert credential.superuser_secret is None
