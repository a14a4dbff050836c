"""The Lambda's entry: events, answers, and which engine and strategy a secret gets."""

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from keyturn_rotators import lambda_handler
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines import chooser
from keyturn_rotators.engines.postgres import AlternatingUsers, SingleUser
from keyturn_rotators.errors import Kind, RotationError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TOKEN = "11111111-2222-4333-8444-555555555555"


class LambdaContext:
    def __init__(self, milliseconds: int = 30_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator["SecretsManagerClient"]:
    for name, value in (("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    lambda_handler._client.cache_clear()
    with mock_aws():
        yield boto3.client("secretsmanager")
    lambda_handler._client.cache_clear()


def event(step: str, secret: str = "app") -> dict[str, object]:
    return {"Step": step, "SecretId": secret, "ClientRequestToken": TOKEN, "RotationToken": "t" * 40, "Unknown": 1}


def test_a_step_that_is_not_known_is_answered_and_not_raised() -> None:
    answer = lambda_handler.handler(event("somethingElse"), LambdaContext())
    assert (answer["step"], answer["result"]) == ("somethingElse", "Unsupported")
    assert "does not know the step" in answer["message"]


def test_create_writes_a_pending_version_and_says_that_it_is_done(client: "SecretsManagerClient", caplog: pytest.LogCaptureFixture) -> None:
    value = {"engine": "postgres", "host": "h", "username": "app", "password": "canary-current"}
    arn = client.create_secret(Name="app", SecretString=json.dumps(value))["ARN"]
    client.put_secret_value(SecretId=arn, ClientRequestToken=TOKEN, SecretString=json.dumps(value), VersionStages=["AWSPENDING"])
    with caplog.at_level(logging.DEBUG):
        assert lambda_handler.handler(event("createSecret", arn), LambdaContext()) == {"step": "createSecret", "result": "Done"}
    assert "canary" not in "".join(record.getMessage() for record in caplog.records if record.name == "keyturn_rotators")


@pytest.mark.parametrize("name", ["Step", "SecretId", "ClientRequestToken"])
def test_an_event_that_lacks_a_field_is_refused_by_its_name(name: str) -> None:
    incomplete = {key: value for key, value in event("createSecret").items() if key != name}
    with pytest.raises(RotationError, match=f"no {name}"):
        lambda_handler.handler(incomplete, LambdaContext())


def test_a_lambda_that_is_about_to_end_does_not_begin_a_step(client: "SecretsManagerClient") -> None:
    with pytest.raises(RotationError, match="time limit"):
        lambda_handler.handler(event("createSecret"), LambdaContext(1_500))


@pytest.mark.parametrize("engine", ["postgres", "aurora-postgresql", "Postgres"])
def test_a_secret_without_a_superuser_is_rotated_as_a_single_user(engine: str) -> None:
    assert isinstance(chooser({})(Credential({"engine": engine})), SingleUser)


def test_a_secret_with_a_superuser_is_rotated_with_two_users() -> None:
    assert isinstance(chooser({})(Credential({"engine": "postgres", "masterarn": "arn:x"})), AlternatingUsers)


def test_the_functions_own_strategy_overrules_the_secret() -> None:
    choose = chooser({"KEYTURN_STRATEGY": "SingleUser"})
    assert isinstance(choose(Credential({"engine": "postgres", "masterarn": "arn:x"})), SingleUser)


@pytest.mark.parametrize(("engine", "environ"), [("oracle", {}), ("postgres", {"KEYTURN_STRATEGY": "__doc__"})])
def test_an_engine_or_a_strategy_that_is_not_known_is_refused(engine: str, environ: dict[str, str]) -> None:
    with pytest.raises(RotationError) as refused:
        chooser(environ)(Credential({"engine": engine}))
    assert refused.value.kind is Kind.POLICY
