"""Which events a change of status is worth: typed reasons, on a change only, so that none repeats by itself."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.api import RotatingSecretStatus, RotationRunStatus, StepState
from keyturn.domain import conditions as cond
from keyturn.domain.consumers import MISSING
from keyturn.domain.run_record import FINAL

STEP_REASONS = {
    ("Rotate", StepState.RUNNING): ("RotationStarted", False),
    ("Rotate", StepState.SUCCEEDED): ("RotationSucceeded", False),
    ("Rotate", StepState.FAILED): ("RotationFailed", True),
    ("Mirror", StepState.SUCCEEDED): ("SecretMirrored", False),
    ("Mirror", StepState.WAITING): ("MirrorBlocked", True),
    ("Mirror", StepState.FAILED): ("MirrorFailed", True),
    ("Rollout", StepState.RUNNING): ("RolloutStarted", False),
    ("Rollout", StepState.SUCCEEDED): ("RolloutCompleted", False),
    ("Rollout", StepState.FAILED): ("RolloutHeld", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One Kubernetes event."""

    reason: str
    message: str
    warning: bool = False


def of_run(before: RotationRunStatus, after: RotationRunStatus) -> list[Announcement]:
    """One event for each step that has moved, and one for what a rollout could not reach or somebody takes away."""
    states = {step.name: step.state for step in before.steps}
    found = []
    for step in after.steps:
        known = STEP_REASONS.get((step.name.value, step.state))
        if states.get(step.name) is not step.state and known is not None:
            found.append(Announcement(reason=known[0], message=step.message or "", warning=known[1]))
        if states.get(step.name) is not step.state and step.state in FINAL and MISSING in (step.message or ""):
            found.append(Announcement(reason="WorkloadsMissing", message=step.message or "", warning=True))
    reverted = {(workload.kind, workload.name) for workload in before.workloads if workload.state.value == "Reverted"}
    found += [
        Announcement(reason="RestartReverted", message=f"{workload.kind.value} {workload.name}: {workload.message}", warning=True)
        for workload in after.workloads
        if workload.state.value == "Reverted" and (workload.kind, workload.name) not in reverted
    ]
    return found


def of_secret(before: RotatingSecretStatus, after: RotatingSecretStatus) -> list[Announcement]:
    """A repair, and what stands in the way.

    The first mirror is no event: the conditions say it, and with 2,500 objects it would be as many writes again.
    """
    found = []
    if after.mirror is not None and before.mirror is not None and _repaired(before, after):
        found.append(
            Announcement(reason="SecretRepaired", message=f"Secret {after.mirror.secret_name} had been changed or deleted by somebody else")
        )
    found += _fallen(before, after, cond.STALLED, True)
    found += _fallen(before, after, "RotationOnTime", False)
    if cond.holds(before.conditions, cond.STALLED) and not cond.holds(after.conditions, cond.STALLED):
        found.append(Announcement(reason="Resumed", message="what stood in the way is mended"))
    return found


def _repaired(before: RotatingSecretStatus, after: RotatingSecretStatus) -> bool:
    """Written again without a run, with the same version, and not because the spec asks for something else."""
    old, new = before.mirror, after.mirror
    return (
        old is not None
        and new is not None
        and new.version_id == old.version_id
        and new.resource_version != old.resource_version
        and new.shape == old.shape
        and before.observed_generation == after.observed_generation
        and after.active_run is None
        and before.active_run is None
    )


def _fallen(before: RotatingSecretStatus, after: RotatingSecretStatus, type_: str, bad: bool) -> list[Announcement]:
    """A condition that has come to say something bad, or another bad thing than before."""
    old, new = cond.find(before.conditions, type_), cond.find(after.conditions, type_)
    if new is None or (new.status.value == "True") is not bad or new.status.value == "Unknown":
        return []
    if old is not None and old.status is new.status and old.reason == new.reason:
        return []
    return [Announcement(reason=new.reason, message=new.message, warning=True)]
