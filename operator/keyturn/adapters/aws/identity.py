"""Who we are to AWS: one key per connection, and its SDK clients, made once and only when the first call needs them.

Making a client takes tens of milliseconds, so it happens in the threads that make the calls, never in the event loop.
FIPS and dual-stack endpoints, proxies, CA bundles and service endpoints follow the SDK's environment variables.
https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

from botocore.config import Config
from botocore.session import Session
from botocore.utils import parse_timestamp

from keyturn.adapters.aws.errors import CredentialsUnusable
from keyturn.domain.failures import FailureKind, OutsideError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

OWN_IDENTITY: Final = "own"
_REQUIRED: Final = ("aws_access_key_id", "aws_secret_access_key")
_LOUD: Final = ("botocore", "boto3", "urllib3", "s3transfer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKey:
    """What tells one connection to AWS from another. `identity` is OWN_IDENTITY or a fingerprint of static credentials."""

    region: str
    endpoint: str | None
    identity: str = OWN_IDENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCredentials:
    """Credentials that a connection brings along. Never shown."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> StaticCredentials:
        """Check them: with one missing, the SDK would quietly use the operator's own identity instead."""
        missing = [name for name in _REQUIRED if not given.get(name, "").strip()]
        if missing:
            raise OutsideError(
                FailureKind.DENIED,
                reason=CredentialsUnusable,
                message=f"the connection's credentials lack {' and '.join(missing)}: add it to the Secret that they come from",
            )
        return cls(
            access_key_id=given[_REQUIRED[0]].strip(),
            secret_access_key=given[_REQUIRED[1]].strip(),
            session_token=given.get("aws_session_token", "").strip() or None,
        )

    def fingerprint(self) -> str:
        """Short, one-way, and another one whenever any part changes."""
        parts = "\0".join((self.access_key_id, self.secret_access_key, self.session_token or ""))
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


def key_of(*, region: str, endpoint: str | None, credentials: StaticCredentials | None) -> AwsKey:
    """The key under which connections are shared."""
    return AwsKey(region=region, endpoint=endpoint or None, identity=credentials.fingerprint() if credentials else OWN_IDENTITY)


class Clients:
    """The SDK clients of one connection. Thread-safe; blocking, so it is used in the pool's threads only."""

    def __init__(self, sessions: Sessions, key: AwsKey, credentials: StaticCredentials | None) -> None:
        self._sessions = sessions
        self._key = key
        self._credentials = credentials
        self._lock = threading.Lock()
        self._secrets: SecretsManagerClient | None = None
        self._sts: STSClient | None = None

    def secrets(self) -> SecretsManagerClient:
        """The Secrets Manager client, with the connection's endpoint if it sets one."""
        with self._lock:
            if self._secrets is None:
                made = self._sessions.client("secretsmanager", self._key.region, self._key.endpoint, self._credentials)
                self._secrets = cast("SecretsManagerClient", made)
            return self._secrets

    def sts(self) -> STSClient:
        """The STS client; a connection's endpoint is Secrets Manager's alone."""
        with self._lock:
            if self._sts is None:
                self._sts = cast("STSClient", self._sessions.client("sts", self._key.region, None, self._credentials))
            return self._sts


class Sessions:
    """The one SDK session of the process: the service models and the operator's own credentials are loaded once.

    The SDK's own retries are off: they would sleep in a pool thread, and they take LimitExceededException, which no
    waiting cures, for throttling. `calls.py` retries instead.
    """

    def __init__(self, *, pool_size: int, connect_timeout: float = 3.0, read_timeout: float = 10.0) -> None:
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            max_pool_connections=pool_size,
            retries={"mode": "standard", "total_max_attempts": 1},
            tcp_keepalive=True,
            user_agent_extra="keyturn",
        )
        self._lock = threading.Lock()  # sessions are not thread-safe
        self._session: Session | None = None

    def client(self, service: str, region: str, endpoint: str | None, credentials: StaticCredentials | None) -> object:
        """Make a client; with static credentials, it never sees the operator's own."""
        with self._lock:
            if self._session is None:
                self._session = _new_session()
            return self._session.create_client(
                service,
                region_name=region,
                endpoint_url=endpoint,
                config=self._config,
                aws_access_key_id=credentials.access_key_id if credentials else None,
                aws_secret_access_key=credentials.secret_access_key if credentials else None,
                aws_session_token=credentials.session_token if credentials else None,
            )


def _new_session() -> Session:
    session = Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_utc)
    return session


def _utc(value: str | float) -> datetime:
    """Times in UTC; the SDK's own parser gives the machine's zone, and takes five times as long."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    parsed: datetime = parse_timestamp(value)
    return parsed.astimezone(UTC)


def quiet_botocore() -> None:
    """Keep the SDK's loggers at INFO or above, whatever the root logger says: at DEBUG they print whole bodies, secret values included."""
    named = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _LOUD]
    for name in {*_LOUD, *named}:
        logger = logging.getLogger(name)
        if name in _LOUD or logger.level:  # a child without a level of its own has its parent's
            logger.setLevel(max(logger.level, logging.INFO))
