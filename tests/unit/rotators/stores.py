"""A VersionStore in a dictionary and a back end in another, both of which can die before any request."""

import json
import threading
import uuid
from collections import Counter

from keyturn_rotators.alternation import alternate
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context, Engine
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Request, Result, Rotation, Runner, Step
from keyturn_rotators.versions import CURRENT, PENDING, PREVIOUS, Description, VersionExists, VersionMissing


class Killed(BaseException):
    """The process ends here: nothing may catch it."""


class Life:
    """Of the process that rotates: it ends before the request of that number, to AWS or to the back end; None: never.

    A request made in the process itself asks `request`, a proxy between it and the back end `is_over`.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.ends_before: int | None = None
        self.over = False
        self._lock = threading.Lock()

    def request(self) -> None:
        if self.is_over():
            raise Killed

    def is_over(self) -> bool:
        """Count one more request; True where it is not made any more, nor any after it."""
        with self._lock:
            self.over = self.over or self.requests == self.ends_before
            self.requests += not self.over
            return self.over

    def begin(self, *, ends_before: int | None = None) -> None:
        """Another process: it counts from zero."""
        with self._lock:
            self.requests, self.ends_before, self.over = 0, ends_before, False


class DictionaryStore:
    """Versions and labels of some secrets, with AWS's rules for moving them."""

    def __init__(self, life: Life | None = None, **values: str) -> None:
        """`values` are the current values of secrets, by name."""
        self.life = life or Life()
        self.values: dict[str, dict[str, str]] = {}
        self.labels: dict[str, dict[str, set[str]]] = {}
        self.enabled: bool | None = True
        self.calls: Counter[tuple[str, str]] = Counter()  # by action and secret
        self.rotation_tokens: list[str | None] = []
        for name, value in values.items():
            self.values[name], self.labels[name] = {"v1": value}, {"v1": {CURRENT}}

    def start(self, secret: str) -> str:
        """What RotateSecret does: a new version without a value, labelled AWSPENDING."""
        token = str(uuid.uuid4())
        self.label(secret, PENDING, token)
        return token

    def holder(self, secret: str, label: str) -> str | None:
        return next((version for version, labels in self.labels[secret].items() if label in labels), None)

    def value(self, secret: str, label: str = CURRENT) -> str:
        version = self.holder(secret, label)
        assert version is not None
        return self.values[secret][version]

    def credential(self, secret: str, label: str = CURRENT) -> Credential:
        return Credential.parse(self.value(secret, label), secret=secret)

    def label(self, secret: str, label: str, version: str) -> None:
        for labels in self.labels[secret].values():
            labels.discard(label)
        self.labels[secret].setdefault(version, set()).add(label)

    def describe(self, secret: str) -> Description:
        self._called("DescribeSecret", secret)
        stages = {version: frozenset(labels) for version, labels in self.labels[secret].items() if labels}
        return Description(rotation_enabled=self.enabled, stages=stages)

    def read(self, secret: str, *, label: str | None = None, version: str | None = None) -> str:
        self._called("GetSecretValue", secret)
        holder = self.holder(secret, label) if label else version
        if holder is None or version not in (None, holder) or holder not in self.values[secret]:
            raise VersionMissing
        return self.values[secret][holder]

    def put_pending(self, secret: str, *, token: str, value: str, rotation_token: str | None) -> None:
        self._called("PutSecretValue", secret)
        self.rotation_tokens.append(rotation_token)
        if self.values[secret].get(token, value) != value:
            raise VersionExists
        self.values[secret][token] = value
        self.label(secret, PENDING, token)

    def promote(self, secret: str, *, token: str, from_version: str) -> None:
        self._called("UpdateSecretVersionStage", secret)
        assert self.holder(secret, CURRENT) == from_version, "AWS refuses to take a label from a version that does not have it"
        self.label(secret, PREVIOUS, from_version)
        self.label(secret, CURRENT, token)

    def _called(self, action: str, secret: str) -> None:
        self.life.request()
        self.calls[action, secret] += 1


class Server:
    """A back end that knows users and their passwords."""

    def __init__(self, life: Life, **passwords: str) -> None:
        self.life = life
        self.passwords = passwords
        self.changes = 0

    def takes(self, credential: Credential) -> bool:
        return self.passwords.get(credential.username) == credential.password

    def logs_in(self, credential: Credential) -> bool:
        self.life.request()
        return self.takes(credential)

    def set_password(self, credential: Credential) -> None:
        self.life.request()
        self.changes += 1
        self.passwords[credential.username] = credential.password

    def lock(self, user: str) -> None:
        self.life.request()
        self.changes += 1
        self.passwords.pop(user, None)


class ServerEngine:
    """The least engine: one user whose password changes, or two in turn."""

    def __init__(self, server: Server, *, alternating: bool) -> None:
        self._server = server
        self._alternating = alternating
        self.principal = ("username",) if alternating else ("username", "password")

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=self._next(current), password=uuid.uuid4().hex)

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == self._next(current) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if not self._server.logs_in(pending):
            self._server.set_password(pending)

    def verify(self, pending: Credential, context: Context) -> None:
        assert self._server.logs_in(pending)

    def retire(self, old: Credential, context: Context) -> None:
        context.confirm_idle()
        if self._alternating:
            self._server.lock(old.username)
        if self._server.logs_in(old):
            raise RotationError(Kind.SERVER, "still taken", check="the engine")

    def restore(self, old: Credential, context: Context) -> None:
        context.confirm_idle()
        self.apply(old, context)

    def _next(self, current: Credential) -> str:
        return alternate(current.username) if self._alternating else current.username


class World:
    """One secret `app`, its server, and what rotates it."""

    def __init__(self, *, alternating: bool = True, **fields: object) -> None:
        self.life = Life()
        value = {"engine": "fake", "host": "db.example", "username": "app", "password": "first"} | fields
        self.store = DictionaryStore(self.life, app=json.dumps(value))
        self.server = Server(self.life, app="first")
        self.engine: Engine = ServerEngine(self.server, alternating=alternating)

    def step(self, step: Step, token: str, *, runner: Runner = Runner.LAMBDA, rotation_token: str | None = None) -> Result:
        rotation = Rotation(self.store, lambda _: self.engine, deadline=Deadline.after(60), runner=runner)
        return rotation.run(Request(step=step, secret="app", token=token, rotation_token=rotation_token))

    def rotate(self, token: str) -> None:
        for step in ROTATION:
            self.step(step, token)

    @property
    def current_logs_in(self) -> bool:
        return self.server.takes(self.store.credential("app"))
