"""One user of ElastiCache or MemoryDB, through AWS's API.

AWS tells how many passwords a user has and not which. A change takes until the user is active again, on all of its clusters.
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
https://docs.aws.amazon.com/memorydb/latest/devguide/clusters.acls.html
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

import boto3

from keyturn_rotators.aws_api import DENIED, client_config, explained
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

ELASTICACHE, MEMORYDB = "elasticache", "memorydb"
ACTIVE = "active"
UNKNOWN = frozenset({"UserNotFound", "UserNotFoundFault"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """`arn:aws:elasticache:eu-west-1:111122223333:user:app`; MemoryDB's ends in `user/app`."""

    service: str
    region: str
    user: str

    @classmethod
    def of(cls, credential: Credential) -> Self:
        """Raises RotationError where `user_arn` is not that of such a user."""
        parts = credential.text("user_arn").split(":", 5)
        kind, _, user = parts[-1].replace("/", ":", 1).partition(":")
        if len(parts) != 6 or parts[0] != "arn" or parts[2] not in (ELASTICACHE, MEMORYDB) or kind != "user" or not (parts[3] and user):
            raise credential.invalid("user_arn", "is not the ARN of a user of ElastiCache or MemoryDB")
        return cls(service=parts[2], region=parts[3], user=user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What AWS tells."""

    name: str
    status: str
    authentication: str  # password, no-password or iam
    passwords: int


class AwsUser:
    """The user of a secret. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline, poll: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """`poll`: seconds between two looks."""
        self._credential = credential
        self._arn = Arn.of(credential)
        self._deadline = deadline
        self._poll = poll
        self._sleep = sleep
        with self._explained("the client"):
            self._client: Any = boto3.client(self._arn.service, region_name=self._arn.region, config=client_config(deadline))  # type: ignore[call-overload]  # stubs know those services only that they are installed for

    def active(self) -> Found:
        """Wait until the last change has reached all clusters. Raises RotationError where the user has no passwords to be rotated."""
        while (found := self._describe()).status != ACTIVE:
            try:
                self._deadline.remaining()
            except RotationError:
                check = "the user's status; a change may take minutes: a longer time-out of the function"
                raise self.error(Kind.SERVER, f"the user is still {found.status}", check) from None
            self._sleep(min(self._poll, self._deadline.remaining()))
        if found.authentication != "password":
            check = "its authentication mode: users who log in by IAM or without a password have nothing to rotate"
            raise self.error(Kind.POLICY, f"the user's authentication is {found.authentication}", check)
        if found.name != self._credential.username:
            check = "the fields user_arn and username of the secret"
            raise self.error(Kind.POLICY, "the user of the ARN has another name", check)
        return found

    def set_passwords(self, passwords: Sequence[str]) -> None:
        """The user has these and no others, from when it is active again. Two at most."""
        arn = self._arn
        if arn.service == MEMORYDB:
            mode = {"Type": "password", "Passwords": list(passwords)}
            with self._explained("UpdateUser"):
                self._client.update_user(UserName=arn.user, AuthenticationMode=mode)
        else:
            with self._explained("ModifyUser"):
                self._client.modify_user(UserId=arn.user, Passwords=list(passwords))

    def error(self, kind: Kind, what: str, check: str) -> RotationError:
        return RotationError(kind, what, check=check, secret=self._credential.secret, user=self._arn.user)

    def _describe(self) -> Found:
        arn = self._arn
        with self._explained("DescribeUsers"):
            name = "UserName" if arn.service == MEMORYDB else "UserId"
            users = self._client.describe_users(**{name: arn.user})["Users"]
        if not users:
            raise self.error(Kind.POLICY, "there is no such user", "the field user_arn, its account and its Region")
        [user] = users
        authentication = user.get("Authentication", {})
        return Found(
            name=user.get("UserName") or user.get("Name", ""),
            status=user["Status"],
            authentication=authentication.get("Type", "unknown"),
            passwords=authentication.get("PasswordCount") or 0,
        )

    def _explained(self, action: str) -> AbstractContextManager[None]:
        route = f"the function's route to {self._arn.service}'s API: its VPC endpoint or NAT, and the security group"
        return explained(action, meaning=lambda code: self._meaning(code, action), route=route, error=self.error)

    def _meaning(self, code: str, action: str) -> tuple[Kind, str]:
        if code in DENIED:
            return Kind.PERMISSION, f"that the function's role may {self._arn.service}:{action} on the user"
        if code in UNKNOWN:
            return Kind.POLICY, "the field user_arn, its account and its Region"
        if code.startswith("InvalidParameter"):
            return Kind.POLICY, "PASSWORD_LENGTH (16 to 128) and EXCLUDE_CHARACTERS of the function"
        return Kind.SERVER, "whether somebody else changes the user; a rotation that failed is tried again"
