"""Terraform against the lab's AWS: a secret, a rotation function from a zip, and a schedule; then a rotation runs."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.terraform import Terraform, provider

from keyturn_lab.aws import Aws

pytestmark = pytest.mark.host

ROTATOR = Path(__file__).parents[1] / "component" / "lab_aws" / "rotator.py"
CONFIGURATION = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "schedule" {}

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
    with zipfile.ZipFile(tmp_path / "rotator.zip", "w") as archive:
        archive.writestr("rotator.py", ROTATOR.read_text())
    terraform = Terraform(tmp_path, CONFIGURATION + provider(aws))
    terraform.apply(schedule="rate(30 days)")
    aws.wait_for_rotation("terraform/orders", rotation_version(aws))
    assert json.loads(aws.client("secretsmanager").get_secret_value(SecretId="terraform/orders")["SecretString"])["password"] != "first"
    assert described(aws)["RotationRules"]["ScheduleExpression"] == "rate(30 days)"
    assert described(aws)["Tags"] == [{"Key": "team", "Value": "orders"}]
    assert terraform.is_settled(schedule="rate(30 days)")

    before = current(aws)
    terraform.apply(schedule="rate(10 days)")
    aws.wait_for_rotation("terraform/orders", rotation_version(aws))
    assert current(aws) != before
    assert described(aws)["RotationRules"]["Duration"] == "3h"

    terraform.destroy(schedule="rate(10 days)")
    assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
    assert aws.client("lambda").list_functions()["Functions"] == []


def rotation_version(aws: Aws) -> str:
    """The version that a rotation is making, or has made last."""
    return holder(aws, "AWSPENDING")


def holder(aws: Aws, label: str) -> str:
    stages: dict[str, list[str]] = described(aws)["VersionIdsToStages"]
    return next(version for version, labels in stages.items() if label in labels)
