"""The evaluator that the policies are tested with: it would be worth nothing if it said yes to everything."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.iam import Call, calls_of, judge, statements

from keyturn_lab.aws import FunctionCall

ORDERS = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:orders/app-AbCdEf"
ROTATOR = "arn:aws:lambda:eu-west-1:111122223333:function:rotator"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/one"
READ = Call(action="secretsmanager:GetSecretValue", resource=ORDERS)


def policy(**statement: Any) -> list[Any]:
    fields = {"Sid": "Read", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": ORDERS} | statement
    return statements({"Version": "2012-10-17", "Statement": [fields]})


def refused(one: list[Any], call: Call = READ) -> bool:
    return judge(one, [call]).refused == (call,)


def test_what_is_named_is_allowed_and_nothing_is_left_over() -> None:
    verdict = judge(policy(), [READ])
    assert (verdict.refused, verdict.unused) == ((), ())


def test_another_action_or_resource_is_refused() -> None:
    assert refused(policy(Action="secretsmanager:DescribeSecret"))
    assert refused(policy(Resource=ORDERS.replace("orders", "billing")))


def test_an_action_that_no_call_needed_is_told() -> None:
    both = policy(Action=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"])
    assert judge(both, [READ]).unused == (("Read", "secretsmanager:PutSecretValue"),)


@pytest.mark.parametrize(("pattern", "allowed"), [("??????", True), ("*", True), ("?????", False), ("AbCdE?", True)])
def test_wildcards_stand_for_one_character_or_for_any_number(pattern: str, allowed: bool) -> None:
    assert refused(policy(Resource=ORDERS.removesuffix("AbCdEf") + pattern)) is not allowed


def test_a_sign_that_means_something_in_an_expression_means_itself() -> None:
    assert refused(policy(Resource=ORDERS.replace("orders", "order.")))


def test_a_denial_outweighs_what_another_statement_allows() -> None:
    assert refused([*policy(), *policy(Effect="Deny", Action="secretsmanager:*", Resource="*")])


def test_a_condition_holds_for_the_named_value_only_and_not_where_the_request_brings_none() -> None:
    conditioned = policy(Condition={"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": ROTATOR}})
    key = "secretsmanager:resource/allowrotationlambdaarn"
    assert not refused(conditioned, Call(action=READ.action, resource=ORDERS, context={key: ROTATOR}))
    assert refused(conditioned, Call(action=READ.action, resource=ORDERS, context={key: f"{ROTATOR}-2"}))
    assert refused(conditioned)


@pytest.mark.parametrize("unknown", [{"Condition": {"NumericLessThan": {"kms:x": "1"}}}, {"NotAction": "*"}])
def test_what_is_not_understood_is_an_error_and_not_a_yes(unknown: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not understood"):
        judge(policy(**unknown), [READ])


def test_a_secret_with_a_key_of_its_own_needs_the_key_through_secrets_manager() -> None:
    put = FunctionCall(
        function=ROTATOR, action="secretsmanager:PutSecretValue", resource=ORDERS, rotation_lambda_arn=ROTATOR, kms_key_id=KEY
    )
    actions = [(call.action, call.resource, call.context) for call in calls_of([put])]
    via = {"kms:viaservice": "secretsmanager.eu-west-1.amazonaws.com"}
    assert actions == [
        ("secretsmanager:PutSecretValue", ORDERS, {"secretsmanager:resource/allowrotationlambdaarn": ROTATOR}),
        ("kms:GenerateDataKey", KEY, via),
        ("kms:Decrypt", KEY, via),
    ]


def test_a_secret_with_awss_key_needs_no_right_on_it() -> None:
    described = FunctionCall(function=ROTATOR, action="secretsmanager:GetSecretValue", resource=ORDERS)
    assert calls_of([described]) == [READ]
