"""What came of a run's actions: the plan with their outcomes worked in, as the status to write and the time to look again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keyturn.api import Action as RunAction
from keyturn.api import RunVersions, StepName, StepState
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
from keyturn.domain.observed import Failure
from keyturn.domain.run_plan import SLOW, SLOWLY, SOON, ObservedRun, RunPlan, strategy_of
from keyturn.domain.run_record import Record


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
                record, again = _still_pending(seen, outcome.failure, now)
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


def _still_pending(seen: ObservedRun, failure: Failure, now: datetime) -> tuple[Record, datetime]:
    """AWSPENDING could not be taken off: the run is not over before it is, since the label blocks every later rotation."""
    record = Record.of(seen.run, now)
    message = f"AWSPENDING is on a version that never got a value, and could not be taken off it: {failure.message}"
    return record.step(StepName.ROTATE, StepState.RUNNING, message), now + (SLOWLY if failure.kind in SLOW else 2 * SOON)


def _mirrored(seen: ObservedRun, record: Record, outcome: Outcome, now: datetime) -> tuple[Record, datetime | None]:
    match outcome:
        case Mirrored(mirror=mirror, changed=changed):
            message = "the Secret holds the new content" if changed else "the Secret held this content already"
            record = record.mirrored(mirror).step(StepName.MIRROR, StepState.SUCCEEDED, message)
            settled = seen.parent.status.settled if seen.parent else None
            if not changed and settled and settled.epoch == mirror.epoch and seen.run.spec.action is RunAction.ROTATE and seen.parent:
                return record.step(StepName.ROLLOUT, StepState.SKIPPED, "the content is the same").complete(strategy_of(seen.parent)), None
            return record, now
        case Moved(version=version):
            return record.superseded(f"AWS has moved on to {version}"), None
        case Refused(failure=failure) if failure.reason == "NotAllowed":
            return record.failed(failure.reason, failure.message), None
        case Refused(failure=failure):
            return record.blocked(StepName.MIRROR, failure), now + (SLOWLY if failure.kind in SLOW else 2 * SOON)
        case _:
            return record, now + SOON
