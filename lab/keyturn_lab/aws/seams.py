"""Every place where the lab reaches into moto, which is pinned: nothing else of the lab imports its insides.

Secrets Manager is the lab's own; moto serves STS, IAM, KMS, Lambda's configuration, EventBridge and SQS.
"""

import copy
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import moto
import moto.awslambda.models as lambda_models
from moto.awslambda.utils import get_backend
from moto.core.config import default_user_config
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.events.models import events_backends
from moto.kms.models import kms_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager.list_secrets import filters
from moto.secretsmanager.utils import random_password as random_password
from moto.sqs.models import sqs_backends
from moto.sts.models import sts_backends

log = logging.getLogger(__name__)

PINNED = "5.2.5"
ACCOUNT = "123456789012"

FILTERS: dict[str, Callable[[Any, list[str]], bool]] = {
    "all": filters.filter_all,
    "name": filters.name_filter,
    "description": filters.description_filter,
    "tag-key": filters.tag_key,
    "tag-value": filters.tag_value,
    "owning-service": filters.owning_service_filter,
    "primary-region": lambda secret, values: False,
}
"""Moto's filters of ListSecrets, which agree with AWS; the lab has no replicas."""

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A Lambda function as its configuration describes it."""

    arn: str
    name: str
    role_arn: str
    handler: str
    timeout: float
    memory: int
    code_hash: str
    code: bytes = field(repr=False)
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    statements: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Credentials of a role session."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


class RememberingFunction(lambda_models.LambdaFunction):
    """A function as Lambda describes it: moto takes a dead-letter queue and a log group, and forgets them."""

    FORGOTTEN = ("DeadLetterConfig", "LoggingConfig")

    def __init__(self, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
        super().__init__(account_id, spec, region, version)
        self.remembered = {name: spec[name] for name in self.FORGOTTEN if name in spec}

    def update_configuration(self, config_updates: dict[str, Any]) -> dict[str, Any]:
        self.remembered |= {name: config_updates[name] for name in self.FORGOTTEN if name in config_updates}
        updated: dict[str, Any] = super().update_configuration(config_updates)
        return updated

    def get_configuration(self, on_create: bool = False) -> dict[str, Any]:
        return super().get_configuration(on_create) | self.remembered


def moto_app() -> WsgiApp:
    """Moto's own server application, told to leave Docker alone."""
    if moto.__version__ != PINNED:
        raise RuntimeError(f"the lab's AWS is written against moto {PINNED}, but {moto.__version__} is installed")
    vars(lambda_models)["LambdaFunction"] = RememberingFunction
    default_user_config["lambda"] = {"use_docker": False}
    app: WsgiApp = DomainDispatcherApplication(create_backend_app)
    return app


def reset() -> None:
    """Empty every service that moto serves."""
    moto_api_backend.reset()


def identity(access_key_id: str, region: str) -> tuple[str, str]:
    """(account, ARN) of an access key, as STS tells it; unknown keys belong to the lab's default account."""
    account = _account_of(access_key_id)
    _, arn, account = sts_backends[account]["aws"].get_caller_identity(access_key_id, region)
    return account, arn


def _account_of(access_key_id: str) -> str:
    for account, backend in list(sts_backends.items()):
        if backend["aws"].get_assumed_role_from_access_key(access_key_id):
            return str(account)
    return ACCOUNT


def assume_role(role_arn: str, session_name: str, region: str) -> Session:
    """A session of a function's role; moto checks no trust policy."""
    account = role_arn.split(":")[4]
    role = sts_backends[account]["aws"].assume_role(
        region_name=region, role_session_name=session_name, role_arn=role_arn, policy="", duration=43_200, external_id=""
    )
    return Session(access_key_id=role.access_key_id, secret_access_key=role.secret_access_key, session_token=role.session_token)


def find_function(name_or_arn: str, *, account: str, region: str, qualifier: str | None = None) -> Function | None:
    """A function by name or ARN (with or without qualifier)."""
    if name_or_arn.startswith("arn:"):
        region, account = name_or_arn.split(":")[3:5]
    try:
        found = get_backend(account, region).get_function(name_or_arn, qualifier)
    except JsonRESTError:
        return None
    return Function(
        arn=found.function_arn,
        name=found.function_name,
        role_arn=found.role,
        handler=found.handler or "",
        timeout=float(found.timeout),
        memory=int(found.memory_size),
        code_hash=str(found.code_sha_256),
        code=found.code_bytes,
        environment=tuple(sorted(found.environment_vars.items())),
        statements=tuple(found.policy.statements),
    )


def key_state(kms_key_id: str, *, account: str, region: str) -> str | None:
    """A KMS key's state (`Enabled`, `Disabled`, `PendingDeletion` ...) by id, ARN or alias; None if there is no such key."""
    backend = kms_backends[account][region]
    key_id = kms_key_id.rsplit("key/", 1)[-1]
    if "alias/" in kms_key_id:
        key_id = backend.get_key_id_from_alias("alias/" + kms_key_id.rsplit("alias/", 1)[1]) or ""
    key = backend.keys.get(key_id)
    return str(key.key_state) if key else None


def deliver(event: Any, *, account: str, region: str) -> None:
    """One event on the default bus to the queues of every enabled rule that matches.

    Moto's own delivery leaves out the account; only a target with an input transformer is left to it. A queue that is gone loses its
    events, as on AWS once the retries are over.
    """
    bus = events_backends[account][region].event_buses["default"]
    for rule in list(bus.rules.values()):
        if rule.state == "DISABLED" or not rule.event_pattern.matches_event(event):
            continue
        for target in list(rule.targets):
            try:
                _send(rule, target, event)
            except (ServiceException, JsonRESTError) as error:
                log.warning("an event for %s is lost: %s", target["Arn"], error)


def _send(rule: Any, target: dict[str, Any], event: dict[str, Any]) -> None:
    _, _, service, region, account, name = target["Arn"].split(":", 5)
    if service == "sqs" and "InputTransformer" not in target:
        group = target.get("SqsParameters", {}).get("MessageGroupId")
        sqs_backends[account][region].send_message(queue_name=name, message_body=json.dumps(event), group_id=group)
        return
    single = copy.copy(rule)
    single.targets = [target]
    seconds = datetime.fromisoformat(event["time"]).timestamp()
    single.send_to_targets(event | {"time": seconds, "ingestion-time": seconds})
