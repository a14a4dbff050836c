"""The kinds as a user meets them in kubectl: explain, columns, defaults, dry runs, selectors, waiting."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.integration.crds.objects import Objects
from tests.support.eventually import wait_until
from tests.support.kstatus import check_conditions, kstatus
from tests.unit.api.lint import walk

from keyturn.api import KINDS, ConditionStatus, RotatingSecret, RotationRun
from keyturn.api.crd import schema
from keyturn_lab.controlplane import ControlPlane

SMALLEST = {
    "apiVersion": "keyturn.dev/v1alpha1",
    "kind": "RotatingSecret",
    "metadata": {"name": "orders-db"},
    "spec": {"secretId": "shop/orders/db"},
}
FAR_PAST = "2000-01-01T00:00:00Z"
OBJECTS = [
    pytest.param(kind.resource.kind, path, id=f"{kind.resource.kind}.{path}")
    for kind in KINDS
    for path, node in walk(schema(kind))
    if node.get("properties") and path not in ("", "metadata") and not path.endswith("]")
]


def apply(plane: ControlPlane, namespace: str, body: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
    return plane.kubectl("apply", "-n", namespace, "-f", "-", *more, input=yaml.safe_dump(body), check=False)


def ready(generation: int, status: str = "True") -> dict[str, Any]:
    said = {"reason": "Mirrored", "message": "The Secret holds the current version.", "lastTransitionTime": FAR_PAST}
    return {"type": "Ready", "status": status, "observedGeneration": generation} | said


@pytest.fixture(scope="module")
def explaining(installed: ControlPlane) -> ControlPlane:
    """The API server publishes a new CRD's descriptions a moment after it serves it."""
    wait_until(
        lambda: all(installed.kubectl("explain", kind.resource.plural, check=False).returncode == 0 for kind in KINDS),
        what="kubectl explain knows the kinds",
    )
    return installed


@pytest.mark.parametrize(("kind", "path"), OBJECTS)
def test_kubectl_explain_describes_every_field(kind: str, path: str, explaining: ControlPlane) -> None:
    text = explaining.kubectl("explain", f"{kind}.{path.replace('[]', '')}").stdout
    assert "<no description>" not in text
    assert "FIELDS:" in text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kubectl_explain_recursive_lists_every_field(kind: Any, explaining: ControlPlane) -> None:
    text = explaining.kubectl("explain", kind.resource.plural, "--recursive").stdout
    names = {path.rsplit(".", 1)[-1] for path, _ in walk(schema(kind)) if path and path[-1] not in "]}"}
    assert {name for name in names if f"  {name}\t" not in text} == set()


def test_the_stored_object_shows_its_defaults(installed: ControlPlane, objects: Objects) -> None:
    assert apply(installed, objects.namespace, SMALLEST).returncode == 0
    stored = json.loads(installed.kubectl("get", "rsec", "orders-db", "-n", objects.namespace, "-o", "json").stdout)
    assert stored["spec"] == {
        "secretId": "shop/orders/db",
        "connectionRef": {"kind": "ClusterAWSConnection", "name": "default"},
        "target": {"type": "Opaque", "conflict": "Refuse"},
        "rollout": {"discovery": "References", "timeout": "10m", "soak": "0s"},
        "historyLimit": 10,
    }
    assert "status" not in stored


def test_the_defaults_of_the_models_are_those_of_the_api_server(objects: Objects) -> None:
    spec = {"secretId": "a", "rotation": {"schedule": {"every": "30d"}}, "rollout": {"workloads": [{"kind": "Deployment", "name": "api"}]}}
    stored = objects.send("RotatingSecret", "defaults", spec)
    assert RotatingSecret.model_validate({"spec": spec}).spec == RotatingSecret.model_validate({"spec": stored["spec"]}).spec
    run = {"secretRef": {"name": "a"}}
    assert objects.send("RotationRun", "defaults", run)["spec"] == RotationRun.model_validate({"spec": run}).spec.to_dict()


def test_a_server_side_dry_run_stores_nothing(installed: ControlPlane, objects: Objects) -> None:
    done = apply(installed, objects.namespace, SMALLEST, "--dry-run=server")
    assert "created (server dry run)" in done.stdout
    assert installed.kubectl("get", "rsec", "-n", objects.namespace, "-o", "name").stdout == ""


def test_kubectl_apply_prints_the_field_and_the_reason(installed: ControlPlane, objects: Objects) -> None:
    wrong = SMALLEST | {"spec": {"secretId": "shop/orders/db", "rotation": {"schedule": {"every": "1h"}}}}
    done = apply(installed, objects.namespace, wrong)
    assert done.returncode == 1
    assert "spec.rotation.schedule.every" in done.stderr
    assert "must be between 4h (AWS's own limit) and 1000d" in done.stderr


def test_kubectl_names_a_field_that_does_not_exist(installed: ControlPlane, objects: Objects) -> None:
    done = apply(installed, objects.namespace, SMALLEST | {"spec": {"secretId": "a", "retirement": {"policy": "Never"}}})
    assert 'unknown field "spec.retirement"' in done.stderr


def test_columns_of_a_rotating_secret(installed: ControlPlane, objects: Objects) -> None:
    created = objects.create("RotatingSecret", "orders-db", {"secretId": "shop/orders/db"})
    status = {
        "observedGeneration": 1,
        "conditions": [ready(created["metadata"]["generation"])],
        "mirror": {"secretName": "orders", "versionId": "0f1e2d3c", "epoch": 1, "time": FAR_PAST},
        "rotation": {"lastTime": FAR_PAST},
        "summary": {"version": "0f1e2d3c", "adopted": "7/7", "nextRotation": "2030-01-01"},
    }
    objects.write_status("RotatingSecret", "orders-db", status)
    head, row = installed.kubectl("get", "rsec", "-n", objects.namespace).stdout.splitlines()
    assert head.split() == ["NAME", "READY", "SECRET", "VERSION", "ADOPTED", "LAST", "ROTATED", "NEXT", "AGE"]
    assert row.split()[:5] == ["orders-db", "True", "orders", "0f1e2d3c", "7/7"]
    assert row.split()[5].endswith("y")
    assert row.split()[6] == "2030-01-01"
    wide = installed.kubectl("get", "rsec", "-n", objects.namespace, "-o", "wide").stdout
    assert "shop/orders/db   Mirrored   The Secret holds the current version." in wide


