"""Texts with placeholders, whose values are encoded for the place where they stand.

A placeholder is `{secret:FIELD}`, `{admin:FIELD}`, `{test:POINTER}`, `{listed:POINTER}` or `{label}`. Nothing else is put into a request,
and no value can end the place that it stands in: a slash does not make a path longer, a line break no header more. With a question mark, as
`{listed?:POINTER}`, it is a whole member of a JSON object, which is left out where the answer has nothing there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from keyturn_rotators.engines.http_api_key import pointer

FIELDS = ("secret", "admin")  # sources whose names are fields
ANSWERS = ("test", "listed")  # sources whose names are JSON pointers
LABEL = "label"
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]*)(\??)(?::([^{}\s]*))?\}")
_FIELD = re.compile(r"[A-Za-z0-9_.-]+")
_HEADER = re.compile(r"[\x20-\x7e]*")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class Unfit(ValueError):
    """A value cannot stand where it should; the message names the placeholder and not the value."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a value comes from."""

    source: str
    name: str = ""
    optional: bool = False  # None where there is nothing

    def __str__(self) -> str:
        source = self.source + ("?" if self.optional else "")
        return f"{{{source}:{self.name}}}" if self.name else f"{{{source}}}"


Resolve = Callable[[Placeholder], object]


@dataclass(frozen=True, slots=True)
class Template:
    """A text, cut at its placeholders."""

    parts: tuple[str | Placeholder, ...]

    @classmethod
    def parse(cls, text: str, *, member: bool = False) -> "Template":
        """`member`: of a JSON object, which may be left out. Raises ValueError that says what is wrong."""
        parts: list[str | Placeholder] = []
        end = 0
        for match in _PLACEHOLDER.finditer(text):
            parts += [text[end : match.start()], _checked(match)]
            end = match.end()
        template = cls(tuple(part for part in (*parts, text[end:]) if part != ""))
        for each in template.placeholders():
            if each.optional and not (member and len(template.parts) == 1):
                raise ValueError(f"has the placeholder {each}, which may only be the whole of a field of json")
        return template

    @property
    def optional(self) -> bool:
        return any(each.optional for each in self.placeholders())

    def placeholders(self) -> Iterator[Placeholder]:
        return (part for part in self.parts if isinstance(part, Placeholder))

    @property
    def literal(self) -> str:
        """The text without its placeholders."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def path(self, resolve: Resolve) -> str:
        return self._joined(resolve, _segment)

    def header(self, resolve: Resolve) -> str:
        return self._joined(resolve, _header)

    def host(self, resolve: Resolve) -> str:
        return self._joined(resolve, _host)

    def text(self, resolve: Resolve) -> str:
        """For places that are encoded as a whole, such as a query."""
        return self._joined(resolve, lambda _, text: text)

    def value(self, resolve: Resolve) -> object:
        """For JSON: a placeholder that stands alone keeps its type."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Placeholder):
            return resolve(self.parts[0])
        return self.text(resolve)

    def _joined(self, resolve: Resolve, encode: Callable[[Placeholder, str], str]) -> str:
        return "".join(part if isinstance(part, str) else encode(part, _plain(part, resolve(part))) for part in self.parts)


Json = Template | Mapping[str, "Json"] | tuple["Json", ...] | int | float | bool | None


def parse_json(content: object) -> Json:
    """The templates in a body. Raises ValueError."""
    match content:
        case str():
            return Template.parse(content)
        case dict():
            return {str(name): _member(value) for name, value in content.items()}
        case list():
            return tuple(parse_json(value) for value in content)
        case bool() | int() | float():
            return content
    raise ValueError("is neither text, number, list nor table")


def render_json(content: Json, resolve: Resolve) -> object:
    match content:
        case Template():
            return content.value(resolve)
        case Mapping():
            rendered = {name: render_json(value, resolve) for name, value in content.items()}
            return {name: value for name, value in rendered.items() if value is not None or not _is_optional(content[name])}
        case tuple():
            return [render_json(value, resolve) for value in content]
    return content


def _member(content: object) -> Json:
    return Template.parse(content, member=True) if isinstance(content, str) else parse_json(content)


def _is_optional(content: Json) -> bool:
    return isinstance(content, Template) and content.optional


def templates_in(content: Json) -> Iterator[Template]:
    match content:
        case Template():
            yield content
        case Mapping():
            for value in content.values():
                yield from templates_in(value)
        case tuple():
            for value in content:
                yield from templates_in(value)


def is_host(text: str) -> bool:
    """Whether it can be a host's name or its IPv4 address, or a part of one."""
    return bool(_HOST.fullmatch(text)) and ".." not in text


def _checked(match: re.Match[str]) -> Placeholder:
    source, optional, name = match[1], bool(match[2]), match[3]
    if source == LABEL and name is None and not optional:
        return Placeholder(LABEL)
    if source in FIELDS and name and _FIELD.fullmatch(name) and not optional:
        return Placeholder(source, name)
    if source in ANSWERS and name is not None:
        if wrong := pointer.problem(name):
            raise ValueError(f"has the placeholder {match[0]}, whose pointer {wrong}")
        return Placeholder(source, name, optional)
    known = "{secret:FIELD}, {admin:FIELD}, {test:/POINTER}, {listed:/POINTER} and {label}"
    raise ValueError(f"has the placeholder {match[0]}; known are {known} (a brace that is meant as such needs a space behind it)")


def _plain(placeholder: Placeholder, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unfit(f"{placeholder} is neither a text nor a whole number")
    text = str(value)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Unfit(f"{placeholder} has half a character, which JSON can say and nothing else")
    return text


def _segment(placeholder: Placeholder, text: str) -> str:
    if text in ("", ".", ".."):
        raise Unfit(f"{placeholder} is empty, or dots that would lead to another path")
    return quote(text, safe="")


def _header(placeholder: Placeholder, text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise Unfit(f"{placeholder} has a character that a header cannot carry")
    return text


def _host(placeholder: Placeholder, text: str) -> str:
    if not is_host(text):
        raise Unfit(f"{placeholder} is not a part of a host name")
    return text
