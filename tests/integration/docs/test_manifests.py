"""Every manifest that a page or an example shows is one that the API server takes, down to the last field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.docs import ROOT, blocks, examples
from tests.support.kube import Kube

from keyturn.api import RotatingSecretSpec
from keyturn_lab.controlplane import ControlPlane

Json = dict[str, Any]
SPEC = frozenset(field.alias for field in RotatingSecretSpec.model_fields.values() if field.alias)
TEST_DATA = sorted((ROOT / "examples" / "gitops" / "argo-cd").rglob("testdata/*.yaml"))


def whole(document: Any) -> Json | None:
    """The object of a manifest; of a part of a RotatingSecret, one that has that part; else None."""
    if not isinstance(document, dict):
        return None
    if "kind" in document and "apiVersion" in document:
        return document
    part = document["spec"] if document.keys() == {"spec"} else document
    if not part.keys() <= SPEC:
        return None
    spec = {"secretId": "shop/orders-db"} | part
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "metadata": {"name": "orders-db"}, "spec": spec}


def shown() -> list[Any]:
    """Every object that is shown, with the place where."""
    texts = [(str(block), block.code) for block in blocks("yaml")]
    texts += [(str(path.relative_to(ROOT)), path.read_text()) for path in examples()]
    found = [(place, whole(document)) for place, text in texts for document in yaml.safe_load_all(text)]
    return [pytest.param(item, id=f"{place} {item['kind']}") for place, item in found if item is not None]


def dry_run(plane: ControlPlane, namespace: str, item: Json) -> str:
    """What kubectl says of it; RuntimeError where the API server refuses, unknown and repeated fields included."""
    item = item | {"metadata": item["metadata"] | {"namespace": namespace}}
    verb = ("create",) if "generateName" in item["metadata"] else ("apply", "--server-side")
    options = ("--dry-run=server", "--validate=strict", "--filename=-", f"--namespace={namespace}")
    return plane.kubectl(*verb, *options, input=yaml.safe_dump(item)).stdout


@pytest.mark.parametrize("item", shown())
def test_the_api_server_takes_it(installed: ControlPlane, namespace: str, item: Json) -> None:
    assert "server dry run" in dry_run(installed, namespace, item)


def test_a_field_that_does_not_exist_is_refused(installed: ControlPlane, namespace: str) -> None:
    item = whole({"rollout": {"patience": "10m"}})
    assert item is not None
    with pytest.raises(RuntimeError, match="patience"):
        dry_run(installed, namespace, item)


def test_parts_and_manifests_of_all_our_kinds_are_among_what_is_shown() -> None:
    kinds = [param.values[0]["kind"] for param in shown()]
    assert {"RotatingSecret", "RotationRun", "ClusterAWSConnection", "AWSConnection", "Deployment"} <= set(kinds)
    assert kinds.count("RotatingSecret") > 8


@pytest.mark.parametrize("path", TEST_DATA, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_the_test_data_of_argo_cd_fit_the_schema_status_included(installed: ControlPlane, namespace: str, path: Path) -> None:
    item, kube = yaml.safe_load(path.read_text()), Kube(installed.client, namespace)
    kind, name = item["kind"], item["metadata"]["name"]
    kube.create(item | {"metadata": {"name": name}})
    stored = kube.patch(kind, name, {"status": item.get("status", {})}, subresource="status?fieldValidation=Strict")
    assert stored.get("status", {}) == item.get("status", {})
