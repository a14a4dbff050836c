"""The AWS CLI, from PyPI, against the lab: what a person would type."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from keyturn_lab.aws import Aws

from .support import token

CLI = (str(Path(sys.executable).with_name("uv")), "tool", "run", "--quiet", "--from", "awscli==1.46.3", "aws")


def run(aws: Aws, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, whatever comes of it."""
    environment = {name: setting for name, setting in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run([*CLI, *arguments], env=environment | aws.environment, capture_output=True, text=True, check=False)


def aws_cli(aws: Aws, *arguments: str) -> Any:
    """One command; its JSON answer."""
    done = run(aws, *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")


def test_a_secret_is_created_described_rotated_and_read(aws: Aws, rotator: str, name: str) -> None:
    made = aws_cli(aws, "secretsmanager", "create-secret", "--name", name, "--secret-string", '{"username": "app", "password": "first"}')
    described = aws_cli(aws, "secretsmanager", "describe-secret", "--secret-id", name)
    assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}

    chosen = token()
    rotated = aws_cli(
        aws,
        *("secretsmanager", "rotate-secret", "--secret-id", name, "--client-request-token", chosen),
        *("--rotation-lambda-arn", rotator, "--rotation-rules", '{"ScheduleExpression": "rate(10 days)"}'),
    )
    assert rotated["VersionId"] == chosen
    aws.wait_for_rotation(name, chosen)

    read = aws_cli(aws, "secretsmanager", "get-secret-value", "--secret-id", name)
    assert read["VersionId"] == chosen
    assert json.loads(read["SecretString"])["password"] != "first"
    listed = aws_cli(aws, "secretsmanager", "list-secrets", "--filters", f"Key=name,Values={name}")
    assert [entry["RotationRules"]["ScheduleExpression"] for entry in listed["SecretList"]] == ["rate(10 days)"]


def test_a_refusal_reads_as_on_aws(aws: Aws, name: str) -> None:
    done = run(aws, "secretsmanager", "rotate-secret", "--secret-id", name)
    assert done.returncode != 0
    assert (
        "(ResourceNotFoundException) when calling the RotateSecret operation: Secrets Manager can't find the specified secret."
        in done.stderr
    )


def test_a_function_is_invoked_and_who_am_i_is_answered(aws: Aws, rotator: str, tmp_path: Any) -> None:
    answer = tmp_path / "answer.json"
    seen = aws_cli(aws, "lambda", "invoke", "--function-name", rotator, "--payload", "{}", str(answer))
    assert seen["StatusCode"] == 200
    assert json.loads(answer.read_text())["greeting"] == "hello"
    assert aws_cli(aws, "sts", "get-caller-identity")["Account"] == "123456789012"
