"""Observed RotationRun -> what to do, its status, and when to look again.

A run goes through its steps in order: rotate (unless somebody else did), mirror the new version, restart the consumers in waves, prove that
they run on it. Nothing is remembered but the status: a pass that is repeated after a crash asks the same questions again. Whatever must be
known after a crash is in the status before its effect: `Rotate: Running` before RotateSecret, the content's time before the first restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyturn.api import Action as RunAction
from keyturn.api import (
    RotatingSecret,
    RotationRun,
    RotationRunStatus,
    RunVersions,
    StepName,
    StepState,
    Strategy,
    Trigger,
    duration,
)
from keyturn.domain import waves
from keyturn.domain.actions import (
    Action,
    AdoptRun,
    RemovePending,
    Restart,
    StartRotation,
    WriteMirror,
)
from keyturn.domain.consumers import Consumer, Content, annotation_of
from keyturn.domain.failures import FailureKind
from keyturn.domain.names import rotation_token
from keyturn.domain.observed import Failure, Limits, PodView, RunView, SourceView, active_run
from keyturn.domain.permission import Decision
from keyturn.domain.run_record import Record
from keyturn.domain.secret_plan import newest_mirror
from keyturn.domain.versions import Awaited, Patience, Phase, VersionId, classify

PARENT_GRACE = timedelta(seconds=30)  # a run may be seen before its RotatingSecret is
SOON = timedelta(seconds=1)
SLOWLY = timedelta(minutes=5)
SLOW = frozenset({FailureKind.INVALID, FailureKind.DENIED, FailureKind.FORBIDDEN, FailureKind.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRun:
    """Everything that decides about one run."""

    run: RotationRun
    parent: RotatingSecret | None
    permitted: Decision  # to do with the connection what this run is about
    source: SourceView | Failure | None = None
    pending_has_value: bool | None = None  # asked only when the rotation is past its time
    runs: Sequence[RunView] = ()  # all of the parent's, this one included
    consumers: Sequence[Consumer] = ()
    pods: Mapping[tuple[str, str], Sequence[PodView] | None] = field(default_factory=dict)
    touched: bool = False  # the Secret is not as this run has written it
    excluded: int = 0  # workloads that use the Secret and are left out by spec.rollout
    reverted_by: Mapping[tuple[str, str], str] = field(default_factory=dict)  # who took the restart annotation of a workload away
    restart_budget: int = 0  # how many workloads may begin a restart now, in the whole cluster
    rotation_budget: int = 1  # how many rotations may begin now, on this connection
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What one look at a run leads to. `draft` is the status if no action had an outcome that says otherwise."""

    draft: RotationRunStatus
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None


def is_over(run: RotationRun) -> bool:
    """The run has an end, and is a record from now on."""
    return run.status.completion_time is not None


def run_plan(seen: ObservedRun, now: datetime) -> RunPlan:
    """Decide about one run. The order of the questions is the order of a run's life."""
    record = Record.of(seen.run, now)
    if is_over(seen.run) or seen.run.metadata.deletion_timestamp is not None:
        return RunPlan(draft=seen.run.status)
    parent = seen.parent
    if parent is None:
        return _without_parent(seen, record, now)
    if parent.metadata.deletion_timestamp is not None:
        return RunPlan(draft=record.failed("SecretDeleted", f"RotatingSecret {parent.metadata.name} is being deleted").status())
    adopt = _adopt(seen.run, parent)
    if parent.spec.suspend is not None and parent.spec.suspend.value == "Everything":
        return RunPlan(draft=record.waiting("Suspended", "the RotatingSecret has spec.suspend: Everything").status())
    active = active_run(seen.runs)
    if active is not None and active.uid != seen.run.metadata.uid:
        message = f"waits for RotationRun {active.name}, which is still active"
        return RunPlan(draft=record.waiting("OtherRunActive", message).status(), actions=adopt)
    if not seen.permitted.allowed:
        return RunPlan(draft=record.failed(seen.permitted.reason, seen.permitted.message).status(), actions=adopt)
    plan = _steps(seen, parent, record, now)
    return RunPlan(draft=plan.draft, actions=(*adopt, *plan.actions), look_again_at=plan.look_again_at)


def _without_parent(seen: ObservedRun, record: Record, now: datetime) -> RunPlan:
    name = seen.run.spec.secret_ref.name
    deadline = (seen.run.metadata.creation_timestamp or now) + PARENT_GRACE
    message = f"there is no RotatingSecret {name} in namespace {seen.run.metadata.namespace}: create it, or correct spec.secretRef.name"
    if now < deadline:
        return RunPlan(draft=record.waiting("SecretNotFound", message).status(), look_again_at=deadline)
    return RunPlan(draft=record.failed("SecretNotFound", message).status())


