"""The SAM template, deployed for real to the lab's AWS: what it makes rotates a secret, may do no more, and goes again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.rotators.worlds import ADMIN_PASSWORD, PASSWORD
from tests.support.iam import calls_of, judge, statements
from tests.support.sam import ACCOUNT, Stack

from keyturn_lab.aws import Aws
from keyturn_lab.backends import Postgres
from keyturn_rotators.package import build

pytestmark = [pytest.mark.timeout(600)]

TEMPLATE = Path(__file__).parents[3] / "infra" / "sam" / "template.yaml"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/keyturn"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:on-call"
OF_LAMBDA = {("WriteLog", "logs:CreateLogStream"), ("WriteLog", "logs:PutLogEvents"), ("KeepDeadLetters", "sqs:SendMessage")}
"""What Lambda itself does with the function's role."""


class Orders:
    """An application's database and its secret; the function and all around it made by the template."""

    def __init__(self, aws: Aws, pg: Postgres) -> None:
        self.aws, self.pg = aws, pg
        pg.create_app_user("sam_app", PASSWORD, database="sam_orders")
        pg.create_admin("sam_admin", ADMIN_PASSWORD, rotates=("sam_app",))
        self.key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.admin = self._secret("orders/admin", pg.secret("sam_admin", ADMIN_PASSWORD))
        value = pg.secret("sam_app", PASSWORD, dbname="sam_orders", masterarn=self.admin)
        self.app = self._secret("orders/app", value, KmsKeyId=self.key)
        self.subnet = aws.client("ec2").describe_subnets()["Subnets"][0]
        groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
        self.group = next(group["GroupId"] for group in groups if group["VpcId"] == self.subnet["VpcId"])
        self.stack = Stack(aws, "orders-rotator", TEMPLATE, code=build("postgres"), parameters=self._parameters())
        self.role = self.stack.outputs["RoleArn"].rpartition("/")[2]

    def _secret(self, name: str, value: dict[str, Any], **given: Any) -> str:
        return str(self.aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value), **given)["ARN"])

    def _parameters(self) -> dict[str, str]:
        return {
            "FunctionName": "orders-rotator",
            "Architecture": "x86_64",
            "SecretArns": self.app,
            "SuperuserSecretArns": self.admin,
            "SecretsKmsKeyArn": self.key,
            "SubnetIds": self.subnet["SubnetId"],
            "SecurityGroupIds": self.group,
            "Strategy": "AlternatingUsers",
            "PasswordLength": "40",
            "InvokerArn": OPERATOR,
            "LogRetentionDays": "30",
            "AlarmTopicArn": TOPIC,
        }

    def rotate(self) -> None:
        started = self.aws.client("secretsmanager").rotate_secret(SecretId=self.app, RotationLambdaARN=self.stack.outputs["FunctionArn"])
        self.aws.wait_for_rotation(self.app, started["VersionId"], timeout=120)

    def value(self) -> dict[str, str]:
        answer = self.aws.client("secretsmanager").get_secret_value(SecretId=self.app, VersionStage="AWSCURRENT")
        value: dict[str, str] = json.loads(answer["SecretString"])
        return value

    def logs_in(self, value: dict[str, str]) -> bool:
        return bool(self.pg.execute("SELECT 1", user=value["username"], password=value["password"], database="sam_orders"))

    def policy(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("iam").get_role_policy(RoleName=self.role, PolicyName="rotate")["PolicyDocument"]
        return found

    def left(self) -> dict[str, list[Any]]:
        """Everything that the stack could have left behind."""
        client = self.aws.client
        return {
            "functions": client("lambda").list_functions()["Functions"],
            "roles": client("iam").list_roles()["Roles"],
            "queues": client("sqs").list_queues().get("QueueUrls", []),
            "log groups": client("logs").describe_log_groups()["logGroups"],
        }


@pytest.fixture(scope="module")
def orders(pg: Postgres) -> Iterator[Orders]:
    """Deployed once; deleted at the end, after which nothing may be there."""
    with Aws() as aws:
        deployed = Orders(aws, pg)
        yield deployed
        deployed.stack.delete()
        assert {kind: found for kind, found in deployed.left().items() if found} == {}


def test_the_function_that_the_template_made_rotates_a_secret(orders: Orders) -> None:
    before = orders.value()
    orders.rotate()
    after = orders.value()
    assert orders.stack.status == "CREATE_COMPLETE"
    assert after["username"] != before["username"]
    assert len(after["password"]) == 40
    assert orders.logs_in(after)
    assert orders.logs_in(before)


def test_a_rotation_calls_nothing_that_the_roles_policy_refuses_and_it_allows_nothing_that_no_rotation_needs(orders: Orders) -> None:
    orders.aws.reset_calls()
    orders.rotate()
    calls = calls_of(orders.aws.function_calls())
    assert {call.action for call in calls} > {"kms:Decrypt", "secretsmanager:PutSecretValue"}
    verdict = judge(statements(orders.policy()), calls)
    assert verdict.refused == ()
    assert set(verdict.unused) == OF_LAMBDA


def test_the_role_has_the_policies_of_the_template_and_no_managed_one(orders: Orders) -> None:
    iam = orders.aws.client("iam")
    assert sorted(iam.list_role_policies(RoleName=orders.role)["PolicyNames"]) == ["network", "rotate"]
    assert iam.list_attached_role_policies(RoleName=orders.role)["AttachedPolicies"] == []
    [trusted] = iam.get_role(RoleName=orders.role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert orders.stack.made("Role")["Policies"][0]["PolicyDocument"] == orders.policy()


def test_secrets_manager_of_this_account_and_the_operator_may_invoke_it_and_nobody_else(orders: Orders) -> None:
    answer = orders.aws.client("lambda").get_policy(FunctionName="orders-rotator")
    found = json.loads(answer["Policy"])["Statement"]
    granted = {json.dumps(one["Principal"]).strip('"'): one.get("Condition") for one in found}
    account = {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}
    assert granted == {'{"Service": "secretsmanager.amazonaws.com"}': account, OPERATOR: None}


def test_log_lines_are_kept_for_the_time_that_was_asked_for_in_the_log_group_that_the_function_writes_to(orders: Orders) -> None:
    [group] = orders.aws.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], int(group["retentionInDays"])) == ("/aws/lambda/orders-rotator", 30)
    assert orders.stack.made("Function")["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "LogGroup"}  # a Ref to it


def test_the_function_has_its_network_its_variables_and_its_dead_letters(orders: Orders) -> None:
    found = orders.aws.client("lambda").get_function(FunctionName="orders-rotator")["Configuration"]
    assert found["VpcConfig"]["SubnetIds"] == [orders.subnet["SubnetId"]]
    assert found["Environment"]["Variables"] == {"KEYTURN_STRATEGY": "AlternatingUsers", "PASSWORD_LENGTH": "40"}
    queues = orders.aws.client("sqs")
    [url] = queues.list_queues()["QueueUrls"]
    kept = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (kept["QueueArn"], kept["MessageRetentionPeriod"]) == (orders.stack.outputs["DeadLetterQueueArn"], "1209600")
    made = orders.stack.made("Function")
    assert made["DeadLetterConfig"] == {"TargetArn": kept["QueueArn"]}
    assert (made["Runtime"], made["Architectures"]) == ("python3.13", ["x86_64"])


def test_a_failed_step_raises_an_alarm_that_somebody_is_told_of(orders: Orders) -> None:
    cloudwatch = orders.aws.client("cloudwatch")
    made = orders.stack.made("Errors")
    cloudwatch.put_metric_alarm(**made)  # moto's CloudFormation has no alarms
    [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert made["Dimensions"] == [{"Name": "FunctionName", "Value": "Function"}]  # a Ref to it
    assert (alarm["AlarmName"], alarm["MetricName"], alarm["Threshold"]) == ("orders-rotator-errors", "Errors", 1)
    assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
