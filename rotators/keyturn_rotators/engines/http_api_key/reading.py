"""Reads a provider's declaration field by field, and says of a bad one which provider, which field, and what to do."""

from collections.abc import Callable
from typing import TypeVar

from keyturn_rotators.engines.http_api_key import pointer
from keyturn_rotators.engines.http_api_key.templates import Json, Template, parse_json
from keyturn_rotators.errors import Kind, RotationError

T = TypeVar("T")
PAGE = "the declaration, against the page http-api-key.md of the rotators' documentation"


class Table:
    """One table of a declaration; every field that is read is ticked off, and what is left over is an error."""

    def __init__(self, provider: str, path: str, content: object) -> None:
        self.provider, self.path = provider, path
        if not isinstance(content, dict):
            raise self.error("", "is not a table", "write it as [table] or name = { ... }")
        self._left = dict(content)

    def error(self, name: str, why: str, cure: str = PAGE) -> RotationError:
        where = ".".join(part for part in (self.path, name) if part) or "the file"
        return RotationError(Kind.POLICY, f"the declaration of the provider {self.provider} is not usable: {where} {why}", check=cure)

    def has(self, name: str) -> bool:
        return name in self._left

    def text(self, name: str, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if value is None:
            raise self.error(name, "is missing")
        if not isinstance(value, str):
            raise self.error(name, "is not a text")
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self.error(name, "is not a number of seconds")
        return float(value)

    def integer(self, name: str) -> int:
        value = self._left.pop(name, None)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, "is not a whole number")
        return value

    def choice(self, name: str, default: str, known: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in known:
            raise self.error(name, f"is {value!r}", f"use one of {', '.join(known)}")
        return value

    def statuses(self, name: str, default: tuple[int, ...] = ()) -> frozenset[int]:
        value = self._left.pop(name, list(default))
        if not isinstance(value, list) or not all(isinstance(each, int) and 100 <= each <= 599 for each in value):
            raise self.error(name, "is not a list of HTTP status codes", "write it as [200, 201]")
        return frozenset(value)

    def pointer(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if wrong := pointer.problem(value):
            raise self.error(name, wrong, 'write a JSON pointer, such as "/data/0/id"')
        return value

    def table(self, name: str) -> "Table":
        return Table(self.provider, ".".join(part for part in (self.path, name) if part), self._left.pop(name, {}))

    def names(self) -> tuple[str, ...]:
        return tuple(self._left)

    def template(self, name: str, default: str | None = None) -> Template:
        return self._parsed(name, self.text(name, default), Template.parse)

    def texts(self, name: str) -> tuple[Template, ...]:
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(name, "is not a list of texts")
        return tuple(self._parsed(name, each, Template.parse) for each in value)

    def templates(self, name: str) -> dict[str, Template]:
        """A table of texts."""
        inner = self.table(name)
        return {field: inner.template(field) for field in inner.names()}

    def pointers(self, name: str) -> dict[str, str]:
        """A table of JSON pointers."""
        inner = self.table(name)
        return {field: inner.pointer(field) for field in inner.names()}

    def json(self, name: str) -> Json:
        content = self._left.pop(name, None)
        return None if content is None else self._parsed(name, content, parse_json)

    def values(self, name: str) -> dict[str, str | int | bool]:
        """A table of pointers to plain values."""
        content = self._left.pop(name, {})
        if not isinstance(content, dict) or not all(isinstance(value, str | int | bool) for value in content.values()):
            raise self.error(name, "is not a table of texts, numbers, true and false")
        for each in content:
            if wrong := pointer.problem(each):
                raise self.error(f"{name}.{each}", wrong, 'write a JSON pointer, such as "/data/0/id"')
        return dict(content)

    def end(self) -> None:
        """Raises RotationError where fields are left that nobody knows."""
        for name in self._left:
            raise self.error(name, "is not a field of declarations", "its spelling, or remove it")

    def _parsed(self, name: str, content: object, parse: Callable[..., T]) -> T:
        try:
            return parse(content)
        except ValueError as error:
            raise self.error(name, str(error)) from None
