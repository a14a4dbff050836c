"""The Terraform module of a rotation function, applied for real to the lab's AWS: it rotates, may do no more, and goes without a trace."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError
from tests.support.cloudformation import Template
from tests.support.iam import calls_of, judge, statements
from tests.support.terraform import Terraform, program, provider

from keyturn_lab.aws import Aws
from keyturn_lab.backends import Postgres
from keyturn_lab.patience import Patience
from keyturn_rotators.package import build

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "infra" / "terraform" / "rotator"
PASSWORD, ADMIN_PASSWORD = "first-password-of-the-app", "password-of-the-admin"
OPERATOR = "arn:aws:iam::123456789012:role/keyturn"
NEVER_CALLED_BY_THE_CODE = {
    ("WriteLog", "logs:CreateLogStream"),
    ("WriteLog", "logs:PutLogEvents"),
    ("KeepDeadLetters", "sqs:SendMessage"),
}
"""What Lambda itself does with the function's role."""

CONFIGURATION = """
variable "app" { sensitive = true }
variable "admin" { sensitive = true }
variable "key" {}
variable "subnet" {}
variable "security_group" {}
variable "retention" { type = number }

module "rotator" {
  source = "MODULE"

  name                 = "orders-rotator"
  package              = "rotator.zip"
  architecture         = "x86_64"
  strategy             = "AlternatingUsers"
  secrets              = [aws_secretsmanager_secret.app.arn]
  superuser_secrets    = [aws_secretsmanager_secret.admin.arn]
  secrets_kms_key_arns = [var.key]
  vpc                  = { subnet_ids = [var.subnet], security_group_ids = [var.security_group] }
  invokers             = ["arn:aws:iam::123456789012:role/keyturn"]
  log_retention_days   = var.retention
  tags                 = { team = "orders" }
}

resource "aws_secretsmanager_secret" "app" {
  name                    = "orders/app"
  kms_key_id              = var.key
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id     = aws_secretsmanager_secret.app.id
  secret_string = jsonencode(merge(jsondecode(var.app), { masterarn = aws_secretsmanager_secret.admin.arn }))
  lifecycle { ignore_changes = [secret_string, version_stages] }
}

resource "aws_secretsmanager_secret" "admin" {
  name                    = "orders/admin"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "admin" {
  secret_id     = aws_secretsmanager_secret.admin.id
  secret_string = var.admin
}

resource "aws_secretsmanager_secret_rotation" "app" {
  secret_id           = aws_secretsmanager_secret.app.id
  rotation_lambda_arn = module.rotator.function_arn
  rotate_immediately  = false
  rotation_rules { automatically_after_days = 30 }
  depends_on = [aws_secretsmanager_secret_version.app, aws_secretsmanager_secret_version.admin]
}

output "rotator" { value = module.rotator }
"""


class Orders:
    """An application's database, and all of its AWS side made by Terraform."""

    def __init__(self, aws: Aws, pg: Postgres, directory: Path) -> None:
        self.aws, self.pg = aws, pg
        pg.create_app_user("orders_app", PASSWORD, database="orders")
        pg.create_admin("orders_admin", ADMIN_PASSWORD, rotates=("orders_app",))
        network = aws.client("ec2").describe_subnets()["Subnets"][0]
        groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
        self.subnet = network["SubnetId"]
        self.key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        self._variables: dict[str, Any] = {
            "app": json.dumps(pg.secret("orders_app", PASSWORD, dbname="orders")),
            "admin": json.dumps(pg.secret("orders_admin", ADMIN_PASSWORD)),
            "key": self.key,
            "subnet": self.subnet,
            "security_group": next(group["GroupId"] for group in groups if group["VpcId"] == network["VpcId"]),
            "retention": 30,
        }
        (directory / "rotator.zip").write_bytes(build("postgres"))
        self.terraform = Terraform(directory, CONFIGURATION.replace("MODULE", str(MODULE)) + provider(aws))
        self.apply()
        self.wait_for_the_trial()
        self.rotator: dict[str, str] = self.terraform.outputs()["rotator"]

    def apply(self, **changed: object) -> None:
        """The configuration, with some variables changed. Values stay inside, so that no failing assertion shows them."""
        self.terraform.apply(**self._variables | changed)

    def is_settled(self) -> bool:
        return self.terraform.is_settled(**self._variables)

    def destroy(self) -> None:
        self.terraform.destroy(**self._variables)

    def wait_for_the_trial(self) -> None:
        """AWS tries testSecret when rotation is set up without a first rotation. Until that has ended it refuses to rotate."""
        patience = Patience(120)
        while len(self.aws.client("secretsmanager").describe_secret(SecretId="orders/app")["VersionIdsToStages"]) > 1:
            assert not patience.over, "the trial of the rotation function has not ended"
            time.sleep(0.05)

    def rotate(self) -> None:
        version = self.aws.client("secretsmanager").rotate_secret(SecretId="orders/app")["VersionId"]
        self.aws.wait_for_rotation("orders/app", version, timeout=120)

    def version(self) -> str:
        """What is current."""
        return self.aws.client("secretsmanager").get_secret_value(SecretId="orders/app")["VersionId"]

    def invoke(self, step: str, version: str) -> dict[str, str]:
        """One of the steps that AWS lacks, as the operator calls it."""
        arn = self.aws.client("secretsmanager").describe_secret(SecretId="orders/app")["ARN"]
        event = {"Step": step, "SecretId": arn, "ClientRequestToken": version}
        answer = self.aws.client("lambda").invoke(FunctionName="orders-rotator", Payload=json.dumps(event))
        done: dict[str, str] = json.load(answer["Payload"])
        return done

    def value(self) -> dict[str, str]:
        answer = self.aws.client("secretsmanager").get_secret_value(SecretId="orders/app")
        value: dict[str, str] = json.loads(answer["SecretString"])
        return value

    def logs_in(self, value: dict[str, str]) -> bool:
        with suppress(DatabaseError):
            return bool(self.pg.execute("SELECT 1", user=value["username"], password=value["password"], database="orders"))
        return False

    def left(self) -> dict[str, list[Any]]:
        """Everything that the module or the configuration could have left behind."""
        client = self.aws.client
        return {
            "functions": client("lambda").list_functions()["Functions"],
            "roles": client("iam").list_roles()["Roles"],
            "queues": client("sqs").list_queues().get("QueueUrls", []),
            "log groups": client("logs").describe_log_groups()["logGroups"],
            "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
            "secrets": client("secretsmanager").list_secrets()["SecretList"],
        }


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    """Applied once; taken away at the end, after which nothing may be there."""
    with Aws() as aws, Postgres() as pg:
        applied = Orders(aws, pg, tmp_path_factory.mktemp("orders"))
        yield applied
        applied.destroy()
        assert {kind: found for kind, found in applied.left().items() if found} == {}


