"""AWS's four steps and their guards, written once for every engine.

Secrets Manager calls the steps in order with one token, and starts again from the first when one fails. So each must be harmless when it is
repeated, in any order after its first time.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html

One rotation costs 3 DescribeSecret, 4 GetSecretValue, 1 PutSecretValue and 1 UpdateSecretVersionStage: createSecret does not look whether a
pending value is there (PutSecretValue never overwrites one), and testSecret reads the labels only where the pending value cannot be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"


class Step(StrEnum):
    """The steps that AWS knows."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


class Runner(StrEnum):
    """Who drives the steps."""

    LAMBDA = "Lambda"  # Secrets Manager: it has made the pending version
    JOB = "Job"  # ourselves: createSecret makes it, and AWS's own rotation must be off, or both would write AWSPENDING


class Result(StrEnum):
    """How a step that did not fail ended."""

    DONE = "Done"
    ALREADY_CURRENT = "AlreadyCurrent"
    CURRENT_VERIFIED = "CurrentVerified"  # there is no pending value, as in AWS's test of a new rotation: the current one was tried
    UNSUPPORTED = "Unsupported"  # not a failure: this version does not know the step


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a step."""

    step: Step
    secret: str
    token: str  # the VersionId of the pending version
    rotation_token: str | None = field(default=None, repr=False)  # proves to AWS that the rotation's own function writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What DescribeSecret says about a rotation."""

    rotation_enabled: bool | None  # None: never configured
    stages: Mapping[str, frozenset[str]]  # VersionId -> its labels, versions without a value included

    def holder(self, label: str) -> str | None:
        """The version that carries the label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)


class VersionMissing(Exception):
    """The version is not there, has no value, or does not carry the label."""


class VersionExists(Exception):
    """The version has a value already, and another one."""


class VersionStore(Protocol):
    """The versions of secrets. Every refusal but the two above is a RotationError."""

    def describe(self, secret: str) -> Description: ...

    def read(self, secret: str, *, label: str, version: str | None = None) -> str:
        """The value with that label, and of that version where one is given. Raises VersionMissing."""

    def put_pending(self, secret: str, *, token: str, value: str, rotation_token: str | None) -> None:
        """Store the value as the version `token`, labelled AWSPENDING. Raises VersionExists."""

    def promote(self, secret: str, *, token: str, from_version: str) -> None:
        """Move AWSCURRENT from one version to the other."""


class Context:
    """What an engine may read while it works; each is read at most once."""

    def __init__(self, store: VersionStore, secret: str, deadline: Deadline) -> None:
        self._store = store
        self._read: dict[tuple[str, str], Credential] = {}
        self.secret = secret
        self.deadline = deadline

    def current(self) -> Credential:
        """AWSCURRENT's value. Raises RotationError where there is none."""
        return self._of(self.secret, CURRENT)

    def previous(self) -> Credential | None:
        """AWSPREVIOUS's value, where there is one."""
        try:
            return Credential.parse(self._store.read(self.secret, label=PREVIOUS), secret=self.secret)
        except VersionMissing:
            return None

    def superuser(self) -> Credential:
        """The value of the secret that AWSCURRENT's masterarn names."""
        name = self.current().superuser_secret
        if name is None:
            raise RotationError(Kind.POLICY, "the field masterarn is missing", check="the secret's JSON", secret=self.secret)
        return self._of(name, CURRENT)

    def _of(self, secret: str, label: str) -> Credential:
        if (secret, label) not in self._read:
            try:
                value = self._store.read(secret, label=label)
            except VersionMissing:
                raise RotationError(
                    Kind.POLICY, f"no version has a value and {label}", check="the secret's versions", secret=secret
                ) from None
            self._read[secret, label] = Credential.parse(value, secret=secret)
        return self._read[secret, label]


