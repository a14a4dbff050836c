"""Observed RotatingSecret -> what to do, its status, and when to look again.

The chain below is the specification. The first check that finds something decides; what a person must mend comes before what can be done.
A change of content is never written here but for the first mirror and the repair of drift: it gets a RotationRun, which writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyturn.api import MirrorStatus, RotatingSecret, Suspend, Trigger, rfc3339
from keyturn.domain.actions import Action, CreateRun, DeleteRun, WriteMirror
from keyturn.domain.consumers import Consumer
from keyturn.domain.failures import FailureKind
from keyturn.domain.names import change_run, scheduled_run
from keyturn.domain.observed import Failure, Limits, PodView, RunView, SourceView, TargetView, active_run
from keyturn.domain.permission import Decision
from keyturn.domain.rejection import REASON, known_rejection, ways_out
from keyturn.domain.schedule import Due, History, next_rotation, schedule_since, validate_schedule
from keyturn.domain.targets import is_touched, target_name

SOON = timedelta(seconds=2)
SLOWLY = timedelta(minutes=5)
LATE = timedelta(hours=1)  # after its start (or AWS's own next date) a rotation that has not begun is overdue
OWNED_BY_RUN = "a RotationRun is active"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSecret:
    """Everything that decides about one RotatingSecret."""

    secret: RotatingSecret
    connection: Failure | None  # why the connection cannot be used, if so
    may_mirror: Decision
    may_rotate: Decision
    source: SourceView | Failure | None
    target: TargetView | None
    shape: str  # of the spec, see `mirroring.shape`
    template_error: str | None = None
    runs: Sequence[RunView] = ()
    rotates_too: str | None = None  # an older RotatingSecret that rotates the same AWS secret
    writes_too: str | None = None  # a RotatingSecret that was first to write the same Secret
    consumers: Sequence[Consumer] | None = None  # None: not asked in this pass, what is in the status stands
    pods: Mapping[tuple[str, str], Sequence[PodView] | None] = field(default_factory=dict)
    excluded: int = 0
    missing: Sequence[str] = ()  # workloads that spec.rollout names and that are not there
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a pass goes no further, and what is done about it."""

    reason: str
    message: str
    failure: FailureKind | None = None  # None: this is the ordinary course
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPlan:
    """What one look at a RotatingSecret leads to."""

    finding: Finding | None
    mirror: MirrorStatus | None  # the newest that the status or a run knows
    settled: MirrorStatus | None  # the newest whose run is over
    due: Due | None = None
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None


