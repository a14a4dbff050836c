"""AWS's four steps, two of our own, and their guards, written once for every engine.

Secrets Manager calls its steps in order with one token, and starts again from the first when one fails. So each must be harmless when it is
repeated, in any order after its first time.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html

retireSecret and restoreSecret end and reopen the life of an older version: their token is that version. No label is moved by them.

One rotation costs 3 DescribeSecret, 4 GetSecretValue, 1 PutSecretValue and 1 UpdateSecretVersionStage: createSecret does not look whether a
pending value is there (PutSecretValue never overwrites one), and testSecret reads the labels only where the pending value cannot be read.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context, Engine, in_flight
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.versions import CURRENT, PENDING, Description, VersionExists, VersionMissing, VersionStore

LONGEST_VALUE = 65_536  # bytes, of a SecretString


class Step(StrEnum):
    """What can be asked of a rotator. Secrets Manager asks for the first four, in this order."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"
    RETIRE = "retireSecret"  # make an older version's credential useless
    RESTORE = "restoreSecret"  # make it valid again, for a rollback


ROTATION = (Step.CREATE, Step.SET, Step.TEST, Step.FINISH)  # one whole rotation


class Runner(StrEnum):
    """Who drives the steps."""

    LAMBDA = "Lambda"  # Secrets Manager: it has made the pending version
    JOB = "Job"  # ourselves: createSecret makes it, and AWS's own rotation must be off, or both would write AWSPENDING


class Result(StrEnum):
    """How a step that did not fail ended."""

    DONE = "Done"
    ALREADY_CURRENT = "AlreadyCurrent"
    CURRENT_VERIFIED = "CurrentVerified"  # there is no pending value, as in AWS's test of a new rotation: the current one was tried
    UNSUPPORTED = "Unsupported"  # not a failure: this version, or this engine, does not know the step


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a step."""

    step: Step
    secret: str
    token: str  # the VersionId of the pending version; for retireSecret and restoreSecret, of the older one
    rotation_token: str | None = field(default=None, repr=False)  # proves to AWS that the rotation's own function writes


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
        """Do one step. Raises RotationError; for retireSecret and restoreSecret Unsupported, where the engine has nothing that does it."""
        try:
            return self._run(request)
        except Unsupported as why:
            if request.step not in ROTATION:
                raise
            raise _refused(request, f"the engine cannot do it: {why}", check="the engine: AWS would take the step for done") from None

    def _run(self, request: Request) -> Result:
        self._deadline.remaining()
        context = Context(self._store, request.secret, self._deadline)
        if request.step is Step.TEST:
            return self._test(request, context)
        described = self._store.describe(request.secret)
        if request.step in (Step.RETIRE, Step.RESTORE):
            return self._older(request, context, described)
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
        value = self._engine_of(current).propose(current, context).to_json()
        if len(value.encode()) > LONGEST_VALUE:
            raise _refused(request, f"the new value would be longer than {LONGEST_VALUE} bytes", check="the secret's other fields")
        try:
            self._store.put_pending(request.secret, token=request.token, value=value, rotation_token=request.rotation_token)
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

    def _older(self, request: Request, context: Context, described: Description) -> Result:
        """Retire or restore. A rotation in flight may use the same login at any moment: nothing is done beside it."""
        if described.in_flight:
            raise in_flight(request.secret)
        if request.step is Step.RETIRE and CURRENT in described.stages.get(request.token, ()):
            raise _refused(request, "the version is current", check="which version is to be retired")
        old, current = self._version(request), context.current()
        engine = self._engine_of(current)
        if field_name := old.differs_from(current):
            raise _refused(
                request,
                f"the version's {field_name} is not the current version's",
                check=f"who wrote the version {request.token}, and whether its credential is still to be ended by hand",
            )
        if request.step is Step.RESTORE:
            engine.restore(old, context)
            return Result.DONE
        if all(old.get(name) == current.get(name) for name in engine.principal):
            shared = " and ".join(engine.principal)
            raise _refused(request, f"its {shared} is the current version's too", check="whether the next rotation replaces it")
        engine.retire(old, context)
        return Result.DONE

    def _version(self, request: Request) -> Credential:
        try:
            value = self._store.read(request.secret, version=request.token)
        except VersionMissing:
            raise _refused(request, "the token is not a version with a value", check="the secret's versions") from None
        return Credential.parse(value, secret=request.secret)

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
