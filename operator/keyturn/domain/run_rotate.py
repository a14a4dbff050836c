"""The first step of a run that rotates: start the rotation or join somebody else's, wait for the promotion, and meet what is stuck.

The labels say how far it is. A rotation that somebody else left for dead blocks every other one: it is met as our own would be, but that
it ends is not the end of the run, which had a rotation of its own to do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keyturn.api import RotatingSecret, RotationRun, RunVersions, StepName, StepState, Trigger, duration
from keyturn.domain.actions import RemovePending, StartRotation
from keyturn.domain.names import rotation_token
from keyturn.domain.observed import Limits, SourceView
from keyturn.domain.rejection import REASON, known_rejection, why_not_rotate
from keyturn.domain.run_record import Record
from keyturn.domain.run_seen import SOON, ObservedRun, RunPlan, strategy_of
from keyturn.domain.secret_plan import newest_mirror
from keyturn.domain.versions import Awaited, Patience, Phase, RotationState, VersionId, classify


def rotate(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record, now: datetime) -> RunPlan | Record:
    """What is to be done to get the new version promoted; once it is, the record that says so."""
    token = rotation_token(seen.run.metadata.uid)
    awaited = _awaited(seen.run, token, record)
    patience = Patience(timeout=_timeout(parent), grace=seen.limits.stuck_grace)
    state = classify(source.labels, awaited, now=now, patience=patience, pending_has_value=seen.pending_has_value)
    since = awaited.started_at or (awaited.behind_since if source.labels.pending == awaited.behind else None) or now
    soon = now + (SOON if now < since + 30 * SOON else 5 * SOON)
    match state.phase:
        case Phase.PROMOTED | Phase.LATE_SUCCESS:
            record = record.versions(RunVersions(from_=record.version_from or source.labels.previous, to=awaited.token))
            return record.step(StepName.ROTATE, StepState.SUCCEEDED, f"AWS promoted {awaited.token}")
        case Phase.SUPERSEDED:
            return RunPlan(draft=record.superseded(f"AWS has moved on to {source.labels.current}").status())
        case Phase.RUNNING | Phase.OVERDUE:
            record = record.versions(RunVersions(from_=record.version_from or source.labels.current, to=awaited.token))
            say = f"AWS rotates to {awaited.token}" if awaited.token == token else joined(awaited.token)
            running = record.step(StepName.ROTATE, StepState.RUNNING, say)
            return RunPlan(draft=running.status(), look_again_at=min(soon, state.look_again_at or soon))
        case Phase.FOREIGN if not awaited.seen:
            return _foreign(seen.run, source, record, min(soon, state.look_again_at or soon))
        case Phase.FOREIGN | Phase.ABANDONED:
            return _lost(record, state, joined_=awaited.token != token, soon=soon)
        case Phase.STUCK_EMPTY | Phase.STUCK_WITH_VALUE:
            return _stuck(seen, source, record, state, foreign=state.version != token, soon=soon)
        case _:
            return _begin(seen, parent, source, record, token, soon)


def _awaited(run: RotationRun, token: VersionId, record: Record) -> Awaited:
    to, behind = record.version_to, run.status.foreign_rotation
    return Awaited(
        token=VersionId(to) if to else token,
        started_at=record.started(StepName.ROTATE),
        expected_from=VersionId(record.version_from) if record.version_from else None,
        seen=to is not None,
        behind=VersionId(behind.version_id) if behind else None,
        behind_since=behind.since if behind else None,
    )


def _timeout(parent: RotatingSecret) -> timedelta:
    return duration(parent.spec.rotation.timeout) if parent.spec.rotation else timedelta(minutes=15)


def needs_to_know_of_a_value(run: RotationRun, parent: RotatingSecret, source: SourceView, *, limits: Limits, now: datetime) -> bool:
    """Only of a rotation that is past its time it is asked whether the pending version has a value."""
    step = next((step for step in run.status.steps if step.name is StepName.ROTATE), None)
    if step is None or not source.labels.rotating or step.state not in {StepState.RUNNING, StepState.WAITING}:
        return False
    behind = run.status.foreign_rotation
    if behind is not None and behind.version_id == source.labels.pending:
        return now >= behind.since + _timeout(parent) + limits.stuck_grace
    return step.start_time is not None and now >= step.start_time + _timeout(parent)


def _foreign(run: RotationRun, source: SourceView, record: Record, again: datetime) -> RunPlan:
    """Somebody else's rotation is in flight: a scheduled run joins it, a manual one waits for it."""
    pending = source.labels.pending
    if run.spec.trigger is Trigger.MANUAL:
        message = f"waits for a rotation to {pending} that somebody else started"
        return RunPlan(draft=record.behind(pending).waiting("ForeignRotation", message).status(), look_again_at=again)
    record = record.versions(RunVersions(from_=source.labels.current, to=pending))
    return RunPlan(draft=record.step(StepName.ROTATE, StepState.RUNNING, joined(pending)).status(), look_again_at=again)