def test_the_function_that_terraform_made_rotates_a_secret(orders: Orders) -> None:
    before = orders.value()
    orders.rotate()
    after = orders.value()
    assert after["username"] != before["username"]
    assert orders.logs_in(after)
    assert orders.logs_in(before)


def test_a_rotation_calls_nothing_that_the_roles_policies_refuse_and_they_allow_nothing_that_no_rotation_needs(orders: Orders) -> None:
    orders.aws.reset_calls()
    orders.rotate()
    calls = calls_of(orders.aws.function_calls())
    assert {call.action for call in calls} > {"kms:Decrypt", "secretsmanager:PutSecretValue"}
    verdict = judge(statements(orders.rotator["policy_json"]), calls)
    assert verdict.refused == ()
    assert set(verdict.unused) == NEVER_CALLED_BY_THE_CODE


def test_retiring_and_restoring_the_old_credential_is_within_the_policies_too(orders: Orders) -> None:
    old = orders.version()
    orders.rotate()
    orders.aws.reset_calls()
    retired, restored = (orders.invoke(step, old) for step in ("retireSecret", "restoreSecret"))
    assert (retired["result"], restored["result"]) == ("Done", "Done")
    calls = calls_of(orders.aws.function_calls())
    assert calls
    assert judge(statements(orders.rotator["policy_json"]), calls).refused == ()


def test_the_role_refuses_a_secret_that_another_function_rotates(orders: Orders) -> None:
    orders.aws.reset_calls()
    orders.rotate()
    policy = orders.rotator["policy_json"].replace("function:orders-rotator", "function:another")
    refused = {call.action for call in judge(statements(policy), calls_of(orders.aws.function_calls())).refused}
    assert refused >= {"secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"}


def test_the_role_has_the_policies_that_the_module_shows_and_those_of_its_network(orders: Orders) -> None:
    iam = orders.aws.client("iam")
    role = orders.rotator["role_name"]
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["network", "rotate"]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert iam.get_role_policy(RoleName=role, PolicyName="rotate")["PolicyDocument"] == json.loads(orders.rotator["policy_json"])
    network = statements(iam.get_role_policy(RoleName=role, PolicyName="network")["PolicyDocument"])
    assert [(one.sid, one.allows) for one in network] == [("PlaceNetworkInterfaces", True), ("NotTheCodeItself", False)]


def test_secrets_manager_of_this_account_and_the_operator_may_invoke_it_and_nobody_else(orders: Orders) -> None:
    answer = orders.aws.client("lambda").get_policy(FunctionName="orders-rotator")
    granted = {_principal(one["Principal"]): one.get("Condition") for one in json.loads(answer["Policy"])["Statement"]}
    account = {"StringEquals": {"AWS:SourceAccount": "123456789012"}}
    assert granted == {"secretsmanager.amazonaws.com": account, OPERATOR: None}


def _principal(principal: dict[str, str] | str) -> str:
    """AWS writes {"AWS": ARN} where moto writes the ARN."""
    return principal if isinstance(principal, str) else "".join(principal.values())


def test_the_function_has_its_network_its_dead_letters_its_strategy_and_its_tags(orders: Orders) -> None:
    function = orders.aws.client("lambda").get_function(FunctionName="orders-rotator")
    found: dict[str, Any] = dict(function["Configuration"])
    assert found["DeadLetterConfig"] == {"TargetArn": orders.rotator["dead_letter_queue_arn"]}
    assert found["VpcConfig"]["SubnetIds"] == [orders.subnet]
    assert found["Environment"]["Variables"] == {"KEYTURN_STRATEGY": "AlternatingUsers"}
    assert (found["Runtime"], found["Architectures"], function["Tags"]) == ("python3.13", ["x86_64"], {"team": "orders"})


