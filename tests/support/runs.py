"""A run from pass to pass, as the planner and what came of its actions leave it; and what its status says."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.support.observed import (
    ARN,
    LIMITS,
    MINUTE,
    NOON,
    RUN_UID,
    mirror,
    observed_run,
    refusal,
    rotation_run,
    source,
    written_run,
)

from keyturn.api import RotationRunStatus, RunVersions, Step, StepName, StepState
from keyturn.domain import conditions as cond
from keyturn.domain.actions import Mirrored, Outcome, Refused
from keyturn.domain.consumers import annotation_of
from keyturn.domain.names import rotation_token
from keyturn.domain.run_outcome import run_outcome
from keyturn.domain.run_plan import run_plan
from keyturn.domain.run_seen import ObservedRun, RunPlan

TOKEN = str(rotation_token(RUN_UID))
TIMEOUT, GRACE = 15 * MINUTE, LIMITS.stuck_grace
MARK = {annotation_of("orders-db"): "v2.2"}


def step(status: RotationRunStatus, name: StepName = StepName.ROTATE) -> tuple[StepState, str]:
    found = next(one for one in status.steps if one.name is name)
    return found.state, found.message or ""


def state(status: RotationRunStatus, name: StepName = StepName.ROTATE) -> StepState | None:
    return next((one.state for one in status.steps if one.name is name), None)


def end(status: RotationRunStatus) -> str | None:
    """The reason of the end; None while the run is not over."""
    reasons = [found.reason for name in ("Complete", "Failed") if (found := cond.find(status.conditions, name))]
    assert bool(reasons) is (status.completion_time is not None)
    return reasons[0] if reasons else None


def why(status: RotationRunStatus) -> str:
    found = cond.find(status.conditions, "Ready")
    assert found is not None
    return found.reason


def done(seen: ObservedRun, *outcomes: Outcome, now: datetime = NOON) -> RunPlan:
    """One pass, with what came of each action."""
    plan = run_plan(seen, now)
    assert len(plan.actions) == len(outcomes)
    return run_outcome(seen, plan, list(zip(plan.actions, outcomes, strict=True)), now)


def after(seen: ObservedRun, *outcomes: Outcome, now: datetime = NOON, **changes: Any) -> ObservedRun:
    """The run as the next pass sees it."""
    return replace(seen, run=written_run(seen.run, done(seen, *outcomes, now=now).draft), **changes)


def rotating(
    spec: dict[str, Any] | None = None, *, start: datetime = NOON, to: str | None = TOKEN, from_: str = "v1", **seen: Any
) -> ObservedRun:
    """A run whose rotation was begun at `start`, and accepted unless `to` is None."""
    status = RotationRunStatus(
        versions=RunVersions(from_=from_, to=to),
        start_time=start,
        steps=[Step(name=StepName.ROTATE, state=StepState.RUNNING, start_time=start, message="m")],
    )
    return observed_run(run=rotation_run(spec, status=status, created=start), **seen)


def in_mirror(spec: dict[str, Any] | None = None, **seen: Any) -> ObservedRun:
    """A run that has v2 to mirror."""
    status = RotationRunStatus(
        versions=RunVersions(from_="v1", to="v2"),
        start_time=NOON,
        steps=[Step(name=StepName.ROTATE, state=StepState.SUCCEEDED, start_time=NOON, end_time=NOON)],
    )
    return observed_run(run=rotation_run(spec, status=status), **({"source": source("v2")} | seen))


def rolling(spec: dict[str, Any] | None = None, *, parent_spec: dict[str, Any] | None = None, **seen: Any) -> ObservedRun:
    """A run that has mirrored v2 at NOON, as epoch 2."""
    status = RotationRunStatus(
        versions=RunVersions(from_="v1", to="v2"),
        mirror=mirror("v2", epoch=2, time=NOON),
        start_time=NOON,
        steps=[
            Step(name=StepName.ROTATE, state=StepState.SUCCEEDED, start_time=NOON, end_time=NOON),
            Step(name=StepName.MIRROR, state=StepState.SUCCEEDED, start_time=NOON, end_time=NOON),
        ],
    )
    return observed_run(run=rotation_run(spec, status=status), parent_spec=parent_spec, **({"source": source("v2")} | seen))


def mirrored(*, changed: bool = True, epoch: int = 2) -> Mirrored:
    return Mirrored(mirror=mirror("v2", epoch=epoch, resource_version="200", time=NOON), name="n", arn=ARN, changed=changed)


def refused(kind: str, reason: str = "Refused", message: str = "it was refused") -> Refused:
    return Refused(failure=refusal(kind, reason, message))


INVALID = refused("Invalid", "ContentInvalid", 'Secret "orders-db" lacks "password".')