Check = Callable[["Seen", datetime], Finding | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An observation with what follows from it at once."""

    observed: ObservedSecret
    mirror: MirrorStatus | None
    settled: MirrorStatus | None
    due: Due | None

    @property
    def secret(self) -> RotatingSecret:
        """The object itself."""
        return self.observed.secret

    @property
    def active(self) -> RunView | None:
        """The run that acts; one that only waits to rotate keeps nobody from writing."""
        run = active_run(self.observed.runs)
        return None if run is None or run.queued else run


def secret_plan(observed: ObservedSecret, now: datetime) -> SecretPlan:
    """Decide about one RotatingSecret."""
    mirror, settled = known_mirrors(observed)
    due = _due(observed, now)
    seen = Seen(observed=observed, mirror=mirror, settled=settled, due=due)
    finding = next((found for check in CHECKS for found in [check(seen, now)] if found is not None), None)
    actions = (*(finding.actions if finding else ()), *(_beyond_history(observed) if _acts(observed.secret) else ()))
    times = [finding.look_again_at if finding else None, *_times(seen, finding, now)]
    again = min((time for time in times if time is not None), default=None)
    return SecretPlan(finding=finding, mirror=mirror, settled=settled, due=due, actions=actions, look_again_at=again)


def known_mirrors(observed: ObservedSecret) -> tuple[MirrorStatus | None, MirrorStatus | None]:
    """What the Secret holds as far as anybody wrote it down, and the part of it that had its rollout.

    A run that was superseded has left its rollout to its successor: what it wrote is not settled.
    """
    status = observed.secret.status
    mirror = newest_mirror(status.mirror, observed.runs)
    over = [run.mirror for run in observed.runs if run.over and run.mirror is not None and run.result != "Superseded"]
    if status.settled is not None and status.mirror is not None:
        over.append(status.mirror.model_copy(update={"version_id": status.settled.version_id, "epoch": status.settled.epoch}))
    settled = max(over, key=_age, default=None)
    return mirror, settled


def newest_mirror(in_status: MirrorStatus | None, runs: Sequence[RunView]) -> MirrorStatus | None:
    """What was written last. A run that found nothing to write knows a newer shape of the same content: the youngest one is right."""
    youngest_first = sorted(runs, key=lambda run: (run.created, run.name), reverse=True)
    written = [*(run.mirror for run in youngest_first), in_status]
    return max((known for known in written if known is not None), key=_age, default=None)


def _age(mirror: MirrorStatus) -> tuple[int, int]:
    version = mirror.resource_version or ""
    return mirror.epoch, int(version) if version.isdigit() else 0


# --- the chain -------------------------------------------------------------------------------------------------------


def is_deleted(seen: Seen, now: datetime) -> Finding | None:
    """Owned objects go by themselves; nothing is done in an object's last moments."""
    if seen.secret.metadata.deletion_timestamp is None:
        return None
    return Finding(reason="Deleting", message="is being deleted")


def spec_is_valid(seen: Seen, now: datetime) -> Finding | None:
    """What the schema cannot say: cron, time zones, template syntax."""
    rotation = seen.secret.spec.rotation
    error = seen.observed.template_error
    if error is None and rotation is not None and rotation.schedule is not None:
        error = validate_schedule(rotation.schedule)
    return Finding(reason="InvalidSpec", message=error, failure=FailureKind.INVALID) if error else None


def connection_is_there(seen: Seen, now: datetime) -> Finding | None:
    """The connection that the object names exists and can be used."""
    return _failed(seen.observed.connection, now)


def source_is_allowed(seen: Seen, now: datetime) -> Finding | None:
    """No AWS call is made for an object that may not use the connection for this secret."""
    decision = seen.observed.may_mirror
    if decision.allowed:
        return None
    kind = FailureKind.INVALID if decision.reason == "InvalidSpec" else FailureKind.DENIED
    return Finding(reason=decision.reason, message=decision.message, failure=kind)


def source_exists(seen: Seen, now: datetime) -> Finding | None:
    """AWS knows the secret and lets us read it."""
    source = seen.observed.source
    if isinstance(source, Failure):
        return _failed(source, now)
    if source is None:
        return Finding(reason="SourceUnread", message="waits for AWS's answer", failure=FailureKind.TRANSIENT, look_again_at=now + SOON)
    if source.deleted:
        message = f"secret {source.name} is scheduled for deletion in AWS: restore it there (restore-secret), or delete this object"
        return Finding(reason="SourceDeleted", message=message, failure=FailureKind.MISSING, look_again_at=now + SLOWLY)
    return None


def target_is_ours(seen: Seen, now: datetime) -> Finding | None:
    """No two RotatingSecrets write one Secret: the first does."""
    other = seen.observed.writes_too
    if other is None:
        return None
    message = (
        f"Secret {target_name(seen.secret)} is written by RotatingSecret {other}, which was first:"
        " choose another spec.target.name in a new object"
    )
    return Finding(reason="TargetConflict", message=message, failure=FailureKind.INVALID)


def nothing_is_suspended(seen: Seen, now: datetime) -> Finding | None:
    """With spec.suspend: Everything it is only watched and reported."""
    if seen.secret.spec.suspend is not Suspend.EVERYTHING:
        return None
    return Finding(reason="Suspended", message="spec.suspend: Everything; nothing is written")


def is_mirrored(seen: Seen, now: datetime) -> Finding | None:
    """The first content is written without a run: nobody can be running on an older one."""
    if seen.mirror is not None or seen.active is not None:
        return None
    return Finding(reason="FirstMirror", message="writes the Secret", actions=(WriteMirror(expect=None, recorded=None),))


def no_run_is_active(seen: Seen, now: datetime) -> Finding | None:
    """Once a run has come to mirror, it alone writes the Secret. Before, what AWS still calls current is kept in place here."""
    if seen.active is None:
        return None
    repair = None if seen.active.mirroring else secret_is_untouched(seen, now)
    return repair or Finding(reason="RunActive", message=OWNED_BY_RUN)


def change_has_a_run(seen: Seen, now: datetime) -> Finding | None:
    """Every change of content belongs to a run, which is there before anything is written."""
    source, mirror, settled = seen.observed.source, seen.mirror, seen.settled
    if not isinstance(source, SourceView) or mirror is None:
        return None
    current = source.labels.current
    if settled is None or current != settled.version_id or current != mirror.version_id:
        return _run(seen, now, Trigger.OBSERVED, current, "AWSCURRENT has moved")
    if seen.observed.shape != mirror.shape:
        return _run(seen, now, Trigger.EDITED, current, "the mirroring was edited")
    if mirror.epoch != settled.epoch:
        return _run(seen, now, Trigger.EDITED, current, "the Secret was repaired after pods may have read something else")
    return None


def content_can_be_used(seen: Seen, now: datetime) -> Finding | None:
    """The current version was not found to be no content for the Secret. Only time goes on meanwhile: the run of a slot says the same."""
    source = seen.observed.source
    if not isinstance(source, SourceView):
        return None
    rejected = known_rejection(seen.secret, seen.observed.runs, current=source.labels.current, mirror=seen.mirror)
    if rejected is None:
        return None
    due = schedule_is_met(seen, now)
    message = ways_out(rejected, seen.secret)
    return Finding(reason=REASON, message=message, failure=FailureKind.INVALID, actions=due.actions if due else ())


def secret_is_untouched(seen: Seen, now: datetime) -> Finding | None:
    """The Secret is there, as it was last written, with the metadata that the spec wants."""
    mirror = seen.mirror
    if mirror is None or not is_touched(seen.secret, seen.observed.target, mirror):
        return None
    action = WriteMirror(expect=mirror.version_id, recorded=mirror)
    return Finding(reason="Drifted", message="the Secret was touched", actions=(action,))


def schedule_is_met(seen: Seen, now: datetime) -> Finding | None:
    """A slot whose start has come gets a run of a computed name, so that it can only get one."""
    if seen.due is None or not seen.due.has_come(now) or not may_start(seen):
        return None
    if active_run(seen.observed.runs) is not None:
        return Finding(reason="RunQueued", message="a RotationRun waits to rotate the secret")
    metadata = seen.secret.metadata
    spec = {
        "secretRef": {"name": metadata.name},
        "trigger": Trigger.SCHEDULE.value,
        "slot": rfc3339(seen.due.slot),
        "reason": seen.due.cause.value,
    }
    run = CreateRun(name=scheduled_run(metadata.name, uid=metadata.uid, slot=seen.due.slot), spec=spec)
    return Finding(reason="RotationDue", message="a rotation is due", actions=(run,))


CHECKS: tuple[Check, ...] = (
    is_deleted,
    spec_is_valid,
    connection_is_there,
    source_is_allowed,
    source_exists,
    target_is_ours,
    nothing_is_suspended,
    is_mirrored,
    no_run_is_active,
    content_can_be_used,
    change_has_a_run,
    secret_is_untouched,
    schedule_is_met,
)


def _failed(failure: Failure | None, now: datetime) -> Finding | None:
    if failure is None:
        return None
    again = now + (5 * SOON if failure.kind is FailureKind.TRANSIENT else SLOWLY)
    return Finding(reason=failure.reason, message=failure.message, failure=failure.kind, look_again_at=again)


def _run(seen: Seen, now: datetime, trigger: Trigger, version: str, reason: str) -> Finding:
    """The run of this change. One that is over and has not settled it is followed by another, after a while if it failed."""
    metadata, over = seen.secret.metadata, {run.name: run for run in seen.observed.runs if run.over}
    epoch = seen.mirror.epoch if seen.mirror else 0
    tried: list[RunView] = []
    while True:
        shape = f"{seen.observed.shape} {len(tried)}" if tried else seen.observed.shape
        name = change_run(metadata.name, uid=metadata.uid, epoch=epoch, version=version, shape=shape)
        if name not in over:
            break
        tried.append(over[name])
    again = max((run.completed + SLOWLY for run in tried if run.failed and run.completed is not None), default=now)
    if again > now:
        return Finding(reason="ContentChanged", message=f"{reason}; RotationRun {tried[-1].name} failed", look_again_at=again)
    spec = {"secretRef": {"name": metadata.name}, "trigger": trigger.value, "versionId": version, "reason": reason}
    return Finding(reason="ContentChanged", message=reason, actions=(CreateRun(name=name, spec=spec),))


# --- the schedule ----------------------------------------------------------------------------------------------------


def may_start(seen: Seen) -> bool:
    """Nothing but time stands between a due slot and its run."""
    return seen.mirror is not None and _may_rotate(seen)


def _may_rotate(seen: Seen) -> bool:
    observed, source = seen.observed, seen.observed.source
    return (
        seen.secret.spec.suspend is None
        and observed.may_rotate.allowed
        and observed.rotates_too is None
        and isinstance(source, SourceView)
        and source.rotation_configured
    )


def _times(seen: Seen, finding: Finding | None, now: datetime) -> tuple[datetime, ...]:
    """When time alone changes something: a slot's start, and when a rotation that has not begun is overdue.

    A start that has come and has to wait is no time to look again, or the loop would spin: what it waits for wakes the object.
    """
    source, late = seen.observed.source, []
    if seen.due is not None:
        late.append(seen.due.start + LATE)
        if _may_rotate(seen):
            acted = finding is not None and bool(finding.actions)
            late.append(now + SOON if acted and seen.due.has_come(now) else seen.due.start)
    if isinstance(source, SourceView) and source.next_rotation is not None:
        late.append(source.next_rotation + LATE)
    return tuple(time for time in late if time > now)


def _acts(secret: RotatingSecret) -> bool:
    """Neither being deleted nor suspended altogether."""
    return secret.metadata.deletion_timestamp is None and secret.spec.suspend is not Suspend.EVERYTHING


def _due(observed: ObservedSecret, now: datetime) -> Due | None:
    secret, source = observed.secret, observed.source
    rotation = secret.spec.rotation
    if rotation is None or rotation.schedule is None or not isinstance(source, SourceView) or validate_schedule(rotation.schedule):
        return None
    times = secret.status.rotation
    created = secret.metadata.creation_timestamp or now
    history = History(
        secret_created=source.created,
        object_created=created,
        last_success=source.last_rotated,
        schedule_edited=schedule_since(secret, now),
        last_schedule_time=max(
            filter(None, [times.last_schedule_time if times else None, *(run.slot for run in observed.runs)]), default=None
        ),
        last_attempt_time=last_attempt(observed),
        last_attempt_failed=True,  # what has succeeded since is in last_success
    )
    return next_rotation(rotation.schedule, history, uid=secret.metadata.uid, now=now)


def last_attempt(observed: ObservedSecret) -> datetime | None:
    """When a rotation of ours last began."""
    times = observed.secret.status.rotation
    return max(filter(None, [times.last_attempt_time if times else None, *(run.attempt for run in observed.runs)]), default=None)


def _beyond_history(observed: ObservedSecret) -> tuple[Action, ...]:
    """The oldest finished runs, past the limit, once what they wrote is in the status."""
    written, times = observed.secret.status.settled, observed.secret.status.rotation
    slot = times.last_schedule_time if times else None
    over = sorted((run for run in observed.runs if run.over and run.owned), key=lambda run: (run.completed or run.created, run.name))
    surplus = over[: max(len(over) - observed.secret.spec.history_limit, 0)]
    safe = [
        run
        for run in surplus
        if (run.mirror is None or (written is not None and run.mirror.epoch <= written.epoch))
        and (run.slot is None or (slot is not None and run.slot <= slot))
    ]
    return tuple(DeleteRun(name=run.name, uid=run.uid) for run in safe)
