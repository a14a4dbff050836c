"""From an object's connectionRef to AWS: the connection, what it permits, and the shared client behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import EllipsisType

from keyturn.api import Auth, AWSConnection, ClusterAWSConnection, ClusterAWSConnectionSpec, ConnectionKind, RotatingSecret, Verb, duration
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import Failure
from keyturn.domain.permission import YES, Connection, Decision, Permissions, Tenant, canonical_name_matches, parse_secret_id, permissions
from keyturn.engine.keys import Key, Kind
from keyturn.engine.ports import Aws, AwsConnections, Credentials, Objects
from keyturn.engine.world import World, connection_key

CREDENTIALS_AGE = 60.0  # seconds that a connection's static credentials are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an object gets: to AWS, or to the reason why not."""

    key: Key
    aws: Aws | None = None
    failure: Failure | None = None
    permission: Connection | None = None
    permissions: Permissions | None = None  # of the object's namespace, to its secret: decided once a pass
    max_rotations: int = 1

    def may(self, verb: Verb) -> Decision:
        """Whether the object's namespace may do this to its secret."""
        return self.permissions.to(verb) if self.permissions is not None else YES  # the connection's own failure is said instead

    def answers_for(self, secret_id: str, *, name: str, arn: str) -> Decision:
        """Whether AWS's answer is about the secret that was permitted."""
        if self.permission is None:
            return YES
        return canonical_name_matches(parse_secret_id(secret_id), answered_name=name, answered_arn=arn, connection=self.permission)


def failure_of(error: OutsideError) -> Failure:
    """A refusal as data."""
    return Failure(kind=error.kind, reason=error.reason, message=error.message)


class Connections:
    """Resolves references; keeps credentials for a minute, so that 2,500 objects do not read one Secret 2,500 times."""

    def __init__(self, world: World, aws: AwsConnections, objects: Objects, *, own_namespace: str) -> None:
        self._world, self._aws, self._objects = world, aws, objects
        self._own_namespace = own_namespace
        self._clock: Callable[[], float] = time.monotonic
        self._credentials: dict[tuple[str, str], tuple[float, Credentials]] = {}

    async def of(self, secret: RotatingSecret) -> Reach:
        """How far a RotatingSecret gets."""
        ref, namespace = secret.spec.connection_ref, secret.metadata.namespace
        key = connection_key(namespace, ref.kind.value, ref.name)
        found = self._world.objects.connection(key)
        if found is None:
            message = f"there is no {key}: create it, or correct spec.connectionRef"
            return Reach(key=key, failure=Failure(kind=FailureKind.MISSING, reason="ConnectionNotFound", message=message))
        try:
            tenant = Tenant(namespace=namespace, labels=await self._labels(found, namespace))
            aws = await self.client(key, found)
        except OutsideError as error:
            return Reach(key=key, failure=failure_of(error))
        connection = permission_view(key, found)
        allowed = permissions(secret_id=secret.spec.secret_id, tenant=tenant, connection=connection)
        return Reach(key=key, aws=aws, permission=connection, permissions=allowed, max_rotations=found.spec.max_rotations)

    async def client(self, key: Key, connection: AWSConnection | ClusterAWSConnection) -> Aws:
        """The shared client of a connection."""
        spec = connection.spec
        return self._aws.get(
            region=spec.region,
            endpoint=spec.endpoint if isinstance(spec, ClusterAWSConnectionSpec) else None,
            credentials=await self._static(key, connection),
            poll_interval=duration(spec.poll_interval).total_seconds(),
        )

    async def _labels(self, connection: AWSConnection | ClusterAWSConnection, namespace: str) -> Mapping[str, str]:
        """The namespace's labels, read only if a rule asks for them."""
        rules = connection.spec.allow if isinstance(connection, ClusterAWSConnection) else []
        return await self._objects.namespace_labels(namespace) if any(rule.namespaces.match_labels for rule in rules) else {}

    async def _static(self, key: Key, connection: AWSConnection | ClusterAWSConnection) -> Mapping[str, str] | None:
        auth = connection.spec.auth
        if auth is None:
            return None
        where = self._where(key, auth)
        known = self._credentials.get(where)
        if known is not None and known[0] > self._clock():
            return known[1].values
        try:
            found = await self._objects.read_credentials(*where)
        except OutsideError as error:
            if error.kind in {FailureKind.MISSING, FailureKind.INVALID}:
                self._wait_for_others(key, where, than=None if error.kind is FailureKind.MISSING else ...)
            raise
        self._credentials[where] = (self._clock() + CREDENTIALS_AGE, found)
        return found.values

    def refused(self, key: Key, connection: AWSConnection | ClusterAWSConnection, reason: str) -> None:
        """What AWS refused the connection for: static credentials that do not work are not kept, and other ones are waited for."""
        auth = connection.spec.auth
        if auth is None or reason != "CredentialsUnusable":
            return
        where = self._where(key, auth)
        known = self._credentials.pop(where, None)
        self._wait_for_others(key, where, than=known[1].version if known is not None else ...)

    def _wait_for_others(self, key: Key, where: tuple[str, str], *, than: str | EllipsisType | None) -> None:
        self._world.unwatched.wait(key, where, mark=lambda view: view.resource_version, seen=than)

    def _where(self, key: Key, auth: Auth) -> tuple[str, str]:
        """Namespace and name of the Secret with a connection's access key."""
        return key.namespace if key.kind is Kind.CONNECTION else self._own_namespace, auth.static_credentials.secret_ref.name


def permission_view(key: Key, connection: AWSConnection | ClusterAWSConnection) -> Connection:
    """What permission needs to know of a connection."""
    return Connection(
        kind=ConnectionKind(key.kind.value),
        name=key.name,
        region=connection.spec.region,
        namespace=key.namespace or None,
        account=account_of(connection.status.identity),
        allow=connection.spec.allow if isinstance(connection, ClusterAWSConnection) else (),
    )


def account_of(identity: str | None) -> str | None:
    """The account in the ARN of an identity, once sts has told it: arn:aws:sts::<account>:assumed-role/..."""
    parts = (identity or "").split(":")
    return parts[4] if len(parts) > 4 and parts[4].isdigit() else None
