"""The versions of secrets in AWS Secrets Manager.

Reads are eventually consistent: what one step has written, the next may not find at once. So a read names the version and the label, and is
repeated a few times before a value counts as missing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.versions import CURRENT, PENDING, Description, VersionExists, VersionMissing

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueRequestTypeDef, PutSecretValueRequestTypeDef

READ_AGAIN_AFTER = (0.1, 0.3, 0.8)  # seconds; only where a value is missing that an earlier step should have written
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId"})
KMS = frozenset({"DecryptionFailure", "EncryptionFailure"})


class SecretsManager:
    """The VersionStore of production. Raises RotationError that names the action that was refused."""

    def __init__(self, client: "SecretsManagerClient", *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def describe(self, secret: str) -> Description:
        with _explained("DescribeSecret", secret):
            answer = self._client.describe_secret(SecretId=secret)
        stages = answer.get("VersionIdsToStages", {})
        return Description(
            rotation_enabled=answer.get("RotationEnabled"), stages={version: frozenset(labels) for version, labels in stages.items()}
        )

    def read(self, secret: str, *, label: str | None = None, version: str | None = None) -> str:
        for pause in (*READ_AGAIN_AFTER, None) if version and label else (None,):
            try:
                return self._read_once(secret, label, version)
            except VersionMissing:
                if pause is None:
                    raise
                self._sleep(pause)
        raise VersionMissing

    def put_pending(self, secret: str, *, token: str, value: str, rotation_token: str | None) -> None:
        request: PutSecretValueRequestTypeDef = {
            "SecretId": secret,
            "ClientRequestToken": token,
            "SecretString": value,
            "VersionStages": [PENDING],
        }
        if rotation_token:
            request["RotationToken"] = rotation_token
        with _explained("PutSecretValue", secret):
            try:
                self._client.put_secret_value(**request)
            except ClientError as error:
                if _code(error) == "ResourceExistsException":
                    raise VersionExists from None
                raise

    def promote(self, secret: str, *, token: str, from_version: str) -> None:
        with _explained("UpdateSecretVersionStage", secret):
            self._client.update_secret_version_stage(
                SecretId=secret, VersionStage=CURRENT, MoveToVersionId=token, RemoveFromVersionId=from_version
            )

    def _read_once(self, secret: str, label: str | None, version: str | None) -> str:
        request: GetSecretValueRequestTypeDef = {"SecretId": secret}
        if label:
            request["VersionStage"] = label
        if version:
            request["VersionId"] = version
        with _explained("GetSecretValue", secret):
            try:
                answer = self._client.get_secret_value(**request)
            except ClientError as error:
                if _code(error) == "ResourceNotFoundException" or _disagree(error):
                    raise VersionMissing from None
                raise
        value = answer.get("SecretString")
        if value is None:
            raise RotationError(Kind.POLICY, "the secret's value is binary", check="the secret's value", secret=secret)
        return value


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _disagree(error: ClientError) -> bool:
    """The label is on another version than the one that was named; AWS says so in words only."""
    return _code(error) == "InvalidRequestException" and "VersionStage" in error.response["Error"].get("Message", "")


@contextmanager
def _explained(action: str, secret: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in DENIED:
            kind, check = Kind.PERMISSION, f"that the function's role may secretsmanager:{action} on the secret, and use its KMS key"
        elif code in KMS:
            kind, check = Kind.PERMISSION, "that the secret's KMS key is enabled, and that the function's role may use it"
        elif code == "ResourceNotFoundException":
            kind, check = Kind.POLICY, "the secret's ARN and its Region"
        else:
            kind, check = Kind.SERVER, "the secret in AWS; a rotation that failed is tried again"
        raise RotationError(kind, f"{action} was answered with {code}", check=check, secret=secret) from None
    except BotoCoreError as error:
        check = "the function's route to Secrets Manager: VPC endpoint or NAT, security group, SECRETS_MANAGER_ENDPOINT"
        raise RotationError(Kind.NETWORK, f"{action} got no answer ({type(error).__name__})", check=check, secret=secret) from None