class Engine(Protocol):
    """One kind of back end whose credential can be replaced."""

    def propose(self, current: Credential, context: Context) -> Credential:
        """The next credential, not yet applied."""

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        """The name of a field of `pending` that no proposal from `current` could have, or None."""

    def apply(self, pending: Credential, context: Context) -> None:
        """Make it valid. Harmless when it is valid already."""

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in with it, and see that it may do what the app does."""


class Rotation:
    """Runs steps against a store and the engine that a credential asks for."""

    def __init__(
        self, store: VersionStore, engine_of: Callable[[Credential], Engine], *, deadline: Deadline, runner: Runner = Runner.LAMBDA
    ) -> None:
        self._store = store
        self._engine_of = engine_of
        self._deadline = deadline
        self._runner = runner

    def run(self, request: Request) -> Result:
        """Do one step. Raises RotationError."""
        self._deadline.remaining()
        context = Context(self._store, request.secret, self._deadline)
        if request.step is Step.TEST:
            return self._test(request, context)
        described = self._store.describe(request.secret)
        if CURRENT in described.stages.get(request.token, ()):
            return Result.ALREADY_CURRENT
        self._may_rotate(request, described)
        match request.step:
            case Step.CREATE:
                self._create(request, context)
            case Step.SET:
                self._set(request, context)
            case Step.FINISH:
                self._finish(request, described)
        return Result.DONE

    def _create(self, request: Request, context: Context) -> None:
        current = context.current()
        proposed = self._engine_of(current).propose(current, context)
        try:
            self._store.put_pending(request.secret, token=request.token, value=proposed.to_json(), rotation_token=request.rotation_token)
        except VersionExists:
            return  # an earlier attempt has stored its proposal, and may have applied it: that one goes on

    def _set(self, request: Request, context: Context) -> None:
        pending = self._pending(request)
        if pending is None:
            raise _refused(request, "the pending version has no value", check="that createSecret has run for this version")
        current = context.current()
        engine = self._engine_of(current)
        if field_name := pending.differs_from(current) or engine.is_successor(pending, current):
            raise _refused(
                request,
                f"the pending version's {field_name} is not what the current version leads to",
                check=f"who wrote the version {request.token}; remove its label AWSPENDING and rotate again",
            )
        engine.apply(pending, context)

    def _test(self, request: Request, context: Context) -> Result:
        pending = self._pending(request)
        if pending is not None:
            self._engine_of(pending).verify(pending, context)
            return Result.DONE
        described = self._store.describe(request.secret)
        if CURRENT in described.stages.get(request.token, ()):
            return Result.ALREADY_CURRENT
        self._may_rotate(request, described)
        current = context.current()
        self._engine_of(current).verify(current, context)
        return Result.CURRENT_VERIFIED

    def _finish(self, request: Request, described: Description) -> None:
        current = described.holder(CURRENT)
        if current is None:
            raise _refused(request, "no version is current", check="the secret's versions")
        self._store.promote(request.secret, token=request.token, from_version=current)

    def _pending(self, request: Request) -> Credential | None:
        try:
            value = self._store.read(request.secret, label=PENDING, version=request.token)
        except VersionMissing:
            return None
        return Credential.parse(value, secret=request.secret)

    def _may_rotate(self, request: Request, described: Description) -> None:
        if self._runner is Runner.LAMBDA and described.rotation_enabled is False:
            raise _refused(request, "rotation is turned off for the secret", check="RotationEnabled of the secret")
        if self._runner is Runner.JOB and described.rotation_enabled:
            raise _refused(request, "AWS rotates the secret itself", check="RotationEnabled of the secret: two rotators must not share it")
        pending = described.holder(PENDING)
        if self._runner is Runner.JOB and request.step is Step.CREATE and pending in (None, described.holder(CURRENT)):
            return
        if request.token not in described.stages:
            raise _refused(request, "the token is not a version of the secret", check="who called this function")
        if pending != request.token:
            raise _refused(request, "the token's version is not pending", check="the secret's staging labels")


def _refused(request: Request, what: str, *, check: str) -> RotationError:
    return RotationError(Kind.POLICY, f"{request.step} refused: {what}", check=check, secret=request.secret)
