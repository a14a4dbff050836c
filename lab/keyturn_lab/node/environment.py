"""The environment variables of a container, resolved once at its start as kubelet does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from keyturn_lab.node.api import Json
from keyturn_lab.node.cache import Kind
from keyturn_lab.node.references import References


async def environment_of(container: Json, references: References, base: Mapping[str, str]) -> dict[str, str]:
    """`base`, then envFrom, then env, each over the ones before. Raises Missing while something that it needs is not there."""
    result = dict(base)
    for source in container.get("envFrom") or []:
        kind, reference = _reference(source, "secretRef", "configMapRef")
        data = await references.data(kind, reference["name"], optional=bool(reference.get("optional")))
        result |= {source.get("prefix", "") + key: os.fsdecode(content) for key, content in data.items()}
    for variable in container.get("env") or []:
        value = await _value(variable, references, result)
        if value is not None:
            result[variable["name"]] = value
    return result


async def _value(variable: Json, references: References, so_far: Mapping[str, str]) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), so_far)
    if "fieldRef" in source:
        return references.field(source["fieldRef"]["fieldPath"])
    kind, reference = _reference(source, "secretKeyRef", "configMapKeyRef")
    content = await references.value(kind, reference["name"], reference["key"], optional=bool(reference.get("optional")))
    return None if content is None else os.fsdecode(content)


def _reference(source: Json, secret: str, config: str) -> tuple[Kind, Json]:
    return ("secrets", source[secret]) if secret in source else ("configmaps", source[config])


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` -> its value, `$$` -> `$`; unknown names stay as they are."""
    return re.sub(r"\$\$|\$\(([\w.-]+)\)", lambda found: "$" if found[0] == "$$" else environment.get(found[1], found[0]), text)
