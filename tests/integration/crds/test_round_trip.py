"""A status in which every field is set: the models write it, the API server takes it field by field, both give it back the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.integration.crds.cases import cluster, connection, run, secret
from tests.integration.crds.objects import Objects
from tests.unit.api.lint import Node

from keyturn.api import AWSConnection, ClusterAWSConnection, Kind, RotatingSecret, RotationRun
from keyturn.api.crd import schema

TIME = "2026-11-21T12:00:00Z"
WORDS = ("a", "Ready")
CASES = [(RotatingSecret, secret()), (RotationRun, run()), (AWSConnection, connection()), (ClusterAWSConnection, cluster())]


def filled(node: Node) -> Any:
    """A value for the node with everything in it that may be."""
    match node["type"]:
        case "object":
            return {name: filled(child) for name, child in node["properties"].items()}
        case "array":
            return [filled(node["items"])]
        case "integer":
            return min(node["maximum"], node["minimum"] + 1)
        case "boolean":
            return True
    if node.get("format") == "date-time":
        return TIME
    return node["enum"][-1] if "enum" in node else next(word for word in WORDS if re.search(node.get("pattern", ""), word))


@pytest.mark.parametrize(("kind", "spec"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_a_full_status_is_kept_by_the_model_and_by_the_api_server(kind: type[Kind], spec: dict[str, Any], objects: Objects) -> None:
    status = filled(schema(kind)["properties"]["status"])
    assert kind.model_validate({"spec": spec, "status": status}).to_dict()["status"] == status
    objects.create(kind.__name__, objects.namespace, spec)
    assert objects.write_status(kind.__name__, objects.namespace, status)["status"] == status
