"""No text leaves with a credential in it."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from pydantic import BaseModel

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.telemetry.redaction import MASK, ExcInfo, Redactor

CANARY = "canary-7f3a"

LEAKS = [
    json.dumps({"kind": "Secret", "data": {"password": CANARY}}),
    json.dumps({"SecretString": json.dumps({"password": CANARY})}),
    str({"apiVersion": "v1", "stringData": {"a": CANARY, "b": CANARY}}),
    str({"SecretBinary": CANARY.encode()}),
    str({"data": {"password": CANARY * 1000}})[:5000],  # cut off in the middle by whoever logged it
    f"connect postgresql://app:{CANARY}@db.internal:5432/shop",
    f"Authorization: Bearer {CANARY}",
    str({"Authorization": f"Bearer {CANARY}"}),
    f"password={CANARY} host=db",
    f"'aws_secret_access_key': '{CANARY}'",
]


@pytest.mark.parametrize("text", LEAKS)
def test_credentials_that_are_known_by_their_place_are_masked(text: str) -> None:
    masked = Redactor().text(text)
    assert CANARY not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text", ["restarted Deployment shop/api", "cannot update Secret shop/a: Conflict (409)", "data key password is missing"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    "value", ["hunter2-canary", b"hunter2-canary", 'with "quotes"\nand lines', "пароль-пароль", b"\x00\xff\xfe\xfd"], ids=repr
)
def test_a_hidden_value_is_masked_in_every_form_and_only_meanwhile(value: str | bytes) -> None:
    redactor = Redactor()
    raw = value.encode() if isinstance(value, str) else value
    texts = [raw.decode(errors="replace"), b64encode(raw).decode(), repr(raw.decode(errors="replace"))[1:-1]]
    with redactor.hiding(value):
        assert [redactor.text(f"<{text}>") for text in texts] == [f"<{MASK}>"] * 3
    assert [redactor.text(text) for text in texts] == texts
    assert repr(redactor) == "Redactor(0 hidden)"


def test_a_value_hidden_twice_is_masked_until_both_have_ended() -> None:
    redactor = Redactor()
    with redactor.hiding(CANARY):
        with redactor.hiding(CANARY):
            pass
        assert redactor.text(CANARY) == MASK


def test_endless_text_is_cut() -> None:
    assert len(Redactor().text("x" * 100_000)) < 9000


def caught(raises: object) -> ExcInfo:
    try:
        assert callable(raises)
        raises()
    except Exception as error:  # whatever the case raises is what is looked at
        return type(error), error, error.__traceback__
    raise AssertionError("nothing was raised")


class Model(BaseModel):
    number: int


def chained() -> None:
    try:
        int(CANARY)
    except ValueError as error:
        raise RuntimeError(CANARY) from error


def grouped() -> None:
    raise ExceptionGroup(CANARY, [ValueError(CANARY), KeyError(CANARY)])


@pytest.mark.parametrize(
    "raises",
    [
        lambda: int(CANARY),
        lambda: dict[str, str]()[CANARY],
        lambda: Model.model_validate({"number": CANARY}),
        lambda: json.loads(CANARY),
        lambda: CANARY.encode().decode("utf-16"),
        chained,
        grouped,
    ],
)
def test_exceptions_that_quote_their_input_show_only_type_and_place(raises: object) -> None:
    shown = Redactor().exception(caught(raises))
    assert CANARY not in shown
    assert "test_redaction.py" in shown
    assert "Error" in shown


def test_a_classified_refusal_is_shown_in_full_and_so_is_its_cause() -> None:
    def raises() -> None:
        try:
            Path("/nowhere/at/all").read_text()
        except OSError as error:
            raise OutsideError(FailureKind.TRANSIENT, reason="Timeout", message="cannot read Secret shop/a") from error

    shown = Redactor().exception(caught(raises))
    assert "OutsideError: cannot read Secret shop/a" in shown
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'" in shown
    assert shown.index("FileNotFoundError") < shown.index("OutsideError")
