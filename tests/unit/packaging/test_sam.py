"""The SAM template: a linter reads it, and its policy is the one that the pages show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloudformation import Template
from tests.support.iam import statements
from tests.unit.packaging.dockerfile import ROOT

TEMPLATE = ROOT / "infra" / "sam" / "template.yaml"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:orders"
ATTRIBUTES = {
    "DeadLetters.Arn": "arn:aws:sqs:eu-west-1:111122223333:orders-rotator-dead-letters",
    "Function.Arn": "arn:aws:lambda:eu-west-1:111122223333:function:orders-rotator",
    "Role.Arn": "arn:aws:iam::111122223333:role/orders-rotator",
}


def template(**parameters: Any) -> Template:
    given = {"FunctionName": "orders-rotator", "SecretArns": [f"{SECRET}/app-??????"]} | parameters
    return Template(TEMPLATE, attributes=ATTRIBUTES, **given)


def policies(**parameters: Any) -> dict[str, Any]:
    return {one["PolicyName"]: one["PolicyDocument"] for one in template(**parameters).properties("Role")["Policies"]}


@pytest.mark.timeout(300)
def test_the_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    command = [str(linter), "--include-checks", "I", "--regions", "eu-west-1", "us-east-1", "--", str(TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_the_policy_is_the_one_of_the_page() -> None:
    page = (ROOT / "docs" / "rotators" / "postgres.md").read_text()
    shown = next(found for block in page.split("```json\n")[1:] if "Statement" in (found := json.loads(block.split("```")[0])))
    made = statements(policies(SuperuserSecretArns=[f"{SECRET}/admin-??????"])["rotate"])
    assert made[:2] == statements(shown)
    assert [one.sid for one in made[2:]] == ["WriteLog", "KeepDeadLetters"]


def test_without_options_the_role_has_no_statement_for_them() -> None:
    assert [one.sid for one in statements(policies()["rotate"])] == ["Rotate", "WriteLog", "KeepDeadLetters"]
    assert list(policies()) == ["rotate"]


def test_a_key_is_used_through_secrets_manager_only() -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/one"
    [statement] = [one for one in statements(policies(SecretsKmsKeyArn=key)["rotate"]) if key in one.resources]
    assert statement.conditions == (("StringEquals", "kms:ViaService", ("secretsmanager.eu-west-1.amazonaws.com",)),)


def test_only_a_function_in_a_vpc_may_have_network_interfaces_placed_and_its_code_may_not() -> None:
    vpc = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert [(one.sid, one.allows) for one in statements(policies(**vpc)["network"])] == [
        ("PlaceNetworkInterfaces", True),
        ("NotTheCodeItself", False),
    ]
    assert template(**vpc).properties("Function")["VpcConfig"] == vpc
    assert "VpcConfig" not in template().properties("Function")


def test_secrets_manager_may_invoke_it_for_this_account_only_and_the_operator_where_it_is_named() -> None:
    assert template().properties("SecretsManagerMayInvoke")["SourceAccount"] == "111122223333"
    assert template(InvokerArn="arn:aws:iam::111122223333:role/keyturn").holds("HasInvoker")
    assert not template().holds("HasInvoker")
