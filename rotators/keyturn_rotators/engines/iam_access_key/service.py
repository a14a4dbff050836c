"""What is asked of IAM about one user's keys, as the function's own role."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.iam_access_key.identity import NO_ROUTE, Identity, client_config
from keyturn_rotators.engines.iam_access_key.keys import Key
from keyturn_rotators.errors import Kind, RotationError

ACTIVE, INACTIVE = "Active", "Inactive"
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})


class Client(Protocol):
    """What is used of boto3's client for IAM."""

    def list_access_keys(self, *, UserName: str) -> Mapping[str, Any]: ...

    def create_access_key(self, *, UserName: str) -> Mapping[str, Any]: ...

    def update_access_key(self, *, UserName: str, AccessKeyId: str, Status: str) -> Mapping[str, Any]: ...

    def delete_access_key(self, *, UserName: str, AccessKeyId: str) -> Mapping[str, Any]: ...

    def get_access_key_last_used(self, *, AccessKeyId: str) -> Mapping[str, Any]: ...

    def list_user_tags(self, *, UserName: str) -> Mapping[str, Any]: ...

    def tag_user(self, *, UserName: str, Tags: list[dict[str, str]]) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A key as IAM lists it."""

    id: str
    active: bool
    created: datetime


class Service:
    """IAM, for the keys of one user."""

    def __init__(self, user: Identity, *, secret: str, deadline: Deadline) -> None:
        self.user = user
        self.now = datetime.now(UTC)  # by IAM's clock, once it has answered
        self._secret, self._deadline = secret, deadline
        self._client: Client = boto3.client("iam", config=client_config(deadline))

    def listed(self) -> list[Listed]:
        """The user's keys; IAM has two at most, on one page."""
        with self._explained("ListAccessKeys"):
            answer = self._client.list_access_keys(UserName=self.user.name)
        if date := answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date"):
            self.now = parsedate_to_datetime(date).astimezone(UTC)
        return [
            Listed(id=each["AccessKeyId"], active=each["Status"] == ACTIVE, created=each["CreateDate"].astimezone(UTC))
            for each in answer["AccessKeyMetadata"]
        ]

    def find(self, key_id: str) -> Listed | None:
        return next((each for each in self.listed() if each.id == key_id), None)

    def create(self) -> Key:
        """A new key. Asked for once: a call whose answer is lost may have made one."""
        once: Client = boto3.client("iam", config=client_config(self._deadline, attempts=1))
        with self._explained("CreateAccessKey"):
            made = once.create_access_key(UserName=self.user.name)["AccessKey"]
        return Key(id=made["AccessKeyId"], secret=made["SecretAccessKey"])

    def set_active(self, key_id: str, *, active: bool) -> None:
        with self._explained("UpdateAccessKey"):
            self._client.update_access_key(UserName=self.user.name, AccessKeyId=key_id, Status=ACTIVE if active else INACTIVE)

    def delete(self, key: Listed) -> None:
        """First of all inactive, so that whoever used it is refused by a key that could still be brought back."""
        if key.active:
            self.set_active(key.id, active=False)
        with self._explained("DeleteAccessKey"):
            self._client.delete_access_key(UserName=self.user.name, AccessKeyId=key.id)

    def last_service(self, key_id: str) -> str | None:
        """The service that the key was used for last; None where it never was."""
        with self._explained("GetAccessKeyLastUsed"):
            used = self._client.get_access_key_last_used(AccessKeyId=key_id).get("AccessKeyLastUsed", {})
        return used["ServiceName"] if used.get("LastUsedDate") else None

    def tag(self, name: str) -> str | None:
        with self._explained("ListUserTags"):
            tags = self._client.list_user_tags(UserName=self.user.name)["Tags"]
        return next((tag["Value"] for tag in tags if tag["Key"] == name), None)

    def set_tag(self, name: str, value: str) -> None:
        with self._explained("TagUser"):
            self._client.tag_user(UserName=self.user.name, Tags=[{"Key": name, "Value": value}])

    def error(self, kind: Kind, what: str, check: str) -> RotationError:
        return RotationError(kind, what, check=check, secret=self._secret, user=self.user.arn)

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        self._deadline.remaining()
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            what = f"{action} was answered with {code}"
            if code in DENIED:
                raise self.error(Kind.PERMISSION, what, f"that the function's role may iam:{action} on the user") from None
            if code == "LimitExceeded":
                check = "the user's keys: it has two already, one of them made a moment ago; a rotation that failed is tried again"
                raise self.error(Kind.POLICY, what, check) from None
            raise self.error(Kind.SERVER, what, "the user in IAM; a rotation that failed is tried again") from None
        except BotoCoreError as error:
            raise self.error(Kind.NETWORK, f"{action} got no answer ({type(error).__name__})", NO_ROUTE) from None
