"""The fields of a secret's value: its JSON taken apart without losing a digit.

Numbers keep the text that they have in the JSON: `1.10` stays `1.10`, and an identifier of thirty digits keeps them all. Errors name
fields and never show values; they carry no other exception with them, since those of the JSON parser hold the whole document.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import total_ordering
from typing import Final, NoReturn

VALUE: Final = "value"  # the one field of a secret that is not a JSON object
_SHOWN: Final = 80


class ContentError(Exception):
    """Why no content can be made, as the predicate of a sentence about the secret; it names fields, never values."""


@total_ordering
class Number:
    """A JSON number that is its own text, and compares as a number."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and (self.text == other.text or self._magnitude() == other._magnitude())

    def __lt__(self, other: "Number") -> bool:
        return self._magnitude() < other._magnitude()

    __hash__ = None  # type: ignore[assignment]  # never a key; object's stub does not know of unhashable classes

    def __bool__(self) -> bool:
        return bool(self._magnitude())

    def __repr__(self) -> str:
        return "Number(...)"

    def _magnitude(self) -> Decimal:
        try:
            return Decimal(self.text)
        except InvalidOperation:  # an exponent beyond all bounds
            pass
        raise ContentError("has a number whose exponent is too large to compare")


@dataclass(frozen=True, slots=True, repr=False)
class Nested:
    """A JSON object or array within the secret, as compact JSON."""

    text: str
    empty: bool

    def __bool__(self) -> bool:
        return not self.empty


Field = str | bool | Number | Nested
Fields = Mapping[str, Field]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LOOKS_LIKE_AN_OBJECT: Final = re.compile(r"[ \t\r\n]*\{")


def fields_of(text: str) -> dict[str, Field]:
    """The top-level fields, null ones left out; of text that is not a JSON object the field `value`.

    :raises ContentError: for an object that names a field twice, is nested beyond reason, or holds text that UTF-8 cannot.
    """
    parsed = _object(text) if _LOOKS_LIKE_AN_OBJECT.match(text) else None
    fields: dict[str, Field] = {VALUE: text} if parsed is None else parsed
    for name, field in fields.items():
        if not encodable(name) or not encodable(text_of(field)):
            raise ContentError(f"has text in field {shown(name)} that cannot be written as UTF-8")
    return fields


def text_of(field: Field) -> str:
    """A field as it becomes a data value: strings as they are, everything else as compact JSON."""
    match field:
        case str():
            return field
        case bool():
            return "true" if field else "false"
        case Number() | Nested():
            return field.text


def json_of(field: Field) -> str:
    """A field as JSON: strings quoted."""
    return json.dumps(field, ensure_ascii=False) if isinstance(field, str) else text_of(field)


def shown(name: str) -> str:
    """A name for a message: quoted, escaped, and cut short."""
    short = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    return json.dumps(short, ensure_ascii=not encodable(short))


def encodable(text: str) -> bool:
    """JSON and templates can name halves of surrogate pairs, which UTF-8 cannot hold (and the error about it would hold the text)."""
    return text.isascii() or not _SURROGATE.search(text)


class _RepeatedError(Exception):
    """A JSON object that names one field twice."""


def _object(text: str) -> dict[str, Field] | None:
    """The object that the text is, or None if it is none after all."""
    problem = "is nested too deeply"
    try:
        parsed = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_not_json, object_pairs_hook=_without_repeats)
        return {str(name): _field(value) for name, value in parsed.items() if value is not None}
    except _RepeatedError as error:
        problem = f"names the field {error} twice in its JSON"
    except RecursionError:
        pass
    except ValueError:
        return None
    raise ContentError(problem)  # outside the except clauses: no context that holds the document


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity, which Python would take


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names: dict[str, object] = {}
    for name, value in pairs:
        if name in names:
            raise _RepeatedError(shown(name))
        names[name] = value
    return names


def _field(value: object) -> Field:
    if isinstance(value, str | bool | Number):
        return value
    return Nested(_compact(value), empty=not value)


def _compact(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{_compact(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ",".join(_compact(inner) for inner in value) + "]"
        case str() | bool() | Number():
            return json_of(value)
        case _:
            raise TypeError(type(value).__name__)
