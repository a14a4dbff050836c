"""The VersionStore on AWS's API, as moto and botocore's Stubber answer it."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.store import READ_AGAIN_AFTER, SecretsManager
from keyturn_rotators.versions import CURRENT, PENDING, PREVIOUS, VersionExists, VersionMissing

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TOKEN = "11111111-2222-4333-8444-555555555555"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf"


@pytest.fixture
def client() -> Iterator["SecretsManagerClient"]:
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def secret(client: "SecretsManagerClient") -> str:
    return client.create_secret(Name="app", SecretString='{"a": 1}')["ARN"]


def store(client: "SecretsManagerClient", pauses: list[float] | None = None) -> SecretsManager:
    return SecretsManager(client, sleep=(pauses if pauses is not None else []).append)


def test_a_pending_version_is_put_read_and_promoted(client: "SecretsManagerClient", secret: str) -> None:
    versions = store(client)
    first = versions.describe(secret).holder(CURRENT)
    assert first is not None
    versions.put_pending(secret, token=TOKEN, value='{"a": 2}', rotation_token="t" * 40)
    assert versions.describe(secret).stages == {first: {CURRENT}, TOKEN: {PENDING}}
    assert json.loads(versions.read(secret, label=PENDING, version=TOKEN)) == {"a": 2}
    versions.promote(secret, token=TOKEN, from_version=first)
    described = versions.describe(secret)
    assert (described.holder(CURRENT), described.holder(PREVIOUS)) == (TOKEN, first)


def test_whether_rotation_is_on_is_unknown_where_it_was_never_configured(client: "SecretsManagerClient", secret: str) -> None:
    with Stubber(client) as stub:
        for answer in ({}, {"RotationEnabled": False}, {"RotationEnabled": True}):
            stub.add_response("describe_secret", answer)
        assert [store(client).describe(secret).rotation_enabled for _ in range(3)] == [None, False, True]


def test_a_value_that_is_not_there_yet_is_asked_for_again_a_few_times(client: "SecretsManagerClient") -> None:
    pauses: list[float] = []
    expected = {"SecretId": ARN, "VersionId": TOKEN, "VersionStage": PENDING}
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "ResourceNotFoundException", expected_params=expected)
        stub.add_client_error(
            "get_secret_value", "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."
        )
        stub.add_response("get_secret_value", {"SecretString": "{}"}, expected)
        assert store(client, pauses).read(ARN, label=PENDING, version=TOKEN) == "{}"
    assert pauses == list(READ_AGAIN_AFTER[:2])


def test_a_value_that_stays_away_is_missing(client: "SecretsManagerClient", secret: str) -> None:
    pauses: list[float] = []
    with pytest.raises(VersionMissing):
        store(client, pauses).read(secret, label=PENDING, version=TOKEN)
    assert pauses == list(READ_AGAIN_AFTER)


def test_a_label_that_nobody_carries_is_asked_for_once(client: "SecretsManagerClient", secret: str) -> None:
    pauses: list[float] = []
    with pytest.raises(VersionMissing):
        store(client, pauses).read(secret, label=PREVIOUS)
    assert not pauses


def test_a_version_that_has_another_value_is_told_apart_from_a_failure(client: "SecretsManagerClient") -> None:
    with Stubber(client) as stub:
        stub.add_client_error("put_secret_value", "ResourceExistsException")
        with pytest.raises(VersionExists):
            store(client).put_pending(ARN, token=TOKEN, value="{}", rotation_token=None)


def test_a_write_carries_the_rotation_token_only_where_there_is_one(client: "SecretsManagerClient") -> None:
    expected: dict[str, Any] = {"SecretId": ARN, "ClientRequestToken": TOKEN, "SecretString": "{}", "VersionStages": [PENDING]}
    with Stubber(client) as stub:
        stub.add_response("put_secret_value", {}, expected)
        stub.add_response("put_secret_value", {}, expected | {"RotationToken": "t" * 36})
        store(client).put_pending(ARN, token=TOKEN, value="{}", rotation_token=None)
        store(client).put_pending(ARN, token=TOKEN, value="{}", rotation_token="t" * 36)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDeniedException", Kind.PERMISSION),
        ("DecryptionFailure", Kind.PERMISSION),
        ("ResourceNotFoundException", Kind.POLICY),
        ("InternalServiceError", Kind.SERVER),
        ("LimitExceededException", Kind.SERVER),
    ],
)
def test_a_refusal_is_sorted_and_names_action_and_secret(client: "SecretsManagerClient", code: str, kind: Kind) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("describe_secret", code, "a message that is AWS's own")
        with pytest.raises(RotationError) as refused:
            store(client).describe(ARN)
    assert refused.value.kind is kind
    assert "DescribeSecret" in str(refused.value)
    assert ARN in str(refused.value)


def test_a_missing_permission_names_the_action_to_allow(client: "SecretsManagerClient") -> None:
    with Stubber(client) as stub:
        stub.add_client_error("put_secret_value", "AccessDeniedException")
        with pytest.raises(RotationError, match="secretsmanager:PutSecretValue"):
            store(client).put_pending(ARN, token=TOKEN, value='{"password": "canary"}', rotation_token=None)


def test_no_answer_from_aws_is_a_network_failure() -> None:
    class Unreachable:
        def describe_secret(self, **_: object) -> None:
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    unreachable: Any = Unreachable()
    with pytest.raises(RotationError, match="VPC endpoint") as failed:
        SecretsManager(unreachable).describe(ARN)
    assert failed.value.kind is Kind.NETWORK


def test_a_binary_value_is_refused(client: "SecretsManagerClient") -> None:
    arn = client.create_secret(Name="binary", SecretBinary=b"canary")["ARN"]
    with pytest.raises(RotationError, match="binary") as refused:
        store(client).read(arn, label=CURRENT)
    assert "canary" not in str(refused.value)


def test_a_version_is_read_by_its_id_alone_and_asked_for_once(client: "SecretsManagerClient", secret: str) -> None:
    first = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
    version = next(iter(first))
    client.put_secret_value(SecretId=secret, SecretString="{}")
    pauses: list[float] = []
    assert (
        store(client, pauses).read(secret, version=version) == client.get_secret_value(SecretId=secret, VersionId=version)["SecretString"]
    )
    with pytest.raises(VersionMissing):
        store(client, pauses).read(secret, version="11111111-2222-4333-8444-555555555555")
    assert pauses == []
