"""A CloudFormation template as it is with given parameters: just the functions that ours uses, and an error for any other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

NOTHING = object()
"""AWS::NoValue: whatever holds it goes without it."""

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": NOTHING,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::URLSuffix": "amazonaws.com",
}


class Loader(yaml.SafeLoader):
    """Short forms (`!Sub text`) become long ones (`{"Fn::Sub": "text"}`), as CloudFormation reads them."""


def _long(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            text = loader.construct_scalar(node)
            value: Any = text.split(".", 1) if suffix == "GetAtt" else text
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            raise ValueError(f"!{suffix} of a mapping is not understood")
    return {"Ref" if suffix == "Ref" else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _long)


def document(path: Path) -> dict[str, Any]:
    """A template as CloudFormation reads it, nothing computed."""
    found: dict[str, Any] = yaml.load(path.read_text(), Loader)  # a safe loader with tags of its own
    return found


class Template:
    """One template with its parameters. `attributes` are what Fn::GetAtt gives; `pseudo` overrides the account and the Region."""

    def __init__(
        self, source: Path | dict[str, Any], *, attributes: Mapping[str, str], pseudo: Mapping[str, str] | None = None, **parameters: Any
    ) -> None:
        self.document = document(source) if isinstance(source, Path) else source
        defaults = {name: self._default(one) for name, one in self.document["Parameters"].items() if "Default" in one}
        self._values: dict[str, Any] = {**PSEUDO, **(pseudo or {}), **defaults, **parameters}
        self._attributes = attributes
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": lambda name: name if name in self.document["Resources"] else self._values[name],
            "Fn::Sub": lambda text: re.sub(r"\$\{([^}]+)\}", lambda found: str(self._values[found[1]]), text),
            "Fn::GetAtt": lambda parts: self._attributes[".".join(parts)],
            "Fn::Join": lambda given: str(given[0]).join(self.resolved(given[1])),
            "Fn::Equals": lambda given: self.resolved(given[0]) == self.resolved(given[1]),
            "Fn::Not": lambda given: not self.resolved(given[0]),
            "Fn::If": lambda given: self.resolved(given[1] if self.holds(given[0]) else given[2]),
        }

    @staticmethod
    def _default(parameter: Mapping[str, Any]) -> Any:
        listed = parameter["Type"] == "CommaDelimitedList"
        return [part for part in parameter["Default"].split(",") if part] if listed else parameter["Default"]

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is met."""
        return bool(self.resolved(self.document["Conditions"][condition]))

    def properties(self, resource: str) -> dict[str, Any]:
        """A resource's properties, all functions resolved."""
        found: dict[str, Any] = self.resolved(self.document["Resources"][resource]["Properties"])
        return found

    def resolved(self, value: Any) -> Any:
        """The value with nothing left to compute."""
        match value:
            case dict() if len(value) == 1 and (name := next(iter(value))) in self._functions:
                return self._functions[name](value[name])
            case dict() if any(str(name).startswith("Fn::") for name in value):
                raise ValueError(f"{', '.join(value)} is not understood")
            case dict():
                pairs = ((name, self.resolved(inner)) for name, inner in value.items())
                return {name: inner for name, inner in pairs if inner is not NOTHING}
            case list():
                return [inner for one in value if (inner := self.resolved(one)) is not NOTHING]
            case _:
                return value
