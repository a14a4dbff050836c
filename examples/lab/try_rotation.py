"""Does my application survive a rotation? A copy of this, with your program, answers it in CI: exit code 0 if no login failed."""

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from keyturn_lab import helm
from keyturn_lab.apps.scoreboard import Scoreboard
from keyturn_lab.aws import Aws
from keyturn_lab.backends import Postgres
from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node
from keyturn_rotators.package import build

CHECKOUT = Path(__file__).parents[2]
MANIFESTS = CHECKOUT / "examples" / "postgres"
MY_APP = [sys.executable, "-m", "keyturn_lab.apps.postgres_client"]  # the program that stands for the Deployments' image


def make_secret(aws: Aws, postgres: Postgres) -> None:
    """A database user, its secret in AWS's format, and the rotation function from its real zip."""
    postgres.create_app_user("orders", "first-password")
    postgres.create_admin("rotation_admin", "admin-password", rotates=("orders",))
    manager = aws.client("secretsmanager")
    admin = manager.create_secret(Name="dba/admin", SecretString=json.dumps(postgres.secret("rotation_admin", "admin-password")))
    value = postgres.secret("orders", "first-password", masterarn=admin["ARN"])
    manager.create_secret(Name="shop/orders-db", SecretString=json.dumps(value))
    with tempfile.NamedTemporaryFile(suffix=".zip") as code:
        Path(code.name).write_bytes(build("postgres"))
        function = aws.register_function("rotate-postgres", Path(code.name), handler="keyturn_rotators.lambda_handler.handler")
    manager.rotate_secret(
        SecretId="shop/orders-db",
        RotationLambdaARN=function,
        RotationRules={"AutomaticallyAfterDays": 365},
        RotateImmediately=False,
    )


def install_operator(plane: ControlPlane, aws: Aws) -> None:
    """The chart, with the lab's AWS in its environment; returns once the operator is ready."""
    values = {
        "image": {"repository": "keyturn"},
        "aws": {"region": "eu-west-1"},
        "connection": {"pollInterval": "10s"},
        "extraEnv": [{"name": name, "value": value} for name, value in aws.environment.items() if name != "AWS_REGION"],
    }
    helm.install(plane.kubeconfig, "keyturn", "keyturn-system", values, CHECKOUT / "charts" / "keyturn", wait=True)


def main() -> int:
    """Rotate once, and count the failed logins."""
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane())
        aws, postgres = stack.enter_context(Aws(region="eu-west-1")), stack.enter_context(Postgres())
        board = stack.enter_context(Scoreboard())
        env = {"SCOREBOARD_URL": board.url, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        stack.enter_context(Node(plane, images={"keyturn": [], "postgres-client": MY_APP}, env=env))
        make_secret(aws, postgres)
        install_operator(plane, aws)

        plane.kubectl("create", "namespace", "shop")
        plane.kubectl("apply", "-f", str(MANIFESTS / "orders-db.yaml"), "-f", str(MANIFESTS / "workloads.yaml"))
        plane.kubectl("-n", "shop", "wait", "deployment", "--all", "--for=condition=Available", "--timeout=90s", timeout=100)
        run = plane.kubectl("create", "-f", str(MANIFESTS / "rotate-now.yaml"), "-o", "name").stdout.strip()
        plane.kubectl("-n", "shop", "wait", run, "--for=condition=Complete", "--timeout=180s", timeout=190)

        scores = board.totals().values()
        failures, successes = sum(score["failures"] for score in scores), sum(score["successes"] for score in scores)
    print(f"logins: {successes} good, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
