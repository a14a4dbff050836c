"""Every reason that the operator can give: read off its code, so that the documentation cannot forget one.

A reason is a CamelCase word that a user meets as the reason of a condition or an event, or in the operator's log. It is written in few
ways: as a keyword, as the first word of a verdict, in the tables of announcements and refusals, or as a step joined to its state.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "operator" / "keyturn"
FOLDERS = ("domain", "engine", "adapters", "cli")
WORD = re.compile(r"[A-Z][A-Za-z]+")
FIRST = frozenset({"true", "false", "unknown", "stalled", "reconciling", "waiting", "failed"})
"""Functions of conditions and of a run's record whose first argument is a reason."""
SECOND = frozenset({"_over"})
TABLES = re.compile(r"_?(REASONS|KNOWN_REASONS|STEP_REASONS)")


@lru_cache
def reasons() -> dict[str, str]:
    """Each reason, and a file in which it is given."""
    return {reason: str(path.relative_to(PACKAGE)) for path in _modules() for reason in _of_module(ast.parse(path.read_text()))}


def _modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (PACKAGE / folder).rglob("*.py"))


def _of_module(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        yield from _of_constant(statement)
    for node in ast.walk(tree):
        match node:
            case ast.Call():
                yield from _of_call(node)
            case ast.AnnAssign(target=ast.Name(id="reason")):
                yield from _words(node.value)
            case ast.Assign(targets=[ast.Name(id=name)], value=table) if TABLES.fullmatch(name):
                yield from _words_of_table(table)
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                yield from (word for key, value in pairs if _is(key, "reason") for word in _words(value))
            case ast.Return(value=ast.Tuple(elts=[_, second])) if isinstance(second, ast.Constant):
                yield from _words(second)


def _of_constant(statement: ast.stmt) -> Iterator[str]:
    """A constant of a module that is called as it reads: Throttled = "Throttled", EXPIRED = "Expired"."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))) if name == text:
            yield text
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if name == text.upper() != text:
            yield text


def _of_call(call: ast.Call) -> Iterator[str]:
    name = _name(call.func)
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "Finding" and "failure" not in keywords:
        return  # the ordinary course of a pass: nobody is told
    yield from _words(keywords.get("reason"))
    if name in FIRST and call.args:
        yield from _words(call.args[0])
    if name in SECOND:
        yield from _words(call.args[1])
    if name == "outage" and len(call.args) > 1:
        yield from _words(call.args[1])
    yield from _of_step(name, call.args)


def _of_step(name: str, args: list[ast.expr]) -> Iterator[str]:
    """A step that is moved says its own name and its state: RotateRunning."""
    match args:
        case [ast.Attribute(value=ast.Name(id="StepName"), attr=step), ast.Attribute(value=ast.Name(id="StepState"), attr=state), *_]:
            yield f"{step.title()}{state.title()}"
        case [ast.Attribute(value=ast.Name(id="StepName"), attr=step)] if name == "begun":
            yield f"{step.title()}Running"


def _branches(node: ast.expr | None) -> Iterator[ast.expr]:
    """What an expression may come to: both sides of a condition, all of an `or`."""
    match node:
        case ast.IfExp(body=body, orelse=other):
            yield from _branches(body)
            yield from _branches(other)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _branches(value)
        case ast.expr():
            yield node


def _words(node: ast.expr | None) -> Iterator[str]:
    for part in _branches(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and WORD.fullmatch(part.value):
            yield part.value


def _words_of_table(table: ast.expr) -> Iterator[str]:
    """The values of a dictionary (of pairs, their first), or the items of a set."""
    for node in ast.walk(table):
        if isinstance(node, ast.Dict):
            for value in node.values:
                yield from _words(value.elts[0] if isinstance(value, ast.Tuple) else value)
        elif isinstance(node, ast.Set):
            yield from (word for item in node.elts for word in _words(item))


def _name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _is(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text
