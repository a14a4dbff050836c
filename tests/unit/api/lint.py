"""What Kubernetes and its conventions ask of a CRD and no general validator checks.

Structural, every string, list, map and number bounded, lists with a merge strategy, everything described, columns and
selectable fields that exist, rules whose messages read as sentences after a field's path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Node = dict[str, Any]
Check = Callable[[Node], Iterator[str]]

VALIDATIONS = "x-kubernetes-validations"
TYPES = {"object", "array", "string", "integer", "boolean"}
ALLOWED = {
    *("description", "type", "format", "enum", "default", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems"),
    *("maxItems", "minProperties", "maxProperties", "required", "properties", "items", "additionalProperties"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", VALIDATIONS),
}
YAML_BOOLEANS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
NOT_IN_RE2 = re.compile(r"\(\?[=!<]|\(\?P=|\\[1-9]|[*+?}]\+")
NATIVE_DESCRIPTIONS = {"metadata", "metadata.name"}


def lint(crd: Node) -> list[str]:
    """What is wrong with the CRD, each with the path of the field."""
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    nodes = [f"{path or '.'}: {complaint}" for path, node in walk(schema) for check in _CHECKS for complaint in check(node)]
    named = [f"{path}: {complaint}" for path, node in walk(schema) for complaint in _names(path, node)]
    return [*nodes, *named, *_status(schema), *_paths(version, schema)]


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node of the schema with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}".lstrip("."))
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], path + suffix)


def _keywords(node: Node) -> Iterator[str]:
    for keyword in sorted(set(node) - ALLOWED):
        yield f"{keyword} is not for structural schemas"
    if node.get("type") not in TYPES:
        yield f"type {node.get('type')} is not allowed"


def _strings(node: Node) -> Iterator[str]:
    if node.get("type") != "string":
        return
    if "maxLength" not in node and "enum" not in node and node.get("format") != "date-time":
        yield "a string without maxLength"
    if NOT_IN_RE2.search(node.get("pattern", "")):
        yield "a pattern that RE2 does not know"
    for value in node.get("enum", []):
        if not re.fullmatch(r"([A-Z]+[a-z0-9]*)+|kubernetes\.io/[a-z-]+", value):
            yield f"the enum value {value} is not CamelCase"


def _numbers(node: Node) -> Iterator[str]:
    if node.get("type") == "integer" and not ({"minimum", "maximum"} <= set(node) and node.get("format") in ("int32", "int64")):
        yield "an integer without minimum, maximum or format"


def _lists(node: Node) -> Iterator[str]:
    if node.get("type") != "array":
        return
    if "maxItems" not in node or "items" not in node:
        yield "a list without maxItems or items"
        return
    items = node["items"]
    match node.get("x-kubernetes-list-type"):
        case "map":
            for key in node.get("x-kubernetes-list-map-keys") or ["(none)"]:
                if key not in items.get("required", []) and "default" not in items.get("properties", {}).get(key, {}):
                    yield f"the map key {key} is neither required nor defaulted"
        case "set" if items.get("type") in ("object", "array"):
            yield "a set of what is not scalar"
        case None:
            yield "a list without list type"


def _objects(node: Node) -> Iterator[str]:
    if node.get("type") != "object":
        return
    if "additionalProperties" in node:
        if "properties" in node or not isinstance(node["additionalProperties"], dict):
            yield "additionalProperties next to properties, or without a schema"
        if "maxProperties" not in node:
            yield "a map without maxProperties"
    for name in node.get("required", []):
        if name not in node.get("properties", {}):
            yield f"{name} is required and does not exist"
        elif "default" in node["properties"][name]:
            yield f"{name} is required and has a default"


def _rules(node: Node) -> Iterator[str]:
    for rule in node.get(VALIDATIONS, []):
        if not re.match(r"must (not )?[a-z.]", rule.get("message", "")) or rule["message"].endswith("..."):
            yield f"the message {rule.get('message')!r} does not say must or must not"
        if not rule.get("reason", "").startswith("FieldValue"):
            yield "a rule without reason"
        if "fieldPath" in rule and rule["fieldPath"].lstrip(".") not in node.get("properties", {}):
            yield f"a rule whose fieldPath {rule['fieldPath']} does not exist"


_CHECKS: tuple[Check, ...] = (_keywords, _strings, _numbers, _lists, _objects, _rules)


def _names(path: str, node: Node) -> Iterator[str]:
    name = path.rsplit(".", 1)[-1].rstrip("[]{}")
    if name and not re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
        yield "the name is not camelCase"
    if name.lower() in YAML_BOOLEANS:
        yield "YAML 1.1 reads the name as a boolean"
    if path not in NATIVE_DESCRIPTIONS and not path.endswith(("[]", "{}")) and not _is_sentence(node.get("description", "")):
        yield "no description that ends like a sentence"


def _is_sentence(text: str) -> bool:
    return len(text) > 8 and text[-1] in '.")' and text[0].isupper()


def _status(schema: Node) -> Iterator[str]:
    for path, node in walk(schema["properties"]["status"], "status"):
        if "default" in node:
            yield f"{path}: a default in status"


def _paths(version: Node, schema: Node) -> Iterator[str]:
    selectable = version.get("selectableFields", [])
    if len(selectable) > 8:
        yield "more than 8 selectable fields"
    for field in selectable:
        if (_find(schema, field["jsonPath"]) or {}).get("type") not in ("string", "integer", "boolean"):
            yield f"the selectable field {field['jsonPath']} does not exist or is not scalar"
    for column in version["additionalPrinterColumns"]:
        node = _find(schema, column["jsonPath"])
        if node is None:
            yield f"the column {column['name']} shows {column['jsonPath']}, which does not exist"
        elif column["type"] != ("date" if node.get("format") == "date-time" else node["type"]):
            yield f"the column {column['name']} is a {column['type']}, its field is not"


def _find(schema: Node, path: str) -> Node | None:
    if path == ".metadata.creationTimestamp":
        return {"type": "string", "format": "date-time"}
    node: Node | None = schema
    for step in re.sub(r"\[\?\(.*?\)\]", ".[]", path).lstrip(".").split("."):
        node = (node or {}).get("items") if step == "[]" else (node or {}).get("properties", {}).get(step)
    return node
