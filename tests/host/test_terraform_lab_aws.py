"""Terraform against the lab's AWS: a secret, a rotation function from a zip, and a schedule; then a rotation runs.

Needs the programs that no language registry has: `terraform`, and the provider hashicorp/aws in a plugin directory (KEYTURN_TF_PLUGINS, or
one of the usual mirror directories).
"""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn_lab.aws import Aws

pytestmark = pytest.mark.host

ROTATOR = Path(__file__).parents[1] / "component" / "lab_aws" / "rotator.py"
PROVIDER = "registry.terraform.io/hashicorp/aws"
SERVICES = ("iam", "kms", "lambda", "secretsmanager", "sqs", "sts", "events")
MIRRORS = (
    "/opt/tf-plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    str(Path.home() / ".terraform.d/plugins"),
)

CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {}
variable "schedule" {}

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "lab-client"
  secret_key                  = "lab"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
ENDPOINTS
  }
}

resource "aws_iam_role" "rotator" {
  name = "terraform-rotator"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_lambda_function" "rotator" {
  function_name    = "terraform-rotator"
  role             = aws_iam_role.rotator.arn
  filename         = "rotator.zip"
  source_code_hash = filebase64sha256("rotator.zip")
  handler          = "rotator.handler"
  runtime          = "python3.11"
  timeout          = 30
  environment { variables = { GREETING = "hello" } }
}

resource "aws_secretsmanager_secret" "orders" {
  name                    = "terraform/orders"
  description             = "made by Terraform"
  recovery_window_in_days = 0
  tags                    = { team = "orders" }
}

resource "aws_secretsmanager_secret_version" "first" {
  secret_id     = aws_secretsmanager_secret.orders.id
  secret_string = jsonencode({ username = "app", password = "first" })
  lifecycle { ignore_changes = [secret_string, version_stages] }
}

resource "aws_lambda_permission" "secretsmanager" {
  statement_id  = "secretsmanager"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.rotator.function_name
  principal     = "secretsmanager.amazonaws.com"
  source_arn    = aws_secretsmanager_secret.orders.arn
}

resource "aws_secretsmanager_secret_rotation" "orders" {
  secret_id           = aws_secretsmanager_secret.orders.id
  rotation_lambda_arn = aws_lambda_function.rotator.arn
  rotate_immediately  = true
  rotation_rules {
    schedule_expression = var.schedule
    duration            = "3h"
  }
  depends_on = [aws_secretsmanager_secret_version.first, aws_lambda_permission.secretsmanager]
}
"""


def plugins() -> str:
    """The directory of provider mirrors; the test fails without one, for it is what this machine is here for."""
    given = os.environ.get("KEYTURN_TF_PLUGINS")
    for directory in [given] if given else MIRRORS:
        if (Path(directory) / PROVIDER).is_dir():
            return directory
    pytest.fail(f"no plugin directory with {PROVIDER}: set KEYTURN_TF_PLUGINS")


class Terraform:
    """Terraform in one working directory, talking to one lab."""

    def __init__(self, directory: Path, aws: Aws) -> None:
        program = shutil.which("terraform")
        if program is None:
            pytest.fail("terraform is not on the PATH")
        self._program, self._directory, self._aws = program, directory, aws
        endpoints = "\n".join(f"    {service} = var.endpoint" for service in SERVICES)
        (directory / "main.tf").write_text(CONFIGURATION.replace("ENDPOINTS", endpoints))
        with zipfile.ZipFile(directory / "rotator.zip", "w") as archive:
            archive.writestr("rotator.py", ROTATOR.read_text())
        self("init", "-input=false", f"-plugin-dir={plugins()}")

    def __call__(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """One command; its exit code and output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        environment |= {"AWS_EC2_METADATA_DISABLED": "true", "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "NO_PROXY": "127.0.0.1"}
        environment |= {"HOME": str(self._directory)}
        command = [self._program, *arguments, "-no-color"]
        done = subprocess.run(command, cwd=self._directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in expect, done.stdout + done.stderr
        return done.returncode, done.stdout

    def apply(self, schedule: str) -> None:
        """Make it so."""
        self("apply", "-auto-approve", "-input=false", *self.variables(schedule))

    def is_settled(self, schedule: str) -> bool:
        """Whether a further plan finds nothing to do."""
        code, _ = self("plan", "-detailed-exitcode", "-input=false", *self.variables(schedule), expect=(0, 2))
        return code == 0

    def variables(self, schedule: str) -> list[str]:
        return ["-var", f"endpoint={self._aws.url}", "-var", f"schedule={schedule}"]


@pytest.fixture
def aws() -> Iterator[Aws]:
    with Aws() as running:
        yield running


def described(aws: Aws) -> Any:
    return aws.client("secretsmanager").describe_secret(SecretId="terraform/orders")


def current(aws: Aws) -> str:
    return holder(aws, "AWSCURRENT")


@pytest.mark.timeout(300)
def test_terraform_sets_up_a_rotation_and_it_runs(aws: Aws, tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, aws)
    terraform.apply("rate(30 days)")
    aws.wait_for_rotation("terraform/orders", rotation_version(aws))
    assert json.loads(aws.client("secretsmanager").get_secret_value(SecretId="terraform/orders")["SecretString"])["password"] != "first"
    assert described(aws)["RotationRules"]["ScheduleExpression"] == "rate(30 days)"
    assert described(aws)["Tags"] == [{"Key": "team", "Value": "orders"}]
    assert terraform.is_settled("rate(30 days)")

    before = current(aws)
    terraform.apply("rate(10 days)")
    aws.wait_for_rotation("terraform/orders", rotation_version(aws))
    assert current(aws) != before
    assert described(aws)["RotationRules"]["Duration"] == "3h"

    terraform("destroy", "-auto-approve", "-input=false", *terraform.variables("rate(10 days)"))
    assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
    assert aws.client("lambda").list_functions()["Functions"] == []


def rotation_version(aws: Aws) -> str:
    """The version that a rotation is making, or has made last."""
    return holder(aws, "AWSPENDING")


def holder(aws: Aws, label: str) -> str:
    stages: dict[str, list[str]] = described(aws)["VersionIdsToStages"]
    return next(version for version, labels in stages.items() if label in labels)
