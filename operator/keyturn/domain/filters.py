"""The filters of templates. Each takes text and gives text; what cannot be done is said without the text."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from keyturn.domain.fields import Field, json_of, text_of

LONGEST: Final = 1024 * 1024


class UnfitError(Exception):
    """A filter was given what it is not made for; the message says what, never the text."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, and how many arguments it takes besides the value."""

    apply: Callable[..., str]
    arguments: int = 0


def _on_text(function: Callable[..., str]) -> Callable[..., str]:
    def apply(value: Field, *arguments: str) -> str:
        return function(text_of(value), *arguments)

    return apply


def _urlencode(text: str) -> str:
    """Everything that is not unreserved in a URI is percent-encoded, the slash too: it fits into any part of a URL."""
    return quote(text, safe="")


def _b64encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _b64decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):  # both a UnicodeDecodeError and its context would hold the text
        pass
    raise UnfitError("it is not the Base64 of UTF-8 text")


def _replace(text: str, old: str, new: str) -> str:
    """Counted first: a chain of replacements could ask for more than there is memory."""
    if not old:
        raise UnfitError("there is nothing to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST:
        raise UnfitError("the result would be larger than 1 MiB")
    return text.replace(old, new)


FILTERS: Final = {
    "urlencode": Filter(_on_text(_urlencode)),
    "b64encode": Filter(_on_text(_b64encode)),
    "b64decode": Filter(_on_text(_b64decode)),
    "tojson": Filter(json_of),
    "lower": Filter(_on_text(str.lower)),
    "upper": Filter(_on_text(str.upper)),
    "trim": Filter(_on_text(str.strip)),
    "replace": Filter(_on_text(_replace), arguments=2),
}