def _adopt(run: RotationRun, parent: RotatingSecret) -> tuple[Action, ...]:
    owned = any(owner.get("uid") == parent.metadata.uid for owner in run.metadata.owner_references)
    return () if owned else (AdoptRun(name=run.metadata.name, uid=run.metadata.uid),)


def _steps(seen: ObservedRun, parent: RotatingSecret, record: Record, now: datetime) -> RunPlan:
    if record.done(StepName.ROTATE):
        ended = _overtaken(seen, record)
        if ended is not None:
            return RunPlan(draft=ended.status())
        if not record.done(StepName.MIRROR):
            return _mirror(seen, parent, record)
        return _repair(seen, record, now) or _rollout(seen, parent, record, now)
    if isinstance(seen.source, Failure):
        return _source_failed(seen.source, record, now)
    if seen.source is None:
        return RunPlan(draft=record.waiting("SourceUnread", "waits for AWS's answer about the secret").status(), look_again_at=now + SOON)
    if seen.source.deleted:
        return RunPlan(draft=record.failed("SourceDeleted", f"secret {seen.source.name} is scheduled for deletion in AWS").status())
    if _rotates(seen.run):
        return _rotate(seen, parent, seen.source, record, now)
    return _take_current(seen, parent, seen.source, record)


def _rotates(run: RotationRun) -> bool:
    return run.spec.action is RunAction.ROTATE and run.spec.trigger in {Trigger.MANUAL, Trigger.SCHEDULE}


def _take_current(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record) -> RunPlan:
    """A run for a version that is current already: nothing to rotate."""
    run, current = seen.run, source.labels.current
    if run.spec.version_id is not None and run.spec.version_id != current:
        return RunPlan(draft=record.superseded(f"AWS has moved on to {current}").status())
    before = parent.status.settled.version_id if parent.status.settled else None
    why = {Trigger.OBSERVED: "AWS or a person rotated", Trigger.EDITED: "only the mirroring changed"}.get(run.spec.trigger, "not asked for")
    record = record.versions(RunVersions(from_=before, to=current)).step(StepName.ROTATE, StepState.SKIPPED, why)
    return _mirror(seen, parent, record)


def _source_failed(failure: Failure, record: Record, now: datetime) -> RunPlan:
    if failure.kind is FailureKind.TRANSIENT or record.started(StepName.ROTATE):
        return RunPlan(draft=record.waiting(failure.reason, failure.message).status(), look_again_at=now + 5 * SOON)
    return RunPlan(draft=record.failed(failure.reason, failure.message).status())


# --- rotate ----------------------------------------------------------------------------------------------------------


def _rotate(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record, now: datetime) -> RunPlan:
    token = rotation_token(seen.run.metadata.uid)
    started = record.started(StepName.ROTATE)
    to = record.version_to
    awaited = Awaited(
        token=VersionId(to) if to else token,
        started_at=started,
        expected_from=VersionId(record.version_from) if record.version_from else None,
        seen=to is not None,
    )
    timeout = duration(parent.spec.rotation.timeout) if parent.spec.rotation else timedelta(minutes=15)
    patience = Patience(timeout=timeout, grace=seen.limits.stuck_grace)
    state = classify(source.labels, awaited, now=now, patience=patience, pending_has_value=seen.pending_has_value)
    soon = now + (SOON if started is None or now < started + 30 * SOON else 5 * SOON)
    match state.phase:
        case Phase.PROMOTED | Phase.LATE_SUCCESS:
            record = record.versions(RunVersions(from_=record.version_from or source.labels.previous, to=awaited.token))
            return _mirror(seen, parent, record.step(StepName.ROTATE, StepState.SUCCEEDED, f"AWS promoted {awaited.token}"))
        case Phase.SUPERSEDED:
            return RunPlan(draft=record.superseded(f"AWS has moved on to {source.labels.current}").status())
        case Phase.RUNNING | Phase.OVERDUE:
            record = record.versions(RunVersions(from_=record.version_from or source.labels.current, to=awaited.token))
            say = f"AWS rotates to {awaited.token}" if awaited.token == token else joined(awaited.token)
            running = record.step(StepName.ROTATE, StepState.RUNNING, say)
            return RunPlan(draft=running.status(), look_again_at=min(soon, state.look_again_at or soon))
        case Phase.FOREIGN if awaited.seen:
            return RunPlan(draft=record.failed("RotationFailed", "another rotation took AWSPENDING away from this one").status())
        case Phase.FOREIGN:
            return _foreign(seen.run, source, record, soon)
        case Phase.STUCK_EMPTY:
            return _stuck_empty(record, str(awaited.token))
        case Phase.STUCK_WITH_VALUE:
            return RunPlan(draft=record.failed("RotationStuck", stuck_message(source, str(awaited.token))).status())
        case Phase.ABANDONED:
            message = f"AWS gave version {awaited.token} up without promoting it; see the log of the rotation function"
            return RunPlan(draft=record.failed("RotationFailed", message).status())
        case _:
            return _begin(seen, source, record, token, soon)


