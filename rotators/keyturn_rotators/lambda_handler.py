"""The entry of the AWS Lambda function: `keyturn_rotators.lambda_handler.handler`.

Secrets Manager counts a step as failed when the function raises, and ignores what it returns. The answer is for callers of our own, who
must tell a step that this version or this engine cannot do from one that failed.
"""

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.config import Config

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import chooser
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import Request, Result, Rotation, Step
from keyturn_rotators.store import SecretsManager

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MARGIN = 2.0  # seconds between a step's limit and the Lambda's, to report a failure in
ENDPOINT = "SECRETS_MANAGER_ENDPOINT"  # as AWS's functions name it

log = logging.getLogger("keyturn_rotators")
log.setLevel(logging.INFO)
everybody = logging.getLogger()


class LambdaContext(Protocol):
    """What is used of the object that Lambda hands over."""

    def get_remaining_time_in_millis(self) -> int: ...


def handler(event: Mapping[str, object], context: LambdaContext) -> dict[str, str]:
    """Do one step of a rotation. Raises RotationError where it fails."""
    # A function whose log level is DEBUG would have botocore write every value that it reads and sends, and drivers what servers say.
    everybody.setLevel(max(everybody.level, logging.INFO))
    step = _text(event, "Step")
    if step not in list(Step):
        return _unsupported(step, "this version of the rotator does not know the step")
    token = event.get("RotationToken")
    request = Request(
        step=Step(step),
        secret=_text(event, "SecretId"),
        token=_text(event, "ClientRequestToken"),
        rotation_token=token if isinstance(token, str) else None,
    )
    limit = context.get_remaining_time_in_millis() / 1000 - MARGIN
    rotation = Rotation(SecretsManager(_client()), chooser(os.environ), deadline=Deadline.after(limit))
    try:
        result = rotation.run(request)
    except Unsupported as why:
        return _unsupported(step, str(why))
    log.info("%s of %s for version %s: %s", request.step, request.secret, request.token, result)
    return {"step": step, "result": result}


def _unsupported(step: str, why: str) -> dict[str, str]:
    log.info("%s is not supported: %s", step, why)
    return {"step": step, "result": Result.UNSUPPORTED, "message": why}


@cache
def _client() -> "SecretsManagerClient":
    """One client for all calls of this process: making one takes longer than a step."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
    return boto3.client("secretsmanager", endpoint_url=os.environ.get(ENDPOINT) or None, config=config)


def _text(event: Mapping[str, object], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise RotationError(Kind.POLICY, f"the event has no {name}", check="that Secrets Manager calls this function, and nobody else")
    return value
