"""The table of values in the chart's README, made from the comments in values.yaml that begin with two dashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

BEGIN, END = "<!-- values: begin, generated from values.yaml -->", "<!-- values: end -->"
MARK = "# -- "


@dataclass(frozen=True, slots=True)
class Value:
    """One value that users may set."""

    path: str
    default: Any
    comment: str | None
    """None where values.yaml does not explain it."""


def documented(text: str) -> list[Value]:
    """The values of values.yaml, in its order. A comment on a mapping explains all that is below it."""
    return list(_walk(yaml.compose(text), text.splitlines(), ""))


def table(text: str) -> str:
    """As Markdown."""
    rows = [f"| `{value.path}` | `{_shown(value.default)}` | {value.comment} |" for value in documented(text)]
    return "\n".join(["| Value | Default | What it is |", "|---|---|---|", *rows])


def with_table(readme: str, values: str) -> str:
    """The README with its table brought up to date."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(values)}\n\n{END}{after}"


def _walk(mapping: yaml.Node | None, lines: list[str], prefix: str) -> Iterator[Value]:
    if not isinstance(mapping, yaml.MappingNode):
        raise TypeError(f"{prefix or 'values.yaml'} is not a mapping")
    for key, value in mapping.value:
        path = f"{prefix}{key.value}"
        comment = _comment(lines, key.start_mark.line)
        if comment is None and isinstance(value, yaml.MappingNode) and value.value:
            yield from _walk(value, lines, f"{path}.")
        else:
            yield Value(path, _plain(value), comment)


def _comment(lines: list[str], line: int) -> str | None:
    above = lines[line - 1].strip() if line else ""
    return above.removeprefix(MARK) if above.startswith(MARK) else None


def _plain(node: yaml.Node) -> Any:
    return yaml.safe_load(yaml.serialize(node))


def _shown(default: Any) -> str:
    return json.dumps(default).replace("|", "\\|")
