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
from keyturn_rotators.engines.postgres import SingleUser
from keyturn_rotators.errors import RotationError, Unsupported

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
    assert "createSecret" in caplog.text
    assert "canary" not in caplog.text, "the SDK writes what it reads and sends where it may"


@pytest.mark.parametrize("name", ["Step", "SecretId", "ClientRequestToken"])
def test_an_event_that_lacks_a_field_is_refused_by_its_name(name: str) -> None:
    incomplete = {key: value for key, value in event("createSecret").items() if key != name}
    with pytest.raises(RotationError, match=f"no {name}"):
        lambda_handler.handler(incomplete, LambdaContext())


def test_a_lambda_that_is_about_to_end_does_not_begin_a_step(client: "SecretsManagerClient") -> None:
    with pytest.raises(RotationError, match="time limit"):
        lambda_handler.handler(event("createSecret"), LambdaContext(1_500))


def test_a_step_has_the_time_that_the_function_is_given(client: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[float] = []
    monkeypatch.setattr(SingleUser, "retire", lambda engine, old, context: left.append(context.deadline.remaining()))
    value = {"engine": "postgres", "host": "h", "username": "app"}
    created = client.create_secret(Name="app", SecretString=json.dumps(value | {"password": "old"}))
    client.put_secret_value(SecretId="app", SecretString=json.dumps(value | {"password": "new"}))
    asked = {"Step": "retireSecret", "SecretId": created["ARN"], "ClientRequestToken": created["VersionId"]}
    lambda_handler.handler(asked, LambdaContext(900_000))
    assert 450 < left[0] < 900  # of 15 minutes, as a change of ElastiCache's users may take


@pytest.mark.parametrize("step", ["retireSecret", "restoreSecret"])
def test_an_engine_that_cannot_is_answered_with_its_reason_and_has_not_failed(
    client: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cannot(engine: SingleUser, old: Credential, context: object) -> None:
        raise Unsupported("there is nothing to set")

    for method in ("retire", "restore"):
        monkeypatch.setattr(SingleUser, method, cannot)
    value = {"engine": "postgres", "host": "h", "username": "app"}
    created = client.create_secret(Name="app", SecretString=json.dumps(value | {"password": "canary-old"}))
    client.put_secret_value(SecretId="app", SecretString=json.dumps(value | {"password": "canary-new"}))
    asked = event(step, created["ARN"]) | {"ClientRequestToken": created["VersionId"]}
    assert lambda_handler.handler(asked, LambdaContext()) == {"step": step, "result": "Unsupported", "message": "there is nothing to set"}


@pytest.mark.parametrize(("step", "method"), [("retireSecret", "retire"), ("restoreSecret", "restore")])
def test_the_operators_own_steps_name_the_version_and_say_when_they_are_done(
    client: "SecretsManagerClient", monkeypatch: pytest.MonkeyPatch, step: str, method: str
) -> None:
    asked_for = []
    monkeypatch.setattr(SingleUser, method, lambda engine, old, context: asked_for.append(old.password))
    value = {"engine": "postgres", "host": "h", "username": "app"}
    created = client.create_secret(Name="app", SecretString=json.dumps(value | {"password": "old"}))
    client.put_secret_value(SecretId="app", SecretString=json.dumps(value | {"password": "new"}))
    asked = {"Step": step, "SecretId": created["ARN"], "ClientRequestToken": created["VersionId"]}
    assert lambda_handler.handler(asked, LambdaContext()) == {"step": step, "result": "Done"}
    assert asked_for == ["old"]
