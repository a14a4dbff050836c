"""RotateSecret as AWS does it: asynchronous, step by step through the secret's Lambda, retried, and by schedule.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html
"""

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

from . import labels as rules
from .context import Action, Call, Json, Lab, checked_token
from .errors import access_denied, invalid_parameter, invalid_request
from .schedule import Schedule, ScheduleError, parse_rules
from .store import ActiveRotation, Rotation, Secret, Version

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
TEST_STEPS = ("testSecret",)
IN_PROGRESS = "A previous rotation isn't complete. That rotation will be reattempted."
NO_LAMBDA = "No Lambda rotation function ARN is associated with this secret."
NEVER_CONFIGURED = (
    "You tried to enable rotation on a secret that doesn't already have a Lambda function ARN configured "
    "and you didn't include such an ARN as a parameter in this call."
)


def rotate_secret(lab: Lab, call: Call) -> Json:
    """Check, keep the configuration, and start: success means no more than that the rotation was accepted."""
    secret = lab.secret(call)
    token = call.text("ClientRequestToken")
    if token is None:
        raise invalid_parameter("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    answer: Json = {"ARN": secret.arn, "Name": secret.name, "VersionId": checked_token(token)}
    if token in secret.versions:
        return answer
    rotation = _configured(lab, secret, call)
    if refusal := lab.functions.refusal(rotation.lambda_arn, secret):
        raise access_denied(refusal)
    if rules.rotation_in_progress(secret.labels):
        raise invalid_request(IN_PROGRESS)
    secret.rotation = rotation
    reschedule(lab, secret)
    begin(lab, secret, token, test_only=not call.params.get("RotateImmediately", True))
    return answer


def _configured(lab: Lab, secret: Secret, call: Call) -> Rotation:
    """The configuration with what the call changes of it; nothing is stored yet."""
    known, given = secret.rotation, call.params.get("RotationRules")
    lambda_arn = call.text("RotationLambdaARN") or (known.lambda_arn if known else None)
    if not lambda_arn:
        raise invalid_request(NO_LAMBDA)
    schedule = _schedule(given) if given is not None else known.schedule if known else None
    kept = dict(given) if given is not None else known.rules if known else {}
    since = secret.rotated or lab.clock.now()
    if known:
        return replace(known, lambda_arn=lambda_arn, rules=kept, schedule=schedule, enabled=True, since=max(known.since, since))
    return Rotation(lambda_arn=lambda_arn, rules=kept, schedule=schedule, since=since)


def _schedule(given: Json) -> Schedule | None:
    try:
        return parse_rules(given)
    except ScheduleError as error:
        raise invalid_parameter(str(error)) from error


def cancel_rotate_secret(lab: Lab, call: Call) -> Json:
    """Rotation off, and one in flight is not carried on; AWSPENDING stays where it is."""
    secret = lab.secret(call)
    if secret.rotation is None:
        raise invalid_request(NEVER_CONFIGURED)
    secret.rotation.enabled = False
    secret.active = None
    reschedule(lab, secret)
    version_id = secret.labels.get(rules.PENDING) if rules.rotation_in_progress(secret.labels) else secret.current
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": version_id}


def begin(lab: Lab, secret: Secret, version_id: str, *, test_only: bool = False) -> None:
    """Label an empty version AWSPENDING (or take up the one that is pending) and run the steps in the background."""
    if version_id not in secret.versions:
        current = secret.versions.get(secret.current or "")
        value = (current.string, current.binary) if test_only and current else (None, None)
        secret.versions[version_id] = Version(version_id=version_id, created=lab.clock.now(), string=value[0], binary=value[1])
    lab.relabel(secret, dict(secret.labels) | {rules.PENDING: version_id})
    active = ActiveRotation(version_id=version_id, rotation_token=str(uuid.uuid4()), test_only=test_only)
    secret.active = active
    threading.Thread(target=_run, args=(lab, secret, active), name=f"rotation-{secret.name}", daemon=True).start()


def _run(lab: Lab, secret: Secret, active: ActiveRotation) -> None:
    kind = "TestRotation" if active.test_only else "Rotation"
    _tell(lab, secret, active, f"{kind}Started")
    for attempt in range(1 if active.test_only else lab.settings.rotation_attempts):
        if attempt and lab.closing.wait(lab.settings.rotation_retry_seconds):
            return
        failure = _attempt(lab, secret, active)
        with lab.lock:
            if secret.active is not active:
                return
            if failure is None:
                _succeeded(lab, secret, active)
                _tell(lab, secret, active, f"{kind}Succeeded")
                return
            _tell(lab, secret, active, f"{kind}Failed", failure)
    with lab.lock:
        if secret.active is active:
            _gave_up(lab, secret, active)


def _attempt(lab: Lab, secret: Secret, active: ActiveRotation) -> str | None:
    """All steps once; why it failed, or None. Also None when the rotation is no longer wanted."""
    for step in TEST_STEPS if active.test_only else STEPS:
        with lab.lock:
            rotation = secret.rotation
            if secret.active is not active or rotation is None:
                return None
            if failure := _foreign_value(lab, secret, active):
                return failure
        event = {
            "Step": step,
            "SecretId": secret.arn,
            "ClientRequestToken": active.version_id,
            "RotationToken": active.rotation_token,
        }
        if lab.functions.invoke_step(rotation.lambda_arn, event) is not None:
            return f"Error when executing lambda {rotation.lambda_arn} during {step} step"
    with lab.lock:
        if not active.test_only and secret.current != active.version_id:
            return f"The lambda did not move AWSCURRENT to version {active.version_id}"
    return None


def _foreign_value(lab: Lab, secret: Secret, active: ActiveRotation) -> str | None:
    """Only the secret's own Lambda may write the pending value."""
    version = secret.versions.get(active.version_id)
    if active.test_only or not lab.settings.require_lambda_identity or version is None or secret.rotation is None:
        return None
    if not version.has_value or version.by_rotation:
        return None
    return (
        f"Pending secret version {active.version_id} for Secret {secret.arn} was not created by Lambda {secret.rotation.lambda_arn}. "
        "Remove the AWSPENDING staging label and restart rotation."
    )


def _succeeded(lab: Lab, secret: Secret, active: ActiveRotation) -> None:
    secret.active = None
    if active.test_only:
        _drop_pending(lab, secret, active)
        return
    secret.rotated = secret.changed = lab.clock.now()
    counts_as_rotation(lab, secret)


def _gave_up(lab: Lab, secret: Secret, active: ActiveRotation) -> None:
    secret.active = None
    if active.test_only:
        _drop_pending(lab, secret, active)


def _drop_pending(lab: Lab, secret: Secret, active: ActiveRotation) -> None:
    if secret.labels.get(rules.PENDING) == active.version_id:
        lab.relabel(secret, {label: holder for label, holder in secret.labels.items() if label != rules.PENDING})
    secret.versions.pop(active.version_id, None)


def _tell(lab: Lab, secret: Secret, active: ActiveRotation, name: str, error: str | None = None) -> None:
    lab.bus.service_event(secret, name, active.version_id, lab.clock.now(), error)


def abandon(lab: Lab, secret: Secret, version_id: str) -> None:
    """Somebody stored a value while a rotation was in flight: AWS lets go of it, and says so."""
    secret.active = None
    if secret.rotation:
        lab.bus.service_event(secret, "RotationAbandoned", version_id, lab.clock.now())


def wrote_pending(secret: Secret, call: Call) -> bool:
    """Whether the caller is the secret's rotation function, by its role session or by the token that it was given."""
    if secret.active is None or secret.rotation is None:
        return False
    if call.text("RotationToken") == secret.active.rotation_token:
        return True
    function_arn = call.caller.function_arn
    return function_arn is not None and secret.rotation.lambda_arn.startswith(function_arn)


def counts_as_rotation(lab: Lab, secret: Secret) -> None:
    """The schedule counts from here: a rotation that succeeded, or a value that somebody stored."""
    if secret.rotation:
        secret.rotation.since = lab.clock.now()
        reschedule(lab, secret)
        schedule = secret.rotation.schedule
        secret.rotation.days = schedule.days_between(now=lab.clock.now()) if schedule else None


def reschedule(lab: Lab, secret: Secret) -> None:
    """The next window, from the last rotation; none when rotation is off or only on demand."""
    rotation = secret.rotation
    if rotation is None:
        return
    if rotation.schedule is None or not rotation.enabled:
        rotation.window = rotation.due = None
        return
    rotation.window = rotation.schedule.next_window(since=rotation.since, now=lab.clock.now())
    rotation.due = rotation.window.start


def run_due(lab: Lab) -> list[str]:
    """Start what AWS's own schedules say is due; a window that passed while the clock jumped counts once.

    A rotation that is stuck is attempted again with its own version, as AWS's refusal of another one promises.
    """
    started = []
    with lab.lock:
        now = lab.clock.now()
        for secret in lab.store:
            rotation = secret.rotation
            if rotation is None or rotation.due is None or rotation.due > now or secret.active or secret.deleted:
                continue
            _after_this_window(rotation)
            stuck = secret.labels.get(rules.PENDING) if rules.rotation_in_progress(secret.labels) else None
            begin(lab, secret, stuck or str(uuid.uuid4()))
            started.append(secret.arn)
    return started


def _after_this_window(rotation: Rotation) -> None:
    """Should this attempt fail, the next is in the next window; NextRotationDate stays in the past until one succeeds."""
    if rotation.schedule and rotation.due:
        passed = rotation.due + timedelta(seconds=1)
        rotation.due = rotation.schedule.next_window(since=rotation.due, now=max(passed, rotation.due + timedelta(hours=4))).start


ACTIONS: dict[str, Action] = {
    "RotateSecret": rotate_secret,
    "CancelRotateSecret": cancel_rotate_secret,
}
