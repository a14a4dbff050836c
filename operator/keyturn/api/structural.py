"""From pydantic's JSON schema to a Kubernetes structural schema.

A structural schema has no references, no unions with null and no titles; each node says its type once. Whatever the models
can say and this module does not know is an error, so that nothing is lost on the way in silence.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from .meta import CEL, JsonSchema, Model, Reason

VALIDATIONS = "x-kubernetes-validations"
_IMMUTABLE = "x-keyturn-immutable"
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    VALIDATIONS,
)
_RULE = ("rule", "message", "reason", "fieldPath")
_CHILDREN = ("properties", "items", "additionalProperties")


def structural(model: type[Model], *, defaults: bool) -> JsonSchema:
    """The structural schema of a model. Status has no defaults: they would make facts of what nobody has seen."""
    source = model.model_json_schema(by_alias=True, mode="validation")
    definitions = source.pop("$defs", {})
    return _Converter(definitions, defaults=defaults).model(model, source)


class _Converter:
    def __init__(self, definitions: dict[str, JsonSchema], *, defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults
        self._open: list[str] = []

    def model(self, model: type[Model], source: JsonSchema) -> JsonSchema:
        """An object whose fields are described, defaulted and guarded as the model says."""
        node = self.convert({key: value for key, value in source.items() if key not in _CHILDREN})
        node["description"] = summary(model)
        node["properties"] = {}
        for attribute, field in model.model_fields.items():
            name = field.alias or attribute
            child = self.convert(source["properties"][name])
            child["description"] = describe(model, attribute)
            if self._defaults and _is_model(field.default_factory):
                child["default"] = {}
            _guard(node, name, child)
            node["properties"][name] = _ordered(child)
        return _ordered(node)

    def convert(self, source: JsonSchema) -> JsonSchema:
        node = self._resolve(source)
        if (values := node.pop("additionalProperties", None)) not in (None, False, True):
            node["additionalProperties"] = self.convert(values)
        if "items" in node:
            node["items"] = self.convert(node["items"])
        if "const" in node:
            node["enum"] = [node.pop("const")]
        node.pop("title", None)
        if not self._defaults or node.get("default", ...) is None or node.get("default") in ([], {}):
            node.pop("default", None)
        if unknown := set(node) - {*_KEPT, *_CHILDREN, _IMMUTABLE}:
            raise ValueError(f"no Kubernetes schema for {', '.join(sorted(unknown))} in {source}")
        return _ordered(node)

    def _resolve(self, source: JsonSchema) -> JsonSchema:
        """The node with its reference inlined and its null branch gone. What stands next to them is added."""
        node = dict(source)
        if reference := node.pop("$ref", None):
            return _merge(self._definition(reference.rsplit("/", 1)[-1]), node)
        if branches := node.pop("anyOf", None):
            (branch,) = (branch for branch in branches if branch != {"type": "null"})
            return _merge(self._resolve(branch), node)
        return node

    def _definition(self, name: str) -> JsonSchema:
        if name in self._open:
            raise ValueError(f"{name} contains itself, which a structural schema cannot say")
        model = models().get(name)
        self._open.append(name)
        try:
            return self.model(model, self._definitions[name]) if model else self.convert(self._definitions[name])
        finally:
            self._open.pop()


def _merge(inner: JsonSchema, outer: JsonSchema) -> JsonSchema:
    rules = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
    return inner | outer | ({VALIDATIONS: rules} if rules else {})


def _guard(parent: JsonSchema, name: str, child: JsonSchema) -> None:
    """Transition rules are skipped when a field comes or goes, so the parent must refuse that."""
    why = child.pop(_IMMUTABLE, None)
    if why is not None and name not in parent.get("required", []) and "default" not in child:
        rule = f"has(self.{name}) == has(oldSelf.{name})"
        CEL(rule, f"must not be added or removed: {why}", Reason.FORBIDDEN, f".{name}").apply(parent)


def _ordered(node: JsonSchema) -> JsonSchema:
    order = (*_KEPT, *_CHILDREN, _IMMUTABLE)
    if VALIDATIONS in node:
        node[VALIDATIONS] = [{key: rule[key] for key in _RULE if key in rule} for rule in node[VALIDATIONS]]
    return {key: node[key] for key in order if key in node}


def _is_model(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, Model)


# --- descriptions ----------------------------------------------------------------------------------------------------


def models() -> dict[str, type[Model]]:
    """Every model of the API by its name."""
    return {model.__name__: model for model in _descendants(Model)}


def summary(model: type[Model]) -> str:
    """What a model is, in one paragraph."""
    return " ".join((model.__doc__ or "").split())


def describe(model: type[Model], attribute: str) -> str:
    """What a field is: the docstring below it, in the model or in the one that it inherits the field from."""
    for owner in model.__mro__:
        text = _docstrings(owner.__module__).get((owner.__qualname__, attribute)) if issubclass(owner, Model) else None
        if text:
            return text
    raise ValueError(f"{model.__name__}.{attribute} has no description")


def _descendants(model: type[Model]) -> Iterator[type[Model]]:
    for child in model.__subclasses__():
        yield child
        yield from _descendants(child)


@cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    """The strings that stand below annotated assignments, by class and attribute. Read here, so that importing the models costs nothing."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {(owner.name, attribute): text for owner in classes for attribute, text in _described(owner.body)}


def _described(body: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=attribute)), ast.Expr(value=ast.Constant(value=str(words))):
                yield attribute, " ".join(words.split())
