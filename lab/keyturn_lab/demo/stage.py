"""The world of the demo: a cluster with a node, AWS, PostgreSQL, the rotation function, and the operator installed from its Helm chart."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from keyturn_lab import helm
from keyturn_lab.apps.scoreboard import Scoreboard
from keyturn_lab.aws import Aws
from keyturn_lab.backends.postgres import Postgres
from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.node import Node
from keyturn_lab.patience import Patience
from keyturn_rotators.package import build

ROOT = Path(__file__).parents[3]
NAMESPACE, SECRET, OPERATOR = "shop", "orders-db", "keyturn-system"
SECRET_ID = f"{NAMESPACE}/{SECRET}"
USER, ADMIN = "orders", "rotation_admin"
PATIENCE = 90.0  # seconds for each thing that must come up

Say = Callable[[str], None]


class DemoError(RuntimeError):
    """The demo's world did not come up, or the rotation did not end well."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the demo plays on."""

    plane: ControlPlane
    aws: Aws
    postgres: Postgres
    board: Scoreboard

    def get(self, path: str) -> dict[str, Any]:
        """An object or a list of the API server."""
        return self.plane.client.request("GET", path)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST an object."""
        return self.plane.client.request("POST", path, body)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something of the cluster."""
        patience = Patience(PATIENCE)
        while not _holds(condition):
            if patience.over:
                raise DemoError(f"{what} did not happen within {PATIENCE:.0f} s; the logs are in {self.plane.directory}")
            time.sleep(0.2)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (ApiError, KeyError, IndexError, StopIteration):
        return False


@contextmanager
def stage(say: Say) -> Iterator[Stage]:
    """Bring everything up, part by part; everything ends when the block is left."""
    with ExitStack() as stack:
        say("starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler")
        plane = stack.enter_context(ControlPlane(log=say))
        say("starting AWS (Secrets Manager, Lambda, STS) and PostgreSQL")
        aws, postgres = stack.enter_context(Aws(region="eu-west-1")), stack.enter_context(Postgres())
        board = stack.enter_context(Scoreboard())
        images = {"keyturn": [], "postgres-client": [sys.executable, "-m", "keyturn_lab.apps.postgres_client"]}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        env = {"SCOREBOARD_URL": board.url, "PATH": path, "PYTHONSAFEPATH": "1"}
        stack.enter_context(Node(plane, images=images, env=env))
        made = Stage(plane=plane, aws=aws, postgres=postgres, board=board)
        _make_secret(made, say)
        _install_operator(made, say)
        yield made


def _make_secret(stage: Stage, say: Say) -> None:
    """A database user, its secret in AWS's own format, and the rotation function from its real zip."""
    say(f"creating the database user {USER}, its secret {SECRET_ID} and the rotation function")
    password, admin_password = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    stage.postgres.create_app_user(USER, password)
    stage.postgres.create_admin(ADMIN, admin_password, rotates=(USER,))
    manager = stage.aws.client("secretsmanager")
    admin = manager.create_secret(Name="dba/admin", SecretString=json.dumps(stage.postgres.secret(ADMIN, admin_password)))
    content = stage.postgres.secret(USER, password, masterarn=admin["ARN"])
    manager.create_secret(Name=SECRET_ID, SecretString=json.dumps(content))
    with tempfile.TemporaryDirectory() as directory:
        code = Path(directory) / "rotator.zip"
        code.write_bytes(build("postgres"))
        function = stage.aws.register_function("rotate-postgres", code, handler="keyturn_rotators.lambda_handler.handler")
    manager.rotate_secret(
        SecretId=SECRET_ID, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 365}, RotateImmediately=False
    )


def _install_operator(stage: Stage, say: Say) -> None:
    say("installing the operator from charts/keyturn: two pods, one leader")
    values = {
        "image": {"repository": "keyturn"},
        "aws": {"region": "eu-west-1"},
        "connection": {"pollInterval": "10s"},
        "settings": {"marginSeconds": 2, "leaseSeconds": 5, "logFormat": "text"},
        "extraEnv": [{"name": name, "value": value} for name, value in stage.aws.environment.items() if name != "AWS_REGION"],
    }
    helm.install(stage.plane.kubeconfig, "keyturn", OPERATOR, values, ROOT / "charts" / "keyturn")
    deployment = f"/apis/apps/v1/namespaces/{OPERATOR}/deployments/keyturn"
    stage.until(lambda: stage.get(deployment)["status"].get("readyReplicas", 0) == 2, "the operator's start")


def apply_examples(stage: Stage, say: Say) -> None:
    """The namespace, the RotatingSecret and the workloads, as a user would apply them; returns once every pod is ready."""
    say("applying examples/postgres: a RotatingSecret, and two Deployments that use its Secret")
    stage.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    stage.until(lambda: bool(stage.get(path)), "the namespace's service account")
    for name in ("orders-db.yaml", "workloads.yaml"):
        stage.plane.kubectl("apply", "-f", str(ROOT / "examples" / "postgres" / name))
    workloads = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    stage.until(
        lambda: all(item["status"].get("readyReplicas", 0) == item["spec"]["replicas"] for item in stage.get(workloads)["items"]),
        "the start of the workloads",
    )


def rotate_now(stage: Stage) -> str:
    """Create the RotationRun of the examples; answers its name."""
    body = yaml.safe_load((ROOT / "examples" / "postgres" / "rotate-now.yaml").read_text())
    made = stage.create(f"/apis/keyturn.dev/v1alpha1/namespaces/{NAMESPACE}/rotationruns", body)
    return str(made["metadata"]["name"])
