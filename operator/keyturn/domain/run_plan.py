"""Observed RotationRun -> what to do, its status, and when to look again.

A run goes through its steps in order: rotate (unless somebody else did), mirror the new version, restart the consumers in waves, prove that
they run on it. Nothing is remembered but the status: a pass that is repeated after a crash asks the same questions again. Whatever must be
known after a crash is in the status before its effect: `Rotate: Running` before RotateSecret, the content's time before the first restart.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keyturn.api import Action as RunAction
from keyturn.api import (
    RotatingSecret,
    RotationRun,
    RunVersions,
    StepName,
    StepState,
    Trigger,
    duration,
)
from keyturn.domain import waves
from keyturn.domain.actions import Action, AdoptRun, Restart, WriteMirror
from keyturn.domain.consumers import Content, annotation_of, next_mark, with_missing
from keyturn.domain.failures import FailureKind
from keyturn.domain.observed import Failure, SourceView, active_run
from keyturn.domain.rejection import REASON, gives_up_at, is_about, ways_out
from keyturn.domain.run_record import Record
from keyturn.domain.run_rotate import rotate
from keyturn.domain.run_seen import SOON, ObservedRun, RunPlan, is_over, strategy_of
from keyturn.domain.secret_plan import newest_mirror

PARENT_GRACE = timedelta(seconds=30)  # a run may be seen before its RotatingSecret is


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
            return _mirror(seen, parent, record, now)
        return _repair(seen, record, now) or _rollout(seen, parent, record, now)
    if isinstance(seen.source, Failure):
        return _source_failed(seen.source, record, now)
    if seen.source is None:
        return RunPlan(draft=record.waiting("SourceUnread", "waits for AWS's answer about the secret").status(), look_again_at=now + SOON)
    if seen.source.deleted:
        return RunPlan(draft=record.failed("SourceDeleted", f"secret {seen.source.name} is scheduled for deletion in AWS").status())
    if _rotates(seen.run):
        turn = rotate(seen, parent, seen.source, record, now)
        return turn if isinstance(turn, RunPlan) else _mirror(seen, parent, turn, now)
    return _take_current(seen, parent, seen.source, record, now)


def _rotates(run: RotationRun) -> bool:
    return run.spec.action is RunAction.ROTATE and run.spec.trigger in {Trigger.MANUAL, Trigger.SCHEDULE}


def _take_current(seen: ObservedRun, parent: RotatingSecret, source: SourceView, record: Record, now: datetime) -> RunPlan:
    """A run for a version that is current already: nothing to rotate."""
    run, current = seen.run, source.labels.current
    if run.spec.version_id is not None and run.spec.version_id != current:
        return RunPlan(draft=record.superseded(f"AWS has moved on to {current}").status())
    before = parent.status.settled.version_id if parent.status.settled else None
    why = {Trigger.OBSERVED: "AWS or a person rotated", Trigger.EDITED: "only the mirroring changed"}.get(run.spec.trigger, "not asked for")
    record = record.versions(RunVersions(from_=before, to=current)).step(StepName.ROTATE, StepState.SKIPPED, why)
    return _mirror(seen, parent, record, now)


def _source_failed(failure: Failure, record: Record, now: datetime) -> RunPlan:
    if failure.kind is FailureKind.TRANSIENT or record.started(StepName.ROTATE):
        return RunPlan(draft=record.waiting(failure.reason, failure.message).status(), look_again_at=now + 5 * SOON)
    return RunPlan(draft=record.failed(failure.reason, failure.message).status())


# --- mirror ----------------------------------------------------------------------------------------------------------


def _overtaken(seen: ObservedRun, record: Record) -> Record | None:
    """AWSCURRENT has moved on, or somebody urgent waits: this run's end, since its successor covers both changes."""
    source = seen.source
    if isinstance(source, SourceView) and source.fresh and source.labels.current != record.version_to:
        return record.superseded(f"AWS has moved on to {source.labels.current}")
    urgent = next((run for run in seen.runs if run.urgent and not run.over and run.uid != seen.run.metadata.uid), None)
    return record.superseded(f"RotationRun {urgent.name} is urgent") if urgent else None


def _mirror(seen: ObservedRun, parent: RotatingSecret, record: Record, now: datetime) -> RunPlan:
    """Written on top of what was written last, which the status of the RotatingSecret may not say yet."""
    rejected = record.base.rejected
    if rejected is not None and is_about(rejected, version=record.version_to, parent=parent):
        again = gives_up_at(rejected, parent, others_wait=others_wait(seen))
        if now < again:
            return RunPlan(draft=record.status(), look_again_at=again)
        return RunPlan(draft=record.failed(REASON, ways_out(rejected, parent)).status())
    action = WriteMirror(expect=record.version_to, recorded=newest_mirror(parent.status.mirror, seen.runs))
    return RunPlan(draft=record.begun(StepName.MIRROR).status(), actions=(action,))


def others_wait(seen: ObservedRun) -> bool:
    """Another run of the same RotatingSecret wants to act."""
    return any(not run.over and run.uid != seen.run.metadata.uid for run in seen.runs)


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


def awaits_margin(seen: ObservedRun, record: Record, *, since: datetime, now: datetime) -> tuple[Record, datetime] | None:
    """The wait between the write of the Secret and the first restart: what is said of it, and its end. None: it is over."""
    begin = since + seen.limits.margin + seen.limits.slack
    if now >= begin:
        return None
    if seen.consumers:
        message = f"restarts begin at {begin:%H:%M:%S}Z, when no kubelet can have an older content in its cache"
        return record.step(StepName.ROLLOUT, StepState.RUNNING, message), begin
    # One that comes before it is proved what a new pod reads would be left on a content that nobody knows.
    message = f"no workload uses the Secret; the run is over at {begin:%H:%M:%S}Z if none comes"
    return record.step(StepName.ROLLOUT, StepState.WAITING, message), begin


def _rollout(seen: ObservedRun, parent: RotatingSecret, record: Record, now: datetime) -> RunPlan:
    content = content_of(seen.run, adopts=parent.spec.target.conflict.value == "Adopt")
    if content is None:
        return _mirror(seen, parent, record, now)
    waits = awaits_margin(seen, record, since=content.since, now=now)
    if waits is not None:
        return RunPlan(draft=waits[0].status(), look_again_at=waits[1])
    if not seen.consumers:
        record = record.rolled(waves.Rollout(progress=waves.Progress(), statuses=()))
        message = _with_left_out("no workload is restarted" if seen.excluded else "no workload uses the Secret", seen)
        return RunPlan(draft=record.step(StepName.ROLLOUT, StepState.SKIPPED, message).complete(strategy_of(parent)).status())
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
    restarts = tuple(
        Restart(consumer=consumer, annotation=annotation, mark=next_mark(consumer.workload, annotation, content))
        for consumer in look.restart
    )
    draft = record.step(StepName.ROLLOUT, StepState.RUNNING, look.message)
    return RunPlan(draft=draft.status(), actions=restarts, look_again_at=look.look_again_at)


def _with_left_out(message: str, seen: ObservedRun) -> str:
    left_out = f"; {seen.excluded} workloads that use the Secret are left out by spec.rollout.discovery" if seen.excluded else ""
    return with_missing(message + left_out, seen.missing)
