"""What a pass over a RotatingSecret leads to in its status: conditions, the record of the mirror, adoption, and the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from keyturn.api import Action as RunAction
from keyturn.api import (
    Adoption,
    MirrorStatus,
    RejectedVersion,
    RotatingSecretStatus,
    RotationTimes,
    SecretSummary,
    Settled,
    SourceStatus,
    Trigger,
    WorkloadState,
)
from keyturn.domain import conditions as cond
from keyturn.domain.actions import Action, Mirrored, Moved, Outcome, Refused, WriteMirror
from keyturn.domain.consumers import Content, Count, awaits_pods, count_pods, with_missing
from keyturn.domain.failures import FailureKind
from keyturn.domain.observed import Failure, Limits, RunView, SourceView
from keyturn.domain.rejection import known_rejection
from keyturn.domain.run_record import short
from keyturn.domain.schedule import schedule_since, schedule_text
from keyturn.domain.secret_plan import LATE, ObservedSecret, SecretPlan, last_attempt
from keyturn.domain.targets import target_name

STALLING = frozenset({FailureKind.DENIED, FailureKind.MISSING, FailureKind.INVALID, FailureKind.FORBIDDEN})


def secret_status(
    observed: ObservedSecret, plan: SecretPlan, outcomes: Sequence[tuple[Action, Outcome]], now: datetime
) -> RotatingSecretStatus:
    """The whole status after this pass; equal to the present one where nothing has changed."""
    before = observed.secret.status
    written = next((outcome for action, outcome in outcomes if isinstance(action, WriteMirror)), None)
    mirror = written.mirror if isinstance(written, Mirrored) else plan.mirror
    settled = plan.settled
    if isinstance(written, Mirrored) and plan.mirror is None and (written.created or not written.changed):
        settled = written.mirror  # the first content: nobody can be running on an older one
    source = _source(observed, before.source, mirror)
    adoption = _since(_adoption(observed, mirror, now), mirror, observed.limits)
    times = _times(observed, plan, now)
    verdicts = _verdicts(observed, plan, written, mirror, adoption, times, now)
    active = next((run for run in observed.runs if not run.over), None)
    return RotatingSecretStatus(
        observed_generation=observed.secret.metadata.generation,
        conditions=cond.merge(before.conditions, verdicts, generation=observed.secret.metadata.generation, now=now),
        source=source,
        mirror=mirror,
        settled=Settled(version_id=settled.version_id, epoch=settled.epoch) if settled else None,
        rejected=_rejected(observed, mirror),
        rotation=times,
        adoption=adoption,
        active_run=active.name if active else None,
        summary=SecretSummary(
            version=short(mirror.version_id if mirror else None),
            adopted=f"{adoption.pods_on_version}/{adoption.pods}" if adoption and adoption.workloads else None,
            next_rotation=_column(times.next_time if times else None),
        ),
    )


def _rejected(observed: ObservedSecret, mirror: MirrorStatus | None) -> RejectedVersion | None:
    """Kept as long as it is about the version that is current and the spec as it is, so that nobody tries again in vain."""
    source = observed.source
    if not isinstance(source, SourceView):
        return observed.secret.status.rejected
    return known_rejection(observed.secret, observed.runs, current=source.labels.current, mirror=mirror)


def _column(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M}Z" if moment else None


def _source(observed: ObservedSecret, before: SourceStatus | None, mirror: MirrorStatus | None) -> SourceStatus | None:
    """The secret in AWS as last seen; what a read of this pass does not tell stands."""
    source = observed.source
    if not isinstance(source, SourceView):
        return before
    current = source.labels.current
    return SourceStatus(
        arn=source.arn,
        version_id=current,
        version_time=mirror.version_time if mirror and mirror.version_id == current else None,
        rotated_by=source.rotation_lambda or source.owning_service,
        next_rotation_time=source.next_rotation,
    )


def _times(observed: ObservedSecret, plan: SecretPlan, now: datetime) -> RotationTimes | None:
    source, secret = observed.source, observed.secret
    before = secret.status.rotation
    if not isinstance(source, SourceView):
        return before
    slots = [before.last_schedule_time if before else None, *(run.slot for run in observed.runs)]
    text = schedule_text(secret)
    last = max(filter(None, [source.last_rotated, before.last_time if before else None]), default=None)
    return RotationTimes(
        last_time=last,
        next_time=plan.due.start if plan.due else None,
        last_schedule_time=max(filter(None, slots), default=None),
        last_attempt_time=last_attempt(observed),
        schedule=text,
        schedule_since=(schedule_since(secret, now) or secret.metadata.creation_timestamp) if text else None,
    )


# --- adoption --------------------------------------------------------------------------------------------------------


def _adoption(observed: ObservedSecret, mirror: MirrorStatus | None, now: datetime) -> Adoption | None:
    """Counted by a run while one rolls out, by the pods of this pass, or as it stands: for the content for which it was counted."""
    run = next((run for run in observed.runs if not run.over and run.workloads and run.mirror is not None), None)
    if run is not None and run.adoption is not None:
        counted = run.adoption
        return Adoption(pods=counted.pods, pods_on_version=counted.pods_on_version, workloads=counted.workloads)
    if observed.consumers is None or mirror is None:
        before = observed.secret.status.adoption
        return before.model_copy(update={"pods_on_version": 0}) if before and _is_new(observed, mirror) else before
    counts = _counts(observed, mirror, now)
    return Adoption(
        pods=sum(count.pods for count in counts.values() if count),
        pods_on_version=sum(count.on_content for count in counts.values() if count),
        workloads=len(observed.consumers),
    )


def _since(adoption: Adoption | None, mirror: MirrorStatus | None, limits: Limits) -> Adoption | None:
    """With the moment from which pods count."""
    if adoption is None or mirror is None:
        return adoption
    return adoption.model_copy(update={"since": mirror.time + limits.margin})


def _is_new(observed: ObservedSecret, mirror: MirrorStatus | None) -> bool:
    """The Secret has another content than the one that the status is about."""
    before = observed.secret.status.mirror
    return mirror is not None and before is not None and before.epoch != mirror.epoch


def _counts(observed: ObservedSecret, mirror: MirrorStatus, now: datetime) -> Mapping[tuple[str, str], Count | None]:
    adopts = observed.secret.spec.target.conflict.value == "Adopt"
    content = Content(version=mirror.version_id, epoch=mirror.epoch, since=mirror.time, created_by_us=mirror.epoch == 1 and not adopts)
    return {
        consumer.ref: count_pods(pods, content, consumer, observed.limits, now=now) if pods is not None else None
        for consumer in observed.consumers or ()
        for pods in [observed.pods.get(consumer.ref)]
    }


def _adopted(observed: ObservedSecret, adoption: Adoption | None, mirror: MirrorStatus, now: datetime) -> cond.Verdict:
    """Unknown is never adopted: no consumer known, a list that failed, workloads that are left out."""
    before = cond.find(observed.secret.status.conditions, "Adopted")
    if adoption is None:
        return cond.unknown("NotCounted", "no pod has been counted yet")
    if observed.consumers is None and before is not None and not _rolling(observed) and not _is_new(observed, mirror):
        return cond.Verdict(status=before.status, reason=before.reason, message=before.message)
    if observed.excluded:
        return cond.unknown(
            "WorkloadsExcluded", f"{observed.excluded} workloads that use the Secret are left out by spec.rollout.discovery"
        )
    if adoption.workloads == 0:
        return cond.unknown("NoConsumer", "no workload of the namespace refers to the Secret")
    listed = observed.consumers is None or all(observed.pods.get(consumer.ref) is not None for consumer in observed.consumers)
    if not listed or any(workload.state is WorkloadState.UNKNOWN for run in observed.runs if not run.over for workload in run.workloads):
        return cond.unknown("PodsUnknown", "the pods of a workload could not be listed")
    say = f"{adoption.pods_on_version} of {adoption.pods} pods in {adoption.workloads} workloads run on the version that the Secret holds"
    if adoption.pods_on_version == adoption.pods and (waits := _awaiting_pods(observed, mirror, now)):
        return cond.false("PodsMissing", f"{say}; {waits} has not made all its pods yet")
    if adoption.pods_on_version == adoption.pods:
        return cond.true("AllPods", say)
    return cond.false("RollingOut" if _rolling(observed) else "OldPods", say)


def _awaiting_pods(observed: ObservedSecret, mirror: MirrorStatus, now: datetime) -> str | None:
    """A workload that was counted while its controller had not made its pods: no pod of it is not every pod of it."""
    counts = _counts(observed, mirror, now)
    waiting = (consumer for consumer in observed.consumers or () if (count := counts[consumer.ref]) and awaits_pods(consumer, count))
    return next((f"{consumer.workload.kind.value} {consumer.workload.name}" for consumer in waiting), None)


def _rolling(observed: ObservedSecret) -> bool:
    return any(not run.over and run.mirror is not None for run in observed.runs)


# --- conditions ------------------------------------------------------------------------------------------------------


def _verdicts(
    observed: ObservedSecret,
    plan: SecretPlan,
    written: Outcome | None,
    mirror: MirrorStatus | None,
    adoption: Adoption | None,
    times: RotationTimes | None,
    now: datetime,
) -> dict[str, cond.Verdict]:
    verdicts = _ready(observed, plan, written, mirror)
    ready = verdicts[cond.READY]
    if mirror is None:
        verdicts["Mirrored"] = cond.false(ready.reason, ready.message)
    else:
        verdicts["Mirrored"] = cond.true("Written", f"Secret {mirror.secret_name} holds version {mirror.version_id}")
        adopted = _adopted(observed, adoption, mirror, now)
        verdicts["Adopted"] = replace(adopted, message=with_missing(adopted.message, observed.missing))
    verdicts["RotationOnTime"] = _on_time(observed, plan, times, now)
    return verdicts


def _ready(observed: ObservedSecret, plan: SecretPlan, written: Outcome | None, mirror: MirrorStatus | None) -> dict[str, cond.Verdict]:
    """Ready: the Secret holds a complete version that is current. It waits for no window, schedule or rollout."""
    finding = plan.finding
    if isinstance(written, Refused):
        failure = written.failure
        if failure.kind in STALLING:
            return cond.stalled(failure.reason, failure.message)
        return _as_before(observed) or cond.reconciling(failure.reason, failure.message)
    if finding is not None and finding.failure is not None:
        if finding.failure in STALLING:
            return cond.stalled(finding.reason, finding.message)
        return _as_before(observed) or cond.reconciling(finding.reason, finding.message)
    run = next((run for run in observed.runs if not run.over), None)
    source = observed.source
    if run is not None and run.failed:
        return cond.stalled(run.result or "ContentInvalid", run.message)
    if mirror is None:
        return cond.reconciling("Mirroring", "the Secret is not written yet")
    if observed.target is None and not isinstance(written, Mirrored):
        why = finding.message if finding is not None else "it is written again"
        return cond.reconciling("SecretMissing", f"Secret {mirror.secret_name} is not there: {why}")
    current = source.labels.current if isinstance(source, SourceView) else mirror.version_id
    if isinstance(written, Moved) or (current != mirror.version_id and (run is None or run.to == current or _follows(run))):
        return cond.reconciling("VersionChanged", f"version {current} is current, and is being brought to Secret {mirror.secret_name}")
    if observed.shape != mirror.shape:
        return cond.reconciling("SpecChanged", f"Secret {mirror.secret_name} is being brought to what spec.target asks for")
    return {cond.READY: cond.true("Mirrored", f"Secret {target_name(observed.secret)} holds version {mirror.version_id}, which is current")}


def _follows(run: RunView) -> bool:
    return run.trigger in {Trigger.OBSERVED, Trigger.EDITED} or run.action is RunAction.ROLLOUT


def _as_before(observed: ObservedSecret) -> dict[str, cond.Verdict] | None:
    """A passing fault does not take back what is true: the Secret, if it is there, still holds the version that was current."""
    before = cond.find(observed.secret.status.conditions, cond.READY)
    if before is None or observed.target is None or not cond.holds(observed.secret.status.conditions, cond.READY):
        return None
    return {cond.READY: cond.true(before.reason, before.message)}


def _on_time(observed: ObservedSecret, plan: SecretPlan, times: RotationTimes | None, now: datetime) -> cond.Verdict:
    """Whether rotations happen when they should, whoever owns the schedule."""
    source, secret = observed.source, observed.secret
    if not isinstance(source, SourceView):
        before = cond.find(secret.status.conditions, "RotationOnTime")
        if before is not None and isinstance(source, Failure) and source.kind is FailureKind.TRANSIENT:
            return cond.Verdict(status=before.status, reason=before.reason, message=before.message)
        return cond.unknown("SourceUnread", "AWS has not said when the secret was rotated")
    scheduled = secret.spec.rotation is not None and secret.spec.rotation.schedule is not None
    if observed.rotates_too is not None and scheduled:
        return cond.false(
            "RotationConflict", f"the older RotatingSecret {observed.rotates_too} rotates {source.name}: give one of them no schedule"
        )
    failed = _last_failure(observed)
    if failed is not None:
        return cond.false(failed.result or "RotationFailed", f"RotationRun {failed.name}: {failed.message}")
    if scheduled and not observed.may_rotate.allowed:
        return cond.false(observed.may_rotate.reason, observed.may_rotate.message)
    if scheduled and not source.rotation_configured:
        command = f"aws secretsmanager rotate-secret --secret-id {source.name} --rotation-lambda-arn <function> --no-rotate-immediately"
        return cond.false(
            "RotationNotConfigured", f"secret {source.name} has no rotation in AWS; configure it, for instance with: {command}"
        )
    if plan.due is not None and plan.due.overdue(now, tolerance=LATE) and all(run.over for run in observed.runs):
        return cond.false("Overdue", f"the rotation of {plan.due.slot:%Y-%m-%d %H:%M}Z has not begun")
    if source.next_rotation is not None and now > source.next_rotation + LATE:
        return cond.false("Overdue", f"AWS should have rotated the secret by {source.next_rotation:%Y-%m-%d %H:%M}Z")
    if scheduled and secret.spec.suspend is not None:
        return cond.true("Suspended", f"spec.suspend: {secret.spec.suspend.value}; no rotation is started by the schedule")
    if scheduled:
        when = (
            f"the next rotation starts at {times.next_time:%Y-%m-%d %H:%M}Z"
            if times and times.next_time
            else "the schedule has no next time"
        )
        return cond.true("Scheduled", when)
    if source.next_rotation is not None:
        return cond.true("ScheduledByAWS", f"AWS rotates the secret by {source.next_rotation:%Y-%m-%d %H:%M}Z")
    return cond.true("NotScheduled", "nothing rotates the secret by a schedule; create a RotationRun to rotate it")


def _last_failure(observed: ObservedSecret) -> RunView | None:
    """The last attempt to rotate, if it failed and nothing has succeeded since."""
    attempts = [run for run in observed.runs if run.over and run.action is RunAction.ROTATE and run.attempt is not None]
    last = max(attempts, key=lambda run: run.completed or run.created, default=None)
    if last is None or not last.failed or last.result == "Held":
        return None
    source = observed.source
    since = source.last_rotated if isinstance(source, SourceView) else None
    return last if since is None or (last.attempt is not None and last.attempt > since) else None