def test_columns_of_a_run(installed: ControlPlane, objects: Objects) -> None:
    objects.create("RotationRun", "now", {"secretRef": {"name": "orders-db"}, "reason": "laptop-lost"})
    objects.write_status(
        "RotationRun", "now", {"summary": {"step": "Rollout", "adopted": "3/7", "from": "aaa", "to": "bbb", "duration": "3m12s"}}
    )
    head, row = installed.kubectl("get", "rrun", "-n", objects.namespace).stdout.splitlines()
    assert head.split() == ["NAME", "SECRET", "TRIGGER", "STEP", "ADOPTED", "FROM", "TO", "DURATION", "AGE"]
    assert row.split()[:8] == ["now", "orders-db", "Manual", "Rollout", "3/7", "aaa", "bbb", "3m12s"]
    assert "laptop-lost" in installed.kubectl("get", "rrun", "-n", objects.namespace, "-o", "wide").stdout


@pytest.mark.parametrize(("kind", "name"), [("ClusterAWSConnection", "kcaws"), ("AWSConnection", "kaws")])
def test_columns_of_a_connection(kind: str, name: str, installed: ControlPlane, objects: Objects) -> None:
    auth = {"auth": {"staticCredentials": {"secretRef": {"name": "keys"}}}}
    objects.create(kind, objects.namespace, {"region": "eu-west-1"} | auth)
    objects.write_status(
        kind, objects.namespace, {"conditions": [ready(1)], "lastSuccessTime": FAR_PAST, "identity": "arn:aws:iam::1:user/x"}
    )
    head, row = installed.kubectl("get", name, objects.namespace, "-n", objects.namespace).stdout.splitlines()
    assert head.split() == ["NAME", "READY", "REGION", "LAST", "SUCCESS", "AGE"]
    assert row.split()[:3] == [objects.namespace, "True", "eu-west-1"]
    assert "arn:aws:iam::1:user/x" in installed.kubectl("get", name, "-n", objects.namespace, "-o", "wide").stdout


def test_the_category_shows_all_kinds_of_the_namespace(installed: ControlPlane, objects: Objects) -> None:
    objects.create("RotatingSecret", "orders-db", {"secretId": "shop/orders/db"})
    objects.create("RotationRun", "now", {"secretRef": {"name": "orders-db"}})
    names = installed.kubectl("get", "keyturn", "-n", objects.namespace, "-o", "name").stdout.split()
    assert {"rotatingsecret.keyturn.dev/orders-db", "rotationrun.keyturn.dev/now"} <= set(names)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("spec.secretId=shop/a", ["rotatingsecret.keyturn.dev/a"]),
        ("spec.connectionRef.name=other", ["rotatingsecret.keyturn.dev/b"]),
        ("spec.secretId=shop/c", []),
    ],
)
def test_rotating_secrets_are_found_by_field(selector: str, found: list[str], installed: ControlPlane, objects: Objects) -> None:
    objects.create("RotatingSecret", "a", {"secretId": "shop/a"})
    objects.create("RotatingSecret", "b", {"secretId": "shop/b", "connectionRef": {"name": "other"}})
    answer = installed.kubectl("get", "rsec", "-n", objects.namespace, "--field-selector", selector, "-o", "name")
    assert answer.stdout.split() == found


def test_runs_are_found_by_their_secret(installed: ControlPlane, objects: Objects) -> None:
    for name in ("a", "b"):
        objects.create("RotationRun", f"run-{name}", {"secretRef": {"name": name}})
    answer = installed.kubectl("get", "rrun", "-n", objects.namespace, "--field-selector", "spec.secretRef.name=a", "-o", "name")
    assert answer.stdout.split() == ["rotationrun.keyturn.dev/run-a"]


def test_kubectl_wait_is_not_deceived_by_a_ready_of_an_older_generation(installed: ControlPlane, objects: Objects) -> None:
    objects.create("RotatingSecret", "orders-db", {"secretId": "shop/orders/db"})
    objects.write_status("RotatingSecret", "orders-db", {"observedGeneration": 1, "conditions": [ready(1)]})
    wait = ("wait", "--for=condition=Ready", "rsec/orders-db", "-n", objects.namespace, "--timeout=0")
    assert installed.kubectl(*wait, check=False).returncode == 0
    edited = SMALLEST | {"spec": {"secretId": "shop/orders/db", "suspend": "Rotations"}}
    assert apply(installed, objects.namespace, edited).returncode == 0
    assert installed.kubectl(*wait, check=False).returncode == 1
    assert kstatus(objects.read("RotatingSecret", "orders-db")) == "InProgress"


def test_a_status_write_changes_neither_spec_nor_generation(objects: Objects) -> None:
    created = objects.create("RotatingSecret", "orders-db", {"secretId": "shop/orders/db"})
    written = objects.write_status("RotatingSecret", "orders-db", {"observedGeneration": 1, "conditions": [ready(1)]})
    assert (written["spec"], written["metadata"]["generation"]) == (created["spec"], 1)
    assert check_conditions(written) == []
    assert RotatingSecret.model_validate(written).status.conditions[0].status is ConditionStatus.TRUE
