"""One namespace of Redshift Serverless, through AWS's API.

The function's role may change the admin of a namespace, whoever wrote the secret: so the secret must name that admin, and a host of a
workgroup of that very namespace, where its current password is tried before.
https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/API_UpdateNamespace.html
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import boto3
from botocore.exceptions import ClientError

from keyturn_rotators.aws_api import DENIED, client_config, explained
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

SERVICE = "redshift-serverless"
FIELD = "namespaceName"  # of the secret, as AWS's console writes it
AVAILABLE = "AVAILABLE"
BUSY = "ConflictException"


class Namespace:
    """The namespace of a secret, in the function's Region. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline, poll: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """`poll`: seconds between two looks."""
        self._credential = credential
        self._name = credential.text(FIELD)
        self._deadline = deadline
        self._poll = poll
        self._sleep = sleep
        with self._explained("the client"):
            self._client: Any = boto3.client(SERVICE, config=client_config(deadline))  # type: ignore[call-overload]  # stubs know those services only that they are installed for

    def available(self) -> None:
        """Wait until the last change is through. Raises RotationError where its admin is not the secret's user, or AWS's own affair."""
        while (found := self._get())["status"] != AVAILABLE:
            self._wait(f"the namespace is still {found['status']}")
        if found.get("adminUsername") != self._credential.username:
            check = "the fields namespaceName and username; other users than the admin are rotated by the engine redshift"
            raise self.error(Kind.POLICY, "the secret's user is not the namespace's admin", check)
        if found.get("adminPasswordSecretArn"):
            check = "the namespace: its admin's password is managed, and rotated, by AWS"
            raise self.error(Kind.POLICY, "AWS keeps the admin's password in a secret of its own", check)

    def set_admin_password(self, password: str) -> None:
        """Raises RotationError where the secret's host is not the namespace's, or the change does not come through in time."""
        if self._credential.host not in self._hosts():
            check = "the fields host and namespaceName: the host is the endpoint or the custom domain of one of the namespace's workgroups"
            raise self.error(Kind.POLICY, "the host is not one of the namespace", check)
        while not self._updated(password):
            self._wait("another change of the namespace is under way")
        self.available()

    def error(self, kind: Kind, what: str, check: str) -> RotationError:
        credential = self._credential
        return RotationError(kind, f"{what} (namespace {self._name})", check=check, secret=credential.secret, user=credential.username)

    def _get(self) -> dict[str, Any]:
        with self._explained("GetNamespace"):
            found: dict[str, Any] = self._client.get_namespace(namespaceName=self._name)["namespace"]
            return found

    def _hosts(self) -> set[str]:
        found: set[str] = set()
        with self._explained("ListWorkgroups"):
            for page in self._client.get_paginator("list_workgroups").paginate():
                for workgroup in page["workgroups"]:
                    if workgroup.get("namespaceName") == self._name:
                        found |= {workgroup.get("endpoint", {}).get("address", ""), workgroup.get("customDomainName", "")}
        return found - {""}

    def _updated(self, password: str) -> bool:
        """False where the namespace is being changed by somebody."""
        with self._explained("UpdateNamespace"):
            try:
                self._client.update_namespace(namespaceName=self._name, adminUsername=self._credential.username, adminUserPassword=password)
            except ClientError as error:
                if error.response["Error"]["Code"] != BUSY:
                    raise
                return False
        return True

    def _wait(self, why: str) -> None:
        try:
            self._sleep(self._deadline.remaining(at_most=self._poll))
        except RotationError:
            check = "the namespace's status; a change may take minutes: a longer time-out of the function. The step may be repeated"
            raise self.error(Kind.SERVER, why, check) from None

    def _explained(self, action: str) -> AbstractContextManager[None]:
        route = f"the function's Region, and its route to {SERVICE}'s API: its VPC endpoint or NAT, and the security group"
        return explained(action, meaning=lambda code: _meaning(code, action), route=route, error=self.error)


def _meaning(code: str, action: str) -> tuple[Kind, str]:
    if code in DENIED:
        return Kind.PERMISSION, f"that the function's role may {SERVICE}:{action}"
    if code == "ResourceNotFoundException":
        return Kind.POLICY, "the field namespaceName, and that the function is in the namespace's Region and account"
    if code == "ValidationException":
        return Kind.POLICY, "Redshift's rules for passwords: 8 to 64 characters, an upper and a lower case letter, a digit"
    return Kind.SERVER, "the namespace; a rotation that failed is tried again"