def test_a_failed_step_raises_an_alarm_and_log_lines_are_kept_for_the_time_that_was_asked_for(orders: Orders) -> None:
    [alarm] = orders.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["MetricName"], alarm["Dimensions"]) == ("Errors", [{"Name": "FunctionName", "Value": "orders-rotator"}])
    [group] = orders.aws.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == ("/aws/lambda/orders-rotator", 30)


def test_a_second_plan_finds_nothing_to_do_and_a_change_is_made_in_place(orders: Orders) -> None:
    assert orders.is_settled()
    orders.apply(retention=90)
    [group] = orders.aws.client("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 90
    orders.apply()


def test_the_sam_template_makes_the_same_policies(orders: Orders) -> None:
    arns = {secret["Name"]: secret["ARN"] for secret in orders.aws.client("secretsmanager").list_secrets()["SecretList"]}
    template = Template(
        ROOT / "infra" / "sam" / "template.yaml",
        attributes={"DeadLetters.Arn": orders.rotator["dead_letter_queue_arn"]},
        pseudo={"AWS::AccountId": "123456789012"},
        FunctionName="orders-rotator",
        SecretArns=[arns["orders/app"]],
        SuperuserSecretArns=[arns["orders/admin"]],
        SecretsKmsKeyArn=orders.key,
        SubnetIds=[orders.subnet],
    )
    iam = orders.aws.client("iam")
    for policy in template.properties("Role")["Policies"]:
        made = iam.get_role_policy(RoleName=orders.rotator["role_name"], PolicyName=policy["PolicyName"])["PolicyDocument"]
        assert statements(policy["PolicyDocument"]) == statements(made)


def test_every_page_that_shows_a_policy_shows_the_one_that_the_module_makes(orders: Orders) -> None:
    made = json.loads(orders.rotator["policy_json"])
    wanted = [one for one in made["Statement"] if one["Sid"] in ("Rotate", "ReadSuperuser")]
    page = (ROOT / "docs" / "rotators" / "postgres.md").read_text()
    shown = next(found for block in page.split("```json\n")[1:] if "Statement" in (found := json.loads(block.split("```")[0])))
    arns = {secret["Name"]: secret["ARN"] for secret in orders.aws.client("secretsmanager").list_secrets()["SecretList"]}
    text = json.dumps(shown["Statement"]).replace("111122223333", "123456789012")
    for name, arn in arns.items():
        text = text.replace(f"secret:{name}-??????", f"secret:{name}-{arn[-6:]}")
    assert json.loads(text) == wanted


def test_what_is_wrong_with_the_variables_is_said_before_anything_is_made(tmp_path: Path) -> None:
    module = f"""
    variable "given" {{ type = any }}
    module "rotator" {{
      source             = "{MODULE}"
      name               = "a name"
      package            = "nowhere.zip"
      architecture       = "sparc"
      runtime            = "python3.9"
      secrets            = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/*"]
      superuser_secrets  = ["orders/admin"]
      vpc                = {{ subnet_ids = [], security_group_ids = [] }}
      strategy           = "both at once"
      environment        = {{ AWS_REGION = "eu-west-1" }}
      timeout            = 5
      invokers           = ["everybody"]
      log_retention_days = 31
    }}
    """
    said = Terraform(tmp_path, module).refusal(given={})
    for message in (
        "A name has 1 to 50 letters",
        "There is no such file",
        "An architecture is x86_64 or arm64.",
        "The rotators need python3.11 or later.",
        "`*` would take in other secrets.",
        "A VPC needs at least one subnet",
        "A strategy is a name",
        "AWS_ is Lambda's own.",
        "A time-out is between 30 and 900 seconds.",
        "Each is the ARN of a role or a user.",
        "CloudWatch Logs keeps lines for",
    ):
        assert message in said
    assert said.count("Invalid value for variable") == 12


@pytest.mark.parametrize("page", ["docs/rotators/lambda.md", "infra/terraform/rotator/README.md"])
def test_what_the_pages_show_of_terraform_is_valid(page: str, tmp_path: Path) -> None:
    [shown] = re.findall(r"```hcl\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    used = set(re.findall(r"\bvar\.(\w+)", shown))
    around = [f'variable "{name}" {{ type = any }}' for name in sorted(used)]
    around += [f'resource "aws_secretsmanager_secret" "{name}" {{ name = "orders/{name}" }}' for name in ("app", "admin")]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "keyturn-rotator-postgres.zip").touch()
    configuration = "\n".join([shown.replace("./infra/terraform/rotator", str(MODULE)), *around])
    _, said = Terraform(tmp_path, configuration)("validate")
    assert "The configuration is valid." in said


def test_the_modules_files_are_formatted() -> None:
    done = subprocess.run([program(), "fmt", "-check", "-recursive", "-diff", str(MODULE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
