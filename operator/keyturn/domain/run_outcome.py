"""What came of a run's actions: the plan with their outcomes worked in, as the status to write and the time to look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from keyturn.api import Action as RunAction
from keyturn.api import RotatingSecret, RunVersions, StepName, StepState
from keyturn.domain.actions import (
    Action,
    AdoptRun,
    Done,
    Mirrored,
    Moved,
    Outcome,
    Refused,
    RemovePending,
    Restart,
    StartRotation,
    WriteMirror,
)
from keyturn.domain.consumers import Consumer
from keyturn.domain.failures import FailureKind
from keyturn.domain.mirroring import shape
from keyturn.domain.observed import Failure
from keyturn.domain.rejection import REASON, gives_up_at, ways_out
from keyturn.domain.run_plan import awaits_margin, others_wait
from keyturn.domain.run_record import Record
from keyturn.domain.run_rotate import give_up
from keyturn.domain.run_seen import SLOW, SLOWLY, SOON, ObservedRun, RunPlan, strategy_of


def run_outcome(seen: ObservedRun, plan: RunPlan, outcomes: Sequence[tuple[Action, Outcome]], now: datetime) -> RunPlan:
    """The plan with what came of its actions worked in: the status to write, and when to look again."""
    record = Record.of_status(seen.run, plan.draft, now)
    again = plan.look_again_at
    for action, outcome in outcomes:
        match action:
            case StartRotation(token=token):
                record, again = _started(record, token, outcome, now)
            case WriteMirror(repair=True) if isinstance(outcome, Mirrored):
                record, again = record.mirrored(outcome.mirror), now
            case WriteMirror(repair=True) if isinstance(outcome, Refused):
                again = now + 2 * SOON
            case WriteMirror():
                record, again = _mirrored(seen, record, outcome, now)
            case Restart(consumer=consumer) if isinstance(outcome, Done):
                record = record.restarted(consumer.ref)
            case Restart(consumer=consumer) if isinstance(outcome, Refused):
                record, again = _restart_refused(record, consumer, outcome.failure), now + SOON
            case RemovePending() if isinstance(outcome, Refused):
                record, again = _still_pending(seen, action, outcome.failure, now)
            case AdoptRun() if isinstance(outcome, Refused) and record.base.completion_time is None:
                later = now + (SLOWLY if outcome.failure.kind in SLOW else SOON)
                again = min(again, later) if again is not None else later
            case _:
                pass
    return RunPlan(draft=record.status(), actions=plan.actions, look_again_at=again)


def _started(record: Record, token: str, outcome: Outcome, now: datetime) -> tuple[Record, datetime | None]:
    if not isinstance(outcome, Refused):
        record = record.versions(RunVersions(from_=record.version_from, to=token))
        return record.step(StepName.ROTATE, StepState.RUNNING, f"AWS rotates to {token}"), now + SOON / 2
    failure = outcome.failure
    if failure.kind is FailureKind.TRANSIENT or failure.reason == "RotationInProgress":
        return record.step(StepName.ROTATE, StepState.RUNNING, failure.message), now + 2 * SOON
    return record.failed(failure.reason, failure.message), None


def _restart_refused(record: Record, consumer: Consumer, failure: Failure) -> Record:
    """Said where the workload is listed: if it stays so, the wave is held with these words."""
    return record if failure.kind in {FailureKind.TRANSIENT, FailureKind.CONFLICT} else record.refused(consumer.ref, failure.message)


def _still_pending(seen: ObservedRun, action: RemovePending, failure: Failure, now: datetime) -> tuple[Record, datetime | None]:
    """AWSPENDING could not be taken off. A run is not over before its own is, since the label blocks every later rotation.

    A run that only waits for somebody else's tells who can mend it, and ends.
    """
    record = Record.of(seen.run, now)
    message = f"AWSPENDING is on version {action.version}, which never got a value, and could not be taken off it: {failure.message}"
    if action.foreign and failure.kind in SLOW and seen.parent is not None:
        command = give_up(seen.parent.spec.secret_id, action.version)
        return record.failed("RotationStuck", f"{message}. It blocks every rotation; take it off with: {command}"), None
    return record.waiting(failure.reason, message), now + (SLOWLY if failure.kind in SLOW else 2 * SOON)


def _mirrored(seen: ObservedRun, record: Record, outcome: Outcome, now: datetime) -> tuple[Record, datetime | None]:
    match outcome:
        case Mirrored(mirror=mirror, changed=changed):
            message = "the Secret holds the new content" if changed else "the Secret held this content already"
            record = record.mirrored(mirror).step(StepName.MIRROR, StepState.SUCCEEDED, message)
            settled = seen.parent.status.settled if seen.parent else None
            if not changed and settled and settled.epoch == mirror.epoch and seen.run.spec.action is RunAction.ROTATE and seen.parent:
                return record.step(StepName.ROLLOUT, StepState.SKIPPED, "the content is the same").complete(strategy_of(seen.parent)), None
            return awaits_margin(seen, record, since=mirror.time, now=now) or (record, now)
        case Moved(version=version):
            return record.superseded(f"AWS has moved on to {version}"), None
        case Refused(failure=failure) if failure.reason == "NotAllowed":
            return record.failed(failure.reason, failure.message), None
        case Refused(failure=failure) if failure.reason == REASON and seen.parent is not None:
            return _rejected(seen, seen.parent, record, failure, now)
        case Refused(failure=failure):
            return record.blocked(StepName.MIRROR, failure), now + (SLOWLY if failure.kind in SLOW else 2 * SOON)
        case _:
            return record, now + SOON


def _rejected(seen: ObservedRun, parent: RotatingSecret, record: Record, failure: Failure, now: datetime) -> tuple[Record, datetime]:
    """The version cannot become the content: said plainly, with when the run ends if nobody mends it."""
    record = record.rejects(str(record.version_to), shape(parent.spec.target), failure.message)
    rejected = record.base.rejected
    assert rejected is not None  # noqa: S101 - the line before has put it there
    ends = gives_up_at(rejected, parent, others_wait=others_wait(seen))
    message = f"{ways_out(rejected, parent)} The run fails at {ends:%H:%M:%S}Z if neither happens"
    return record.blocked(StepName.MIRROR, replace(failure, message=message)), ends
