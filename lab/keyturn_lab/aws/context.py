"""What an action of Secrets Manager works with: one call, and the lab around it."""

import random
import re
import string
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from . import labels as rules
from .clock import Clock
from .errors import AwsError, access_denied, invalid_parameter, invalid_request, not_authorized, not_found
from .faults import Faults
from .settings import Settings
from .store import Secret, Store

Json = dict[str, Any]
MARKED = "You can't perform this operation on the secret because it was marked for deletion."


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: an account, and the ARN that a denial names. `function_arn` if it is the role session of a Lambda of the lab."""

    account: str
    arn: str
    access_key_id: str = ""
    function_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to Secrets Manager."""

    action: str
    params: Mapping[str, Any] = field(repr=False)
    region: str
    caller: Caller

    def text(self, name: str) -> str | None:
        """A string parameter; absent and null are the same."""
        value = self.params.get(name)
        return None if value is None else str(value)

    def required(self, name: str) -> str:
        """A string parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid_parameter(f"You must provide a value for the {name} parameter.")
        return value

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """A bounded integer parameter."""
        value = self.params.get(name)
        number = default if value is None else int(value)
        if low <= number <= high:
            return number
        field_name = name[0].lower() + name[1:]
        bound = f"greater than or equal to {low}" if number < low else f"less than or equal to {high}"
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{number}' at '{field_name}' failed to satisfy constraint: Member must have value {bound}",
        )


class Functions(Protocol):
    """What rotation needs of Lambda."""

    def refusal(self, lambda_arn: str, secret: Secret) -> str | None:
        """Why Secrets Manager may not invoke the function for this secret; None if it may."""

    def invoke_step(self, lambda_arn: str, event: Json) -> str | None:
        """Run one step; the error's text if it failed."""


class Bus(Protocol):
    """Where events go."""

    def label_updated(self, secret: Secret, label: str, version_id: str, at: datetime) -> None:
        """The native event."""

    def service_event(self, secret: Secret, name: str, version_id: str, at: datetime, error: str | None = None) -> None:
        """The event of CloudTrail's kind."""


class Keys(Protocol):
    """KMS, as far as secrets need it."""

    def unusable(self, secret: Secret) -> str | None:
        """Why the secret's key cannot decrypt; None if it can."""


@dataclass(slots=True, kw_only=True)
class Lab:
    """The state that all actions share. Hold `lock` around every look at or change of the store."""

    functions: Functions
    bus: Bus
    keys: Keys
    store: Store = field(default_factory=Store)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    settings: Settings = field(default_factory=Settings)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)
    stale_list: dict[tuple[str, str], list[Json]] | None = None

    def secret(self, call: Call, *, alive: bool = True) -> Secret:
        """The secret that the call names; `alive` refuses one that is marked for deletion."""
        secret = self.store.find(call.required("SecretId"), account=call.caller.account, region=call.region)
        if secret is None:
            raise not_found()
        if secret.account != call.caller.account and not secret.policy:
            raise not_authorized(call.caller.arn, f"secretsmanager:{call.action}", secret.arn, kind="resource")
        if alive and secret.deleted:
            raise invalid_request(MARKED)
        return secret

    def relabel(self, secret: Secret, labels: Mapping[str, str]) -> None:
        """Set the labels, stamp the change, and tell about every label that came to a version."""
        before, now = secret.labels, self.clock.now()
        secret.labels = dict(labels)
        secret.changed = now
        for label, version_id in rules.newly_attached(before, labels):
            if label not in (rules.PENDING, rules.PREVIOUS):
                self.bus.label_updated(secret, label, version_id, now)

    def refuse_denied(self, call: Call, secret_id: str) -> None:
        """A denial of one action on one secret, where the action is part of another call."""
        secret = self.store.find(secret_id, account=call.caller.account, region=call.region)
        names = [secret_id, *([secret.name, secret.arn] if secret else [])]
        caller = call.caller
        if self.faults.for_part(call.action, names=names, caller=caller.access_key_id, by_lambda=caller.function_arn is not None):
            raise not_authorized(caller.arn, f"secretsmanager:{call.action}", secret.arn if secret else secret_id)

    def labels_of(self, secret: Secret) -> Mapping[str, str]:
        """The labels as a read of a value sees them: those of before, while a switch says so."""
        return self.faults.stale_labels(secret.arn, [secret.name, secret.arn]) or secret.labels

    def check_key(self, secret: Secret) -> None:
        """Nothing can be decrypted with a key that is disabled or gone."""
        reason = self.keys.unusable(secret)
        if reason == "missing":
            raise access_denied("Access to KMS is not allowed")
        if reason:
            raise AwsError("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.")


Action = Callable[[Lab, Call], Json]


def new_arn(name: str, *, account: str, region: str) -> str:
    """An ARN with a random suffix: a secret made again under the same name is another one."""
    suffix = "".join(random.choices(string.ascii_letters, k=6))
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{suffix}"


def checked_token(token: str) -> str:
    """A ClientRequestToken, which becomes the version id verbatim."""
    if not 32 <= len(token) <= 64:
        raise invalid_parameter("ClientRequestToken must be 32-64 characters long.")
    return token


def checked_name(name: str) -> str:
    """A secret's name; the code and text were recorded on AWS."""
    if not re.fullmatch(r"[A-Za-z0-9/_+=.@!-]{1,512}", name):
        raise AwsError(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        )
    return name
