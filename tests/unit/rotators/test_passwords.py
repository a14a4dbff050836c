"""Passwords by the environment variables of AWS's functions."""

import string

import pytest

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy


def policy(**environ: str) -> PasswordPolicy:
    return PasswordPolicy.from_environment(environ, excluded=EXCLUDED)


def test_by_default_it_has_32_characters_of_all_four_classes_and_none_that_a_url_cannot_take() -> None:
    for _ in range(200):
        password = policy().generate()
        assert len(password) == 32
        for letters in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert set(password) & set(letters)
        assert not set(password) & set(":/@\"'\\")


def test_no_two_are_the_same() -> None:
    assert len({policy().generate() for _ in range(500)}) == 500


def test_characters_that_are_excluded_replace_the_engines_own() -> None:
    allowed = policy(EXCLUDE_CHARACTERS="abc").classes()
    assert "a" not in "".join(allowed)
    assert "@" in "".join(allowed)


@pytest.mark.parametrize("value", ["true", "1", "y", "YES"])
@pytest.mark.parametrize(
    ("variable", "letters"),
    [
        ("EXCLUDE_NUMBERS", string.digits),
        ("EXCLUDE_PUNCTUATION", string.punctuation),
        ("EXCLUDE_UPPERCASE", string.ascii_uppercase),
        ("EXCLUDE_LOWERCASE", string.ascii_lowercase),
    ],
)
def test_a_class_is_left_out(variable: str, letters: str, value: str) -> None:
    assert not set(policy(**{variable: value}).generate()) & set(letters)


def test_its_length_is_a_variable() -> None:
    assert len(policy(PASSWORD_LENGTH="64").generate()) == 64


@pytest.mark.parametrize(
    "environ",
    [
        {"PASSWORD_LENGTH": "3"},
        {"PASSWORD_LENGTH": "x"},
        {"PASSWORD_LENGTH": "5000"},
        {"EXCLUDE_CHARACTERS": string.digits},
        {
            "EXCLUDE_NUMBERS": "true",
            "EXCLUDE_PUNCTUATION": "true",
            "EXCLUDE_UPPERCASE": "true",
            "EXCLUDE_LOWERCASE": "true",
            "REQUIRE_EACH_INCLUDED_TYPE": "false",
        },
    ],
)
def test_a_policy_that_allows_no_password_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(RotationError, match="not usable") as refused:
        policy(**environ).generate()
    assert refused.value.kind is Kind.POLICY


def test_a_class_whose_characters_are_all_excluded_does_no_harm_where_not_each_is_required() -> None:
    assert not set(policy(EXCLUDE_CHARACTERS=string.digits, REQUIRE_EACH_INCLUDED_TYPE="false").generate()) & set(string.digits)


def test_a_variable_of_our_own_goes_before_awss() -> None:
    made = policy(PASSWORD_LENGTH="64", KEYTURN_PASSWORD_LENGTH="48", EXCLUDE_NUMBERS="false", KEYTURN_EXCLUDE_NUMBERS="true").generate()
    assert len(made) == 48
    assert not set(made) & set(string.digits)


def test_what_the_back_end_cannot_take_is_left_out_whatever_the_variables_say() -> None:
    limited = PasswordPolicy.from_environment({"EXCLUDE_CHARACTERS": "", "PASSWORD_LENGTH": "4000"}, excluded="x", forbidden=";'")
    made = set(limited.generate())
    assert "x" in made
    assert not made & set(";'")


def test_a_back_end_that_takes_short_passwords_only_gets_short_ones_and_a_longer_wish_is_refused() -> None:
    assert len(PasswordPolicy.from_environment({}, excluded="", longest=16).generate()) == 16
    with pytest.raises(RotationError, match="at most 16 characters"):
        PasswordPolicy.from_environment({"PASSWORD_LENGTH": "17"}, excluded="", longest=16)
