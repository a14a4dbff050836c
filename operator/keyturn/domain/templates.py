"""Templates of data keys: Jinja2's syntax, cut down to expressions, filters and conditions.

A tenant writes them, and they see a secret. So Jinja2 only parses: nothing is compiled, and no Python object can be reached from a
template. The syntax tree is checked against what is allowed, and walked here, where each piece of text is accounted for. There are no
loops, calls, attributes, subscripts, macros, imports or assignments, and no operators but comparisons, and/or/not, `~` and `+` on strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from keyturn.domain.fields import ContentError, Field, Fields, Number, encodable, shown, text_of
from keyturn.domain.filters import FILTERS, UnfitError

MAX_OUTPUT: Final = 1024 * 1024
MAX_WORK: Final = 8 * MAX_OUTPUT  # characters of all intermediate results together
MAX_DEPTH: Final = 60
MAX_REASON: Final = 200

_PARSER: Final = Environment(keep_trailing_newline=True)  # noqa: S701 nothing is rendered by it, and there is no HTML
_NUMBERS_BELOW: Final = 2**63
_LISTS: Final = (nodes.List, nodes.Tuple)
_STRAY_LIST: Final = "a list may only stand to the right of `in`"
_ALLOWED: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.CondExpr,
    nodes.Name,
    nodes.Const,
    nodes.Filter,
    nodes.Test,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.Add,
    nodes.List,
    nodes.Tuple,
)
_IN_WORDS: Final = {
    nodes.For: "loops",
    nodes.Call: "calls",
    nodes.Getattr: "attributes",
    nodes.Getitem: "subscripts",
    nodes.Macro: "macros",
    nodes.CallBlock: "calls",
    nodes.FilterBlock: "filter blocks",
    nodes.Assign: "assignments",
    nodes.AssignBlock: "assignments",
    nodes.With: "assignments",
    nodes.Include: "includes",
    nodes.Import: "imports",
    nodes.FromImport: "imports",
    nodes.Extends: "inheritance",
    nodes.Block: "blocks",
    nodes.Dict: "dictionaries",
    nodes.Scope: "autoescape blocks",
    nodes.ScopedEvalContextModifier: "autoescape blocks",
}


class _RefusedError(Exception):
    """A template that is not allowed, with the line (if it is known) and a clause that says why."""

    def __init__(self, line: int | None, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


def check_template(name: str, text: str) -> str | None:
    """What is wrong with the template of data key `name`, as a sentence that names the field and the line."""
    try:
        _tree(text)
    except _RefusedError as error:
        where = "" if error.line is None else f", line {error.line}"
        why = error.why if len(error.why) <= MAX_REASON else f"{error.why[:MAX_REASON]}…"  # it may quote the template
        return f"spec.target.template.{name}{where}: {why}."
    return None


def render_template(name: str, text: str, fields: Fields) -> str:
    """The text for data key `name`.

    :raises ContentError: naming the field that is missing, or what cannot be done; never a value.
    """
    problem = check_template(name, text)
    if problem is not None:
        raise ContentError(f"cannot be rendered: {problem.rstrip('.')}")
    return _Rendering(name, fields).run(_tree(text))


@lru_cache(maxsize=1024)
def _tree(text: str) -> nodes.Template:
    """The checked syntax tree. Errors are raised where no other exception is under way."""
    line: int | None = None
    why = "it is nested too deeply"
    try:
        tree = _PARSER.parse(text)
    except TemplateSyntaxError as error:
        line, why = error.lineno, (error.message or "it cannot be read").rstrip(".")
    except RecursionError:
        pass
    except ValueError:  # Python reads no integer of more than 4300 digits
        why = "it has a number that is too large"
    else:
        _check(tree)
        return tree
    raise _RefusedError(line, why)


def _check(tree: nodes.Template) -> None:
    """Walk without recursion: the tree of `a + a + …` is as deep as it is long."""
    pending: list[tuple[nodes.Node, int, int]] = [(tree, 0, 1)]
    while pending:
        node, depth, line = pending.pop()
        why = "it is nested too deeply" if depth > MAX_DEPTH else _objection(node)
        if why is not None:
            raise _RefusedError(line, why)
        for child in node.iter_child_nodes():
            below = child.lineno or line  # a few nodes have no line of their own
            if isinstance(child, _LISTS) and not isinstance(node, nodes.Operand):
                raise _RefusedError(below, _STRAY_LIST)
            pending.append((child, depth + 1, below))


def _objection(node: nodes.Node) -> str | None:
    if not isinstance(node, _ALLOWED):
        what = next((words for kind, words in _IN_WORDS.items() if isinstance(node, kind)), f"{type(node).__name__} expressions")
        return f"{what} are not allowed; use names of fields, filters, conditions and comparisons"
    match node:
        case nodes.TemplateData(data=value) | nodes.Const(value=value):
            return _constant_objection(value)
        case nodes.Filter():
            return _filter_objection(node)
        case nodes.Test(name="defined" | "undefined", node=nodes.Name()):
            return None
        case nodes.Test():
            return "only `is defined` and `is undefined` on the name of a field are known"
        case nodes.Compare():
            return _comparison_objection(node)
        case _:
            return None


def _constant_objection(value: object) -> str | None:
    match value:
        case None:
            return "none is not allowed"
        case str():
            return None if encodable(value) else "it has text that cannot be written as UTF-8"
        case int() | float():
            return None if abs(value) < _NUMBERS_BELOW else "it has a number that is too large"
        case _:
            return f"a {type(value).__name__} is not allowed"


def _filter_objection(node: nodes.Filter) -> str | None:
    found = FILTERS.get(node.name)
    if found is None and node.name != "default":
        return f"there is no filter {node.name}; there are {', '.join(sorted([*FILTERS, 'default']))}"
    least, most = (1, 2) if found is None else (found.arguments, found.arguments)
    if node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        return f"filter {node.name} takes its arguments by position only"
    if not least <= len(node.args) <= most:
        return f"filter {node.name} takes {most} argument{'' if most == 1 else 's'}, not {len(node.args)}"
    return None


def _comparison_objection(node: nodes.Compare) -> str | None:
    *others, last = node.ops
    stray = [operand for operand in others if isinstance(operand.expr, _LISTS)]
    if stray or (isinstance(last.expr, _LISTS) and last.op not in ("in", "notin")):
        return _STRAY_LIST
    return None


@dataclass(slots=True)
class _Rendering:
    """One walk over a tree, with what it may still spend."""

    name: str
    fields: Fields
    left: int = field(default=MAX_WORK)

    def run(self, tree: nodes.Template) -> str:
        pieces, size = [], 0
        for piece in self._body(tree.body):
            size += len(piece)
            if size > MAX_OUTPUT:
                raise self._error("would be larger than 1 MiB")
            pieces.append(piece)
        return "".join(pieces)

    def _body(self, body: list[nodes.Node]) -> Iterator[str]:
        for node in body:
            match node:
                case nodes.Output():
                    yield from (self._piece(part) for part in node.nodes)
                case nodes.If():
                    yield from self._body(self._branch(node))
                case _:
                    raise TypeError(type(node).__name__)

    def _branch(self, node: nodes.If) -> list[nodes.Node]:
        for candidate in (node, *node.elif_):
            if self._value(candidate.test):
                return candidate.body
        return node.else_

    def _piece(self, node: nodes.Node) -> str:
        return node.data if isinstance(node, nodes.TemplateData) else text_of(self._value(node))

    def _value(self, node: nodes.Node) -> Field:
        match node:
            case nodes.Const(value=bool() | str() as value):
                return value
            case nodes.Const(value=int() | float() as value):
                return Number(str(value))
            case nodes.Name(name=name):
                return self._field(name)
            case nodes.CondExpr():
                return self._either(node)
            case nodes.And():
                return self._value(node.left) and self._value(node.right)
            case nodes.Or():
                return self._value(node.left) or self._value(node.right)
            case nodes.Not():
                return not self._value(node.node)
            case nodes.Test(node=nodes.Name(name=name)):
                return (name in self.fields) is (node.name == "defined")
            case nodes.Compare():
                return self._comparison(node)
            case nodes.Add():
                return self._sum(self._value(node.left), self._value(node.right))
            case nodes.Concat():
                return self._paid("".join([self._paid(text_of(self._value(part))) for part in node.nodes]))
            case nodes.Filter():
                return self._filtered(node)
            case _:
                raise TypeError(type(node).__name__)

    def _field(self, name: str) -> Field:
        if name not in self.fields:
            raise ContentError(f"has no field {shown(name)}, which spec.target.template.{self.name} needs")
        return self.fields[name]

    def _either(self, node: nodes.CondExpr) -> Field:
        if self._value(node.test):
            return self._value(node.expr1)
        if node.expr2 is None:
            raise self._error(f"has no else for a condition in line {node.lineno}")
        return self._value(node.expr2)

    def _sum(self, left: Field, right: Field) -> str:
        if isinstance(left, str) and isinstance(right, str):
            return self._paid(left + right)
        raise self._error("uses + on something that is not a string; ~ joins everything")

    def _comparison(self, node: nodes.Compare) -> bool:
        left = self._value(node.expr)
        for operand in node.ops:
            if isinstance(operand.expr, nodes.List | nodes.Tuple):
                return any(left == self._value(item) for item in operand.expr.items) is (operand.op == "in")
            right = self._value(operand.expr)
            if not self._holds(operand.op, left, right):
                return False
            left = right
        return True

    def _holds(self, operator: str, left: Field, right: Field) -> bool:
        if operator in ("eq", "ne"):
            return (left == right) is (operator == "eq")
        if isinstance(left, str) and isinstance(right, str):
            return (
                (left in right) is (operator == "in")
                if operator in ("in", "notin")
                else _ordered(operator, (left > right) - (left < right))
            )
        if isinstance(left, Number) and isinstance(right, Number) and operator not in ("in", "notin"):
            return _ordered(operator, (left > right) - (left < right))
        raise self._error("compares things of different kinds")

    def _filtered(self, node: nodes.Filter) -> Field:
        if node.node is None:
            raise TypeError(node.name)
        if node.name == "default":
            return self._default(node.node, node.args)
        value, arguments = self._value(node.node), [text_of(self._value(argument)) for argument in node.args]
        problem = ""
        try:
            return self._paid(FILTERS[node.name].apply(value, *arguments))
        except UnfitError as error:
            problem = str(error)
        raise self._error(f"cannot apply {node.name}: {problem}")

    def _default(self, node: nodes.Expr, args: list[nodes.Expr]) -> Field:
        """Jinja2's own: for what is missing, and with a second argument that is true also for what is empty."""
        missing = isinstance(node, nodes.Name) and node.name not in self.fields
        if not missing:
            value = self._value(node)
            if value or len(args) < 2 or not self._value(args[1]):
                return value
        return self._value(args[0])

    def _paid(self, text: str) -> str:
        self.left -= len(text)
        if self.left < 0 or len(text) > MAX_OUTPUT:
            raise self._error("makes too much text")
        return text

    def _error(self, what: str) -> ContentError:
        return ContentError(f"cannot be rendered: spec.target.template.{self.name} {what}")


def _ordered(operator: str, difference: int) -> bool:
    return {"lt": difference < 0, "lteq": difference <= 0, "gt": difference > 0, "gteq": difference >= 0}[operator]
