"""JSON pointers (RFC 6901): where in an answer a value is."""

import re

_ESCAPES = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]*")


class Missing(Exception):
    """The document has nothing at that place."""


def problem(pointer: str) -> str | None:
    """What is wrong with a pointer, or None."""
    if pointer and not pointer.startswith("/"):
        return 'does not begin with "/"'
    if _ESCAPES.search(pointer):
        return 'has a "~" that is neither "~0" nor "~1"'
    return None


def find(document: object, pointer: str) -> object:
    """The value at that place; "" is the whole document. Raises Missing."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and _INDEX.fullmatch(name) and int(name) < len(document):
            document = document[int(name)]
        else:
            raise Missing(pointer)
    return document