def _foreign(run: RotationRun, source: SourceView, record: Record, soon: datetime) -> RunPlan:
    """Somebody else's rotation is in flight: a scheduled run joins it, a manual one waits for it."""
    pending = source.labels.pending
    if run.spec.trigger is Trigger.MANUAL:
        message = f"waits for a rotation to {pending} that somebody else started"
        return RunPlan(draft=record.waiting("ForeignRotation", message).status(), look_again_at=soon)
    record = record.versions(RunVersions(from_=source.labels.current, to=pending))
    return RunPlan(draft=record.step(StepName.ROTATE, StepState.RUNNING, joined(pending)).status(), look_again_at=soon)


def joined(version: str | None) -> str:
    """What the step says as long as the rotation is somebody else's."""
    return f"joined a rotation to {version} that somebody else started"


def _begin(seen: ObservedRun, source: SourceView, record: Record, token: str, soon: datetime) -> RunPlan:
    """No trace of our token in AWS: say that it starts, and in the next pass start it."""
    if not source.rotation_configured:
        message = (
            f"secret {source.name} has no rotation configured in AWS; configure it with: aws secretsmanager rotate-secret --secret-id "
            f"{source.name} --rotation-lambda-arn <function> --rotation-rules AutomaticallyAfterDays=30 --no-rotate-immediately"
        )
        return RunPlan(draft=record.failed("RotationNotConfigured", message).status())
    if record.started(StepName.ROTATE) is None:
        settled = seen.parent.status.settled if seen.parent else None
        if settled is not None and settled.version_id != source.labels.current and not seen.run.spec.urgent:
            message = f"waits until version {source.labels.current}, which somebody else promoted, is brought to the workloads"
            return RunPlan(draft=record.waiting("VersionChanged", message).status(), look_again_at=soon)
        if seen.rotation_budget <= 0:
            message = "waits: the connection's maxRotations are under way"
            return RunPlan(draft=record.waiting("TooManyRotations", message).status(), look_again_at=soon)
        record = record.versions(RunVersions(from_=source.labels.current))
        return RunPlan(draft=record.step(StepName.ROTATE, StepState.RUNNING, "starts").status(), look_again_at=soon - SOON)
    return RunPlan(draft=record.status(), actions=(StartRotation(token=token),), look_again_at=soon)


def _stuck_empty(record: Record, version: str) -> RunPlan:
    message = f"the rotation died in createSecret: version {version} never got a value, and AWSPENDING was taken off it"
    return RunPlan(draft=record.failed("RotationFailed", message).status(), actions=(RemovePending(version=version),))


def stuck_message(source: SourceView, version: str) -> str:
    """What is known of a rotation that died with a value in the pending version, and the commands for both ways out."""
    promote = (
        f"aws secretsmanager update-secret-version-stage --secret-id {source.name} --version-stage AWSCURRENT"
        f" --move-to-version-id {version} --remove-from-version-id {source.labels.current}"
    )
    give_up = (
        f"aws secretsmanager update-secret-version-stage --secret-id {source.name} --version-stage AWSPENDING"
        f" --remove-from-version-id {version}"
    )
    return (
        f"version {version} is pending with a value: the back end may have either credential. Log in with both. If the pending one works,"
        f" promote it: {promote}; if the current one works, give the pending one up: {give_up}"
    )


# --- mirror ----------------------------------------------------------------------------------------------------------


def _overtaken(seen: ObservedRun, record: Record) -> Record | None:
    """AWSCURRENT has moved on, or somebody urgent waits: this run's end, since its successor covers both changes."""
    source = seen.source
    if isinstance(source, SourceView) and source.fresh and source.labels.current != record.version_to:
        return record.superseded(f"AWS has moved on to {source.labels.current}")
    urgent = next((run for run in seen.runs if run.urgent and not run.over and run.uid != seen.run.metadata.uid), None)
    return record.superseded(f"RotationRun {urgent.name} is urgent") if urgent else None


