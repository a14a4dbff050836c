"""Writes to AWS: the `Rotations` port. Both calls are safe to repeat: one by its token, the other because it names the version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn.adapters.aws.calls import Caller
from keyturn.domain.versions import AWSPENDING

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class SecretsManagerRotations:
    """The `Rotations` of one connection."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def start(self, secret_id: str, *, token: str) -> None:
        """See `Rotations.start`. No rotation rules are sent: they would be stored, and replace those that the secret has."""
        await self._caller.secrets("RotateSecret", lambda client: _rotate(client, secret_id, token), secret_id=secret_id)

    async def remove_pending(self, secret_id: str, *, version_id: str) -> None:
        """See `Rotations.remove_pending`. If the label has moved on, AWS refuses: CONFLICT, LabelsMoved."""
        await self._caller.secrets("UpdateSecretVersionStage", lambda client: _remove(client, secret_id, version_id), secret_id=secret_id)


def _rotate(client: SecretsManagerClient, secret_id: str, token: str) -> None:
    client.rotate_secret(SecretId=secret_id, ClientRequestToken=token)


def _remove(client: SecretsManagerClient, secret_id: str, version_id: str) -> None:
    client.update_secret_version_stage(SecretId=secret_id, VersionStage=AWSPENDING, RemoveFromVersionId=version_id)
