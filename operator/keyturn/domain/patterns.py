"""Patterns on secret names: `*` stays within a segment, `**` crosses `/`, `{namespace}` is a whole segment.

Matched by walking the name once with the set of places in the pattern that it may have come to, and not by a regular expression: nothing
of what a user writes is ever read as one, and no pattern takes more than its length times the name's.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

NAMESPACE: Final = "{namespace}"
_WILDCARDS: Final = re.compile(r"(\*\*?)")


class _Wild(Enum):
    WITHIN = "*"
    ACROSS = "**"


_Token = str | _Wild


def matches(pattern: str, name: str, *, namespace: str) -> bool:
    """Whether the pattern covers the whole name, for somebody in `namespace`."""
    tokens = _tokens(pattern, namespace)
    places = _past_wildcards({0}, tokens)
    for character in name:
        places = _past_wildcards(set(_steps(places, tokens, character)), tokens)
        if not places:
            return False
    return len(tokens) in places


def _tokens(pattern: str, namespace: str) -> list[_Token]:
    """The pattern as literal characters and wildcards.

    `{namespace}` within a segment stays what it is, and so covers nothing, as names have no braces: filled in there, it would let
    namespace `a` reach what belongs to `a-b`.
    """
    tokens: list[_Token] = []
    for index, segment in enumerate(pattern.split("/")):
        if index:
            tokens.append("/")
        tokens.extend(namespace if segment == NAMESPACE else _segment_tokens(segment))
    return tokens


def _segment_tokens(segment: str) -> Iterator[_Token]:
    for part in _WILDCARDS.split(segment):
        if _WILDCARDS.fullmatch(part):
            yield _Wild(part)
        else:
            yield from part


def _past_wildcards(places: set[int], tokens: list[_Token]) -> set[int]:
    """A wildcard may stand for nothing."""
    reached: set[int] = set()
    for place in places:
        reached.add(place)
        for ahead in range(place, len(tokens)):
            if not isinstance(tokens[ahead], _Wild):
                break
            reached.add(ahead + 1)
    return reached


def _steps(places: set[int], tokens: list[_Token], character: str) -> Iterator[int]:
    for place in places:
        token = tokens[place] if place < len(tokens) else None
        if token is _Wild.ACROSS or (token is _Wild.WITHIN and character != "/"):
            yield place
        elif token == character:
            yield place + 1