def _mirror(seen: ObservedRun, parent: RotatingSecret, record: Record) -> RunPlan:
    """Written on top of what was written last, which the status of the RotatingSecret may not say yet."""
    action = WriteMirror(expect=record.version_to, recorded=newest_mirror(parent.status.mirror, seen.runs))
    return RunPlan(draft=record.begun(StepName.MIRROR).status(), actions=(action,))


def _repair(seen: ObservedRun, record: Record, now: datetime) -> RunPlan | None:
    """Somebody touched the Secret during the rollout: whoever starts now must not read what they wrote."""
    if not seen.touched or seen.run.status.mirror is None:
        return None
    action = WriteMirror(expect=record.version_to, recorded=seen.run.status.mirror, repair=True)
    return RunPlan(draft=record.status(), actions=(action,), look_again_at=now + SOON)


# --- rollout ---------------------------------------------------------------------------------------------------------


def content_of(run: RotationRun, *, adopts: bool) -> Content | None:
    """The content that the run has written, once its time is in the status."""
    mirror = run.status.mirror
    if mirror is None:
        return None
    return Content(version=mirror.version_id, epoch=mirror.epoch, since=mirror.time, created_by_us=mirror.epoch == 1 and not adopts)


def _rollout(seen: ObservedRun, parent: RotatingSecret, record: Record, now: datetime) -> RunPlan:
    content = content_of(seen.run, adopts=parent.spec.target.conflict.value == "Adopt")
    if content is None:
        return _mirror(seen, parent, record)
    begin = content.since + seen.limits.margin + seen.limits.slack
    if not seen.consumers and now < begin:
        # One that comes before it is proved what a new pod reads would be left on a content that nobody knows.
        message = f"no workload uses the Secret; the run is over at {begin:%H:%M:%S}Z if none comes"
        return RunPlan(draft=record.step(StepName.ROLLOUT, StepState.WAITING, message).status(), look_again_at=begin)
    if not seen.consumers:
        record = record.rolled(waves.Rollout(progress=waves.Progress(), statuses=()))
        message = _with_left_out("no workload is restarted" if seen.excluded else "no workload uses the Secret", seen)
        return RunPlan(draft=record.step(StepName.ROLLOUT, StepState.SKIPPED, message).complete(strategy_of(parent)).status())
    if now < begin:
        message = f"restarts begin at {begin:%H:%M:%S}Z, when no kubelet can have an older content in its cache"
        return RunPlan(draft=record.step(StepName.ROLLOUT, StepState.RUNNING, message).status(), look_again_at=begin)
    annotation = annotation_of(parent.metadata.name)
    look = waves.rollout(
        seen.consumers,
        seen.pods,
        content=content,
        annotation=annotation,
        before=record.progress(),
        patience=waves.Patience(timeout=duration(parent.spec.rollout.timeout), soak=duration(parent.spec.rollout.soak)),
        limits=seen.limits,
        budget=seen.restart_budget,
        reverted_by=seen.reverted_by,
        now=now,
    )
    record = record.rolled(look)
    if look.held is not None:
        held = f"{look.message}. Later waves were not touched. Mend the workloads, then create a RotationRun with action: Rollout"
        return RunPlan(draft=record.step(StepName.ROLLOUT, StepState.FAILED, held).failed("Held", held).status())
    if look.done:
        record = record.step(StepName.ROLLOUT, StepState.SUCCEEDED, _with_left_out(look.message, seen))
        return RunPlan(draft=record.complete(strategy_of(parent)).status())
    restarts = tuple(Restart(consumer=consumer, annotation=annotation, mark=content.mark) for consumer in look.restart)
    draft = record.step(StepName.ROLLOUT, StepState.RUNNING, look.message)
    return RunPlan(draft=draft.status(), actions=restarts, look_again_at=look.look_again_at)


def _with_left_out(message: str, seen: ObservedRun) -> str:
    left_out = f"; {seen.excluded} workloads that use the Secret are left out by spec.rollout.discovery" if seen.excluded else ""
    return message + left_out


def strategy_of(parent: RotatingSecret) -> Strategy | None:
    """What the rotator does to the old credential, if anybody has said so."""
    return parent.spec.rotation.strategy if parent.spec.rotation else None
