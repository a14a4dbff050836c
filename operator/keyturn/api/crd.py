"""The CustomResourceDefinitions and the API reference, generated from the models.

    python -m keyturn.api.crd                      print the CRDs
    python -m keyturn.api.crd --write crds         one file for each
    python -m keyturn.api.crd --reference FILE     the reference in Markdown

Generation is deterministic; what is committed is compared with it by a test.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from . import KINDS
from .meta import GROUP, VERSION, JsonSchema, Kind, Model, PrinterColumn
from .reference import reference
from .structural import describe, structural, summary

HEADER = "# Generated from operator/keyturn/api by `python -m keyturn.api.crd --write crds`. Do not edit.\n"
_API_VERSION = "The version of the schema that this object is written in."
_KIND = "The kind of the object."


def documents() -> list[dict[str, Any]]:
    """All CustomResourceDefinitions, ready to be sent to an API server."""
    return [document(kind) for kind in KINDS]


def document(kind: type[Kind]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    resource = kind.resource
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.singular,
        "shortNames": [resource.short_name],
        "categories": ["keyturn"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.crd_name},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [_version(kind)],
        },
    }


def _version(kind: type[Kind]) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.resource.columns],
    }
    if kind.resource.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.resource.selectable]
    return version | {"schema": {"openAPIV3Schema": schema(kind)}}


def _column(column: PrinterColumn) -> dict[str, Any]:
    entry = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return entry | ({"priority": 1} if column.wide else {})


def schema(kind: type[Kind]) -> JsonSchema:
    """The whole object. Of metadata, a CRD may say no more than what a name looks like."""
    metadata: JsonSchema = {"type": "object"}
    if kind.resource.name_limit:
        metadata["properties"] = {"name": {"type": "string", "maxLength": kind.resource.name_limit}}
    return {
        "description": summary(kind),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string", "maxLength": 64},
            "kind": {"description": _KIND, "type": "string", "maxLength": 64},
            "metadata": metadata,
            "spec": _part(kind, "spec", defaults=True),
            "status": _part(kind, "status", defaults=False),
        },
    }


def _part(kind: type[Kind], name: str, *, defaults: bool) -> JsonSchema:
    model = kind.model_fields[name].annotation
    if not (isinstance(model, type) and issubclass(model, Model)):
        raise TypeError(f"{kind.__name__}.{name} must be one model")
    return structural(model, defaults=defaults) | {"description": describe(kind, name)}


class _Dumper(yaml.SafeDumper):
    """No anchors: a CRD is read by people too."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(content: dict[str, Any]) -> str:
    """One document as it is committed."""
    return HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def files() -> dict[str, str]:
    """What is committed in `crds/`: file name and content."""
    return {f"{content['metadata']['name']}.yaml": to_yaml(content) for content in documents()}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m keyturn.api.crd", description="Generate the CRDs and the API reference.")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write one file for each CRD into DIR")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="write the API reference into FILE")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        chosen.write.mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (chosen.write / name).write_text(content)
    if chosen.reference:
        chosen.reference.parent.mkdir(parents=True, exist_ok=True)
        chosen.reference.write_text(reference(documents()))
    if not (chosen.write or chosen.reference):
        sys.stdout.write("---\n".join(files().values()))


if __name__ == "__main__":
    main()
