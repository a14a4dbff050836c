"""The engine's figures as metrics: passes, rotations, rollouts, and the time from a promotion to the last pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from keyturn.api import Action, RotatingSecretStatus, RotationRun, RotationRunStatus, StepName, StepState, Trigger
from keyturn.domain import conditions as cond
from keyturn.domain.run_seen import ObservedRun
from keyturn.engine.keys import Key
from keyturn.telemetry.metrics import Metrics

DONE = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
SHOWN = ("Ready", "Stalled", "Adopted", "RotationOnTime")


class MetricsObserver:
    """The port `Observer`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._conditions: dict[Key, tuple[tuple[str, str], ...]] = {}
        metrics.count_resources(self._counts)

    def passed(self, key: Key, result: str, seconds: float, waited: float) -> None:
        """One pass over an object."""
        self._metrics.reconciled(key.kind.value, result, seconds)
        self._metrics.queue_latency(waited)

    def secret(self, key: Key, status: RotatingSecretStatus) -> None:
        """Keep what the gauge of conditions counts."""
        found = ((type_, cond.find(status.conditions, type_)) for type_ in SHOWN)
        self._conditions[key] = tuple((type_, condition.status.value) for type_, condition in found if condition is not None)

    def run(self, key: Key, run: RotationRun, after: RotationRunStatus, observed: ObservedRun) -> None:
        """Count ends, and measure the time from the promotion to the last pod."""
        if (result := rotation_result(run, after)) is not None:
            self._metrics.rotation_over(result)
        if (result := rollout_result(run, after)) is not None:
            self._metrics.rollout_over(result)
        if after.completion_time is not None and run.status.completion_time is None and cond.holds(after.conditions, "Complete"):
            rotated = next((step.end_time for step in after.steps if step.name is StepName.ROTATE), None)
            if rotated is not None and _state(after, StepName.ROLLOUT) is StepState.SUCCEEDED:
                self._metrics.propagated((after.completion_time - rotated).total_seconds())

    def gone(self, key: Key) -> None:
        """The object counts no more."""
        self._conditions.pop(key, None)

    def _counts(self) -> Iterable[tuple[str, str, str, int]]:
        totals = Counter((key.kind.value, type_, status) for key, found in self._conditions.items() for type_, status in found)
        return [(*labels, count) for labels, count in sorted(totals.items())]


def rotation_result(run: RotationRun, after: RotationRunStatus) -> str | None:
    """How the run's rotation has ended in this pass, if it has: a run that only follows somebody else's promotion has none."""
    before, state = _state(run.status, StepName.ROTATE), _state(after, StepName.ROTATE)
    if before in DONE:
        return None
    if state is StepState.SUCCEEDED:
        return state.value
    own = run.spec.action is Action.ROTATE and run.spec.trigger in {Trigger.MANUAL, Trigger.SCHEDULE}
    return _end(run, after) if own else None


def rollout_result(run: RotationRun, after: RotationRunStatus) -> str | None:
    """How the run's rollout has ended in this pass, if it has: one that had nobody to restart is none."""
    state = _state(after, StepName.ROLLOUT)
    if _state(run.status, StepName.ROLLOUT) is not StepState.SUCCEEDED and state is StepState.SUCCEEDED:
        return state.value
    end = _end(run, after)
    return end if after.mirror is not None and end != "Adopted" else None


def _end(run: RotationRun, after: RotationRunStatus) -> str | None:
    """The reason why the run is over since this pass."""
    if after.completion_time is None or run.status.completion_time is not None:
        return None
    return next((found.reason for type_ in ("Complete", "Failed") if (found := cond.find(after.conditions, type_))), None)


def _state(status: RotationRunStatus, name: StepName) -> StepState | None:
    return next((step.state for step in status.steps if step.name is name), None)