def joined(version: str | None) -> str:
    """What the step says as long as the rotation is somebody else's."""
    return f"joined a rotation to {version} that somebody else started"


def _lost(record: Record, state: RotationState, *, joined_: bool, soon: datetime) -> RunPlan:
    """The label that was waited for is gone, or elsewhere.

    That ends a rotation of our own. One that was joined has only ended somebody else's: AWS's own test of the rotation function
    (RotateImmediately=false) ends so each time.
    """
    if joined_:
        message = "the rotation that the run had joined was ended without a promotion: it starts its own"
        return RunPlan(draft=record.not_begun("ForeignRotation", message).status(), look_again_at=soon)
    message = "another rotation took AWSPENDING away from this one"
    if state.phase is Phase.ABANDONED:
        message = f"AWS gave version {state.version} up without promoting it; see the log of the rotation function"
    return RunPlan(draft=record.failed("RotationFailed", message).status())


def _stuck(seen: ObservedRun, source: SourceView, record: Record, state: RotationState, *, foreign: bool, soon: datetime) -> RunPlan:
    """Past its time. A version that never got a value has changed nothing at the back end, and its label may go."""
    version = str(state.version)
    if state.phase is Phase.STUCK_WITH_VALUE:
        message = stuck_message(source, version, known=seen.pending_has_value is not None, foreign=foreign)
        return RunPlan(draft=record.failed("RotationStuck", message).status())
    if foreign:
        message = (
            f"a rotation to {version} that somebody else started died in createSecret: AWSPENDING was taken off it, and this run rotates"
        )
        return RunPlan(
            draft=record.not_begun("ForeignRotation", message).status(),
            actions=(RemovePending(version=version, foreign=True),),
            look_again_at=soon,
        )
    message = f"the rotation died in createSecret: version {version} never got a value, and AWSPENDING was taken off it"
    return RunPlan(draft=record.failed("RotationFailed", message).status(), actions=(RemovePending(version=version),))


def _begin(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record, token: str, soon: datetime) -> RunPlan:
    """No trace of our token in AWS: say that it starts, and in the next pass start it."""
    if not source.rotation_configured:
        message = (
            f"secret {source.name} has no rotation configured in AWS; configure it with: aws secretsmanager rotate-secret --secret-id "
            f"{source.name} --rotation-lambda-arn <function> --rotation-rules AutomaticallyAfterDays=30 --no-rotate-immediately"
        )
        return RunPlan(draft=record.failed("RotationNotConfigured", message).status())
    record = record.behind(None)
    if record.started(StepName.ROTATE) is not None:
        return RunPlan(draft=record.status(), actions=(StartRotation(token=token),), look_again_at=soon)
    held_back = _held_back(seen, parent, source, record, soon)
    if held_back is not None:
        return held_back
    record = record.versions(RunVersions(from_=source.labels.current))
    return RunPlan(draft=record.step(StepName.ROTATE, StepState.RUNNING, "starts").status(), look_again_at=soon - SOON)


def _held_back(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record, soon: datetime) -> RunPlan | None:
    """What keeps a rotation from beginning: pods that it might lock out, and the connection's cap."""
    current, settled, urgent = source.labels.current, parent.status.settled, seen.run.spec.urgent
    rejected = known_rejection(parent, seen.runs, current=current, mirror=newest_mirror(parent.status.mirror, seen.runs))
    if rejected is not None and not urgent and (why := why_not_rotate(rejected, parent, strategy_of(parent))):
        return RunPlan(draft=record.failed(REASON, why).status())
    if rejected is None and settled is not None and settled.version_id != current and not urgent:
        message = f"waits until version {current}, which somebody else promoted, is brought to the workloads"
        return RunPlan(draft=record.waiting("VersionChanged", message).status(), look_again_at=soon)
    if seen.rotation_budget <= 0:
        message = "waits: the connection's maxRotations are under way"
        return RunPlan(draft=record.waiting("TooManyRotations", message).status(), look_again_at=soon)
    return None


def stuck_message(source: SourceView, version: str, *, known: bool = True, foreign: bool = False) -> str:
    """What is known of a rotation that died with a value in the pending version, and the commands for both ways out."""
    promote = (
        f"aws secretsmanager update-secret-version-stage --secret-id {source.name} --version-stage AWSCURRENT"
        f" --move-to-version-id {version} --remove-from-version-id {source.labels.current}"
    )
    whose = ", from a rotation that somebody else started," if foreign else ""
    value = "with a value" if known else "and AWS does not say whether it has a value"
    return (
        f"version {version}{whose} is pending {value}: the back end may have either credential. Log in with both. If the pending one works,"
        f" promote it: {promote}; if the current one works, give the pending one up: {give_up(source.name, version)}"
    )


def give_up(secret_id: str, version: str) -> str:
    """The command that takes AWSPENDING off a version."""
    return (
        f"aws secretsmanager update-secret-version-stage --secret-id {secret_id} --version-stage AWSPENDING"
        f" --remove-from-version-id {version}"
    )
