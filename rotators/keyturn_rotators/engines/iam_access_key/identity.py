"""Whose key it is, and whether AWS takes it: sts:GetCallerIdentity, which no policy can deny."""

from dataclasses import dataclass
from enum import StrEnum

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.iam_access_key.keys import Key
from keyturn_rotators.errors import Kind, RotationError

CONNECT_WITHIN, READ_WITHIN, ATTEMPTS = 3.0, 5.0, 3
NO_ROUTE = "the function's route to STS and IAM: most Regions have no VPC endpoint for IAM, so a function in a VPC needs NAT"


class Refusal(StrEnum):
    """Why AWS does not take a key, by its own code."""

    UNKNOWN = "InvalidClientTokenId"  # there is no such key, or it is inactive
    WRONG = "SignatureDoesNotMatch"  # the key's id is known, its secret is another


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An IAM user."""

    arn: str
    name: str


def client_config(deadline: Deadline, *, attempts: int = ATTEMPTS) -> Config:
    """Bounded by what is left of the step."""
    return Config(
        connect_timeout=deadline.remaining(at_most=CONNECT_WITHIN),
        read_timeout=deadline.remaining(at_most=READ_WITHIN),
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


def identify(key: Key, *, secret: str, deadline: Deadline) -> Identity | Refusal:
    """Ask AWS as the key itself. Raises RotationError where there is no certain answer, or it is no IAM user's."""
    client = boto3.client(
        "sts", aws_access_key_id=key.id, aws_secret_access_key=key.secret, config=client_config(deadline), aws_session_token=None
    )
    try:
        arn = client.get_caller_identity()["Arn"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in list(Refusal):
            return Refusal(code)
        what = f"GetCallerIdentity was answered with {code}"
        raise RotationError(Kind.SERVER, what, check="AWS's status; a rotation that failed is tried again", secret=secret) from None
    except BotoCoreError as error:
        what = f"GetCallerIdentity got no answer ({type(error).__name__})"
        raise RotationError(Kind.NETWORK, what, check=NO_ROUTE, secret=secret) from None
    _, _, path = arn.rpartition(":")
    if not path.startswith("user/"):
        raise RotationError(Kind.POLICY, "the key is not an IAM user's", check="whose access key the secret has", secret=secret)
    return Identity(arn=arn, name=path.rpartition("/")[2])
