"""Terraform in one working directory, talking to one lab's AWS.

It needs the programs that no language registry has: `terraform`, and the provider hashicorp/aws in a plugin directory
(KEYTURN_TF_PLUGINS, or one of the usual mirror directories). Without them its tests fail: they are what a host is there for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from keyturn_lab.aws import Aws

PROVIDER = "registry.terraform.io/hashicorp/aws"
MIRRORS = (
    "/opt/tf-plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    str(Path.home() / ".terraform.d/plugins"),
)
SERVICES = ("cloudwatch", "ec2", "events", "iam", "kms", "lambda", "logs", "secretsmanager", "sqs", "sts")
PROVIDER_BLOCK = """
provider "aws" {
  region                      = "REGION"
  access_key                  = "lab-client"
  secret_key                  = "lab"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  max_retries                 = 2
  endpoints {
ENDPOINTS
  }
}
"""


def program() -> str:
    """Where terraform is."""
    found = shutil.which("terraform")
    if found is None:
        pytest.fail("terraform is not on the PATH")
    return found


def plugins() -> str:
    """The directory of provider mirrors."""
    given = os.environ.get("KEYTURN_TF_PLUGINS")
    for directory in [given] if given else MIRRORS:
        if (Path(directory) / PROVIDER).is_dir():
            return directory
    pytest.fail(f"no plugin directory with {PROVIDER}: set KEYTURN_TF_PLUGINS")


def provider(aws: Aws) -> str:
    """The provider's block: every service is the lab's."""
    endpoints = "\n".join(f'    {service} = "{aws.url}"' for service in SERVICES)
    return PROVIDER_BLOCK.replace("REGION", aws.region).replace("ENDPOINTS", endpoints)


class Terraform:
    """A working directory that is initialised; variables are given with each command that takes them."""

    def __init__(self, directory: Path, configuration: str) -> None:
        self._directory = directory
        (directory / "main.tf").write_text(configuration)
        self("init", "-input=false", f"-plugin-dir={plugins()}")

    def __call__(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """One command; its exit code and output."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        environment |= {"AWS_EC2_METADATA_DISABLED": "true", "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "NO_PROXY": "127.0.0.1"}
        environment |= {"HOME": str(self._directory)}
        command = [program(), *arguments, "-no-color"]
        done = subprocess.run(command, cwd=self._directory, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in expect, done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def apply(self, **variables: object) -> None:
        """Make it so."""
        self("apply", "-auto-approve", "-input=false", *_given(variables))

    def destroy(self, **variables: object) -> None:
        """Take it all away."""
        self("destroy", "-auto-approve", "-input=false", *_given(variables))

    def is_settled(self, **variables: object) -> bool:
        """Whether a further plan finds nothing to do."""
        code, _ = self("plan", "-detailed-exitcode", "-input=false", *_given(variables), expect=(0, 2))
        return code == 0

    def refusal(self, **variables: object) -> str:
        """What a plan that must fail says, on one line."""
        _, said = self("plan", "-input=false", *_given(variables), expect=(1,))
        return " ".join(said.replace("│", " ").split())

    def outputs(self) -> dict[str, Any]:
        """The outputs by name."""
        _, said = self("output", "-json")
        return {name: output["value"] for name, output in json.loads(said).items()}


def _given(variables: Mapping[str, object]) -> list[str]:
    values = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in variables.items())
    return [part for name, value in values for part in ("-var", f"{name}={value}")]
