"""The API reference in Markdown, written from the CRDs themselves: what it says is what the API server enforces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .meta import DURATION_PATTERN, JsonSchema

_INTRODUCTION = """# API reference: `keyturn.dev/v1alpha1`

Generated from the models in `operator/keyturn/api`; do not edit. `kubectl explain rotatingsecret.spec` says the same in a terminal.

Durations are written as `90s`, `10m` or `1h30m`. Times are RFC 3339. Fields with a default show it in the stored object.
"""


def reference(documents: list[dict[str, Any]]) -> str:
    """One section for each kind: its fields, its rules, its columns."""
    return "\n".join([_INTRODUCTION, *(_kind(content["spec"]) for content in documents)])


def _kind(definition: dict[str, Any]) -> str:
    version = definition["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    names = definition["names"]
    parts = [
        f"## {names['kind']}",
        schema["description"],
        f"Scope: {definition['scope'].lower()}. Short name: `{names['shortNames'][0]}`. Category: `{names['categories'][0]}`."
        + _selectable(version),
        "### Spec",
        _table(schema["properties"]["spec"], "spec", defaults=True),
        *_rules(schema),
        "### Status",
        _table(schema["properties"]["status"], "status", defaults=False),
    ]
    return "\n\n".join(parts) + "\n"


def _selectable(version: dict[str, Any]) -> str:
    fields = ", ".join(f"`{field['jsonPath'][1:]}`" for field in version.get("selectableFields", []))
    return f" Selectable fields: {fields}." if fields else ""


def _table(schema: JsonSchema, root: str, *, defaults: bool) -> str:
    head = (
        ["| Field | Type | Default | Description |", "|---|---|---|---|"]
        if defaults
        else ["| Field | Type | Description |", "|---|---|---|"]
    )
    rows = []
    for path, node, required in _fields(schema, root):
        cells = [f"`{path}`" + (" (required)" if required and defaults else ""), _type(node)]
        if defaults:
            cells.append(_default(node))
        rows.append("| " + " | ".join([*cells, node["description"].replace("|", "\\|")]) + " |")
    return "\n".join([*head, *rows])


def _fields(schema: JsonSchema, path: str) -> Iterator[tuple[str, JsonSchema, bool]]:
    for name, node in schema.get("properties", {}).items():
        below = f"{path}.{name}"
        yield below, node, name in schema.get("required", [])
        yield from _fields(node, below)
        yield from _fields(node.get("items", {}), f"{below}[]")


def _type(node: JsonSchema) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    match node["type"]:
        case "array":
            return f"list of {_type(node['items'])}, at most {node['maxItems']}"
        case "object" if "additionalProperties" in node:
            return f"map of {_type(node['additionalProperties'])}, at most {node['maxProperties']}"
        case "string":
            return "duration" if node.get("pattern") == DURATION_PATTERN else "time" if node.get("format") == "date-time" else "string"
        case "integer" if "int32" in node.get("format", "") and node["maximum"] < 2**31 - 1:
            return f"integer, {node['minimum']} to {node['maximum']}"
        case other:
            return str(other)


def _default(node: JsonSchema) -> str:
    default = node.get("default")
    if default in (None, {}):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _rules(schema: JsonSchema) -> list[str]:
    rules = [*_rules_of(schema["properties"]["spec"], "spec")]
    return ["### What the API server refuses", "\n".join(rules)] if rules else []


def _rules_of(node: JsonSchema, path: str) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", []):
        yield f"- `{path}{rule.get('fieldPath', '')}` {rule['message']}."
    for name, child in node.get("properties", {}).items():
        yield from _rules_of(child, f"{path}.{name}")
    if "items" in node:
        yield from _rules_of(node["items"], f"{path}[]")
