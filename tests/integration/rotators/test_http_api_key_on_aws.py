"""Whole rotations of an API key by Secrets Manager of the lab, with the very zip that is shipped, and a declaration of one's own in it."""

import json
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyturn_lab.aws import Aws, Settings
from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_rotators.package import HANDLER, build

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

EXAMPLE = Path(__file__).parents[3] / "examples" / "http-api-key" / "acme.toml"
WITHIN = 90.0  # seconds for a rotation


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws(settings=Settings(rotation_attempts=50)) as lab:
        yield lab


@pytest.fixture(scope="module")
def provider() -> Iterator[HttpProvider]:
    with HttpProvider() as running:
        yield running


@pytest.fixture(scope="module")
def function(aws: Aws, provider: HttpProvider, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = tmp_path_factory.mktemp("zip") / "rotator.zip"
    archive.write_bytes(build("http_api_key"))
    with zipfile.ZipFile(archive, "a") as content:
        content.write(EXAMPLE, "acme.toml")
    environment = {"KEYTURN_PROVIDER_FILE": "acme.toml", "KEYTURN_CA_BUNDLE": str(provider.bundle)}
    return aws.register_function("api-key-rotator", archive, handler=HANDLER, timeout=60, environment=environment)


class Secret:
    """An account of its own at the provider, and its secret in AWS with the administrator's."""

    def __init__(self, aws: Aws, provider: HttpProvider, function: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.aws, self.provider, self.function = aws, provider, function
        admin = self.manager.create_secret(Name=f"admin-{mark}", SecretString=json.dumps(provider.admin_secret(provider="acme")))
        self.first = provider.create_key(f"shop-{mark}")
        value = {"engine": "http-api-key", "provider": "acme", "account": f"shop-{mark}", "masterarn": admin["ARN"]}
        key = {"key_id": self.first.id, "api_key": self.first.secret}
        self.arn = self.manager.create_secret(Name=f"shop-{mark}", SecretString=json.dumps(value | key))["ARN"]

    @property
    def manager(self) -> "SecretsManagerClient":
        return self.aws.client("secretsmanager")

    def rotate(self) -> None:
        version = self.manager.rotate_secret(
            SecretId=self.arn, RotationLambdaARN=self.function, RotationRules={"AutomaticallyAfterDays": 30}
        )["VersionId"]
        self.aws.wait_for_rotation(self.arn, version, timeout=WITHIN)

    def version(self, label: str) -> str:
        return self.manager.get_secret_value(SecretId=self.arn, VersionStage=label)["VersionId"]

    def key(self) -> str:
        value: dict[str, str] = json.loads(self.manager.get_secret_value(SecretId=self.arn)["SecretString"])
        return value["api_key"]

    def call(self, step: str, version: str) -> dict[str, str]:
        """What the operator does for the steps that AWS lacks."""
        event = json.dumps({"Step": step, "SecretId": self.arn, "ClientRequestToken": version})
        answer = self.aws.client("lambda").invoke(FunctionName=self.function, Payload=event)
        assert "FunctionError" not in answer
        said: dict[str, str] = json.loads(answer["Payload"].read())
        return said


@pytest.fixture
def secret(aws: Aws, provider: HttpProvider, function: str) -> Secret:
    return Secret(aws, provider, function)


def test_the_shipped_zip_rotates_retires_and_says_what_it_cannot(secret: Secret) -> None:
    keys = [secret.first.secret]
    for _ in range(2):
        secret.rotate()
        keys.append(secret.key())
    assert len(set(keys)) == 3
    assert all(secret.provider.accepts(key) for key in keys)
    previous = secret.version("AWSPREVIOUS")
    assert secret.call("restoreSecret", previous)["result"] == "Done"
    assert secret.call("retireSecret", previous)["result"] == "Done"
    assert [secret.provider.accepts(key) for key in keys] == [True, False, True]
    answer = secret.call("restoreSecret", previous)
    assert answer["result"] == "Unsupported"
    assert "rotate instead" in answer["message"]


def test_no_value_is_in_what_the_functions_print_answer_or_raise(secret: Secret) -> None:
    secret.rotate()
    values = [secret.first.secret, secret.key(), secret.provider.admin_token]
    said = "".join(f"{call.output}{call.payload}{call.error}{call.trace}" for call in secret.aws.invocations("api-key-rotator"))
    assert "createSecret" in said
    assert not [value for value in values if value in said]
