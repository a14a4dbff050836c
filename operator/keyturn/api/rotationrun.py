"""RotationRun: one change of credential, with a beginning, an end and a record.

As a Job is to its CronJob: what somebody wants to happen once is the spec, which never changes; what has happened is the status.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .meta import (
    CEL,
    Conditions,
    Count,
    Generation,
    Kind,
    ListMap,
    Message,
    Model,
    ObjectName,
    OwnName,
    PrinterColumn,
    Reason,
    Resource,
    Short,
    Time,
    VersionId,
    condition_column,
)
from .rollout import WorkloadKind
from .rotatingsecret import MirrorStatus, RejectedVersion

MAX_WORKLOADS = 100


class Action(StrEnum):
    """What a run does."""

    ROTATE = "Rotate"
    ROLLOUT = "Rollout"


class Trigger(StrEnum):
    """Why a run came to be."""

    MANUAL = "Manual"
    SCHEDULE = "Schedule"
    OBSERVED = "Observed"
    EDITED = "Edited"


class StepName(StrEnum):
    """The steps of a run, in their order."""

    ROTATE = "Rotate"
    MIRROR = "Mirror"
    ROLLOUT = "Rollout"
    RETIRE = "Retire"


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "Waiting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    UNSUPPORTED = "Unsupported"


class WorkloadState(StrEnum):
    """How far a workload is."""

    PENDING = "Pending"
    RESTARTING = "Restarting"
    RELOADING = "Reloading"
    WAITING = "Waiting"
    ADOPTED = "Adopted"
    REVERTED = "Reverted"
    UNKNOWN = "Unknown"


class RunSecretRef(Model):
    """A RotatingSecret of the same namespace."""

    name: OwnName
    """Its name."""


class RotationRunSpec(Model):
    """What is to happen, once."""

    rules: ClassVar = (
        CEL("self == oldSelf", "must not be changed: a run is one change; create another RotationRun", Reason.FORBIDDEN),
        CEL(
            "self.trigger != 'Observed' || has(self.versionId)",
            "must be set with trigger Observed",
            Reason.REQUIRED,
            ".versionId",
        ),
        CEL(
            "!has(self.versionId) || (self.trigger != 'Manual' && self.trigger != 'Schedule')",
            "must not be set with trigger Manual or Schedule: the version is not known before AWS has made it",
            Reason.FORBIDDEN,
            ".versionId",
        ),
        CEL(
            "has(self.slot) == (self.trigger == 'Schedule')",
            "must be set with trigger Schedule, and only then",
            Reason.INVALID,
            ".slot",
        ),
    )

    secret_ref: RunSecretRef
    """The RotatingSecret whose credential is changed."""

    action: Action = Action.ROTATE
    """Rotate: have AWS make a new version, and bring it to the workloads. Rollout: bring the current version to the workloads
    again, for example after a Held run was looked into."""

    trigger: Trigger = Trigger.MANUAL
    """Why: Manual (a person or a program asked), Schedule, Observed (AWS or a person rotated), Edited (keys or template of the
    RotatingSecret changed). Leave all but Manual to Keyturn."""

    version_id: VersionId | None = None
    """With Observed: the version that was noticed."""

    slot: Time | None = None
    """With Schedule: the scheduled time, before the spread."""

    reason: Annotated[str, Field(max_length=1024)] | None = None
    """Why, in your own words, for the record. For example: laptop lost."""

    urgent: bool = False
    """Do not wait for the active run if that one has already rotated, but take over from it. With AlternatingUsers this breaks
    pods that are still on the version before."""


class RunVersions(Model):
    """From which version of the AWS secret to which."""

    from_: Annotated[VersionId | None, Field(alias="from")] = None
    """The version that was current when the run began."""

    to: VersionId | None = None
    """The version that the run brings to the workloads."""


class ForeignRotation(Model):
    """A rotation that somebody else started."""

    version_id: VersionId
    """The version that it leads to."""

    since: Time
    """When the run first saw it; if it makes no progress for long after that, it counts as stuck."""


class RunAdoption(Model):
    """Which pods run on the version that the run brings: of all workloads, those that are not in the list included."""

    pods: Count = 0
    """Pods that use the Secret."""

    pods_on_version: Count = 0
    """Those of them that run on the new version."""

    workloads: Count = 0
    """Workloads that use the Secret."""

    restarting: Count = 0
    """Workloads whose restart is under way."""


class Step(Model):
    """One step of the run."""

    name: StepName
    """Which step: Rotate, Mirror, Rollout, Retire."""

    state: StepState
    """How far it is."""

    start_time: Time | None = None
    """When it started."""

    end_time: Time | None = None
    """When it was over."""

    message: Message | None = None
    """What happened, in a sentence."""


class WorkloadStatus(Model):
    """One workload on its way to the new version."""

    kind: WorkloadKind
    """The workload's kind."""

    name: ObjectName
    """The workload's name."""

    wave: Count = 0
    """Its wave."""

    state: WorkloadState
    """How far it is: Pending (to be restarted), Restarting, Reloading, Waiting (for somebody else), Adopted, Reverted (somebody
    takes the restart annotation away), Unknown (its pods could not be listed)."""

    pods: Count = 0
    """Its pods."""

    pods_on_version: Count = 0
    """Those of them that run on the new version."""

    restarts: Count = 0
    """How often this run has set the restart annotation; it is set once more if somebody takes it away."""

    message: Message | None = None
    """What it waits for, or what is wrong with it."""


class RunSummary(Model):
    """Strings for the columns of `kubectl get`."""

    step: Short | None = None
    """The step that is running, or how the run ended."""

    adopted: Short | None = None
    """Pods on the new version and pods in all, for example 3/7."""

    from_: Annotated[Short | None, Field(alias="from")] = None
    """The version before, shortened."""

    to: Short | None = None
    """The new version, shortened."""

    duration: Short | None = None
    """How long the run took, for example 3m12s."""


class RotationRunStatus(Model):
    """What has happened."""

    observed_generation: Generation | None = None
    """The generation of the spec that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """Complete or Failed when it is over; Ready, Reconciling and Stalled for tools that wait."""

    versions: RunVersions | None = None
    """From which version of the AWS secret to which."""

    foreign_rotation: ForeignRotation | None = None
    """What somebody else started and this run waits for."""

    mirror: MirrorStatus | None = None
    """The Secret as this run wrote or found it."""

    rejected: RejectedVersion | None = None
    """Why the version cannot become the Secret's content. The run fails when spec.rollout.timeout is over, or at once if another
    run waits; until then an edit of spec.target or a newer version mends it."""

    start_time: Time | None = None
    """When the run began to act."""

    completion_time: Time | None = None
    """When it was over, well or not."""

    steps: Annotated[list[Step], Field(max_length=len(StepName)), ListMap("name")] = Field(default_factory=list)
    """The record, step by step."""

    adoption: RunAdoption | None = None
    """Which pods run on the new version, counted over all workloads."""

    workloads: Annotated[list[WorkloadStatus], Field(max_length=MAX_WORKLOADS), ListMap("kind", "name")] = Field(default_factory=list)
    """The workloads, at most 100 of them: of more, those that are not on the new version yet come first."""

    more_workloads: Count | None = None
    """How many workloads are not in the list. They are restarted and counted like the others."""

    wave: Count | None = None
    """The wave that is being brought to the new version."""

    wave_start_time: Time | None = None
    """When that wave started; its timeout counts from here. Moved on by the time that the wave was ready and did not stay so."""

    wave_ready_time: Time | None = None
    """When that wave was seen ready; the next one starts after the soak if it still is."""

    summary: RunSummary | None = None
    """Strings for the columns of `kubectl get`."""


class RotationRun(Kind):
    """One change of a RotatingSecret's credential: rotate, mirror, restart the workloads, prove that they use it. Creating one
    rotates now."""

    resource: ClassVar = Resource(
        kind="RotationRun",
        plural="rotationruns",
        singular="rotationrun",
        short_name="rrun",
        columns=(
            PrinterColumn(name="Secret", path=".spec.secretRef.name", description="The RotatingSecret."),
            PrinterColumn(name="Trigger", path=".spec.trigger", description="Why the run came to be."),
            PrinterColumn(name="Step", path=".status.summary.step", description="The running step, or how it ended."),
            PrinterColumn(name="Adopted", path=".status.summary.adopted", description="Pods on the new version, of all."),
            PrinterColumn(name="From", path=".status.summary.from", description="The version before."),
            PrinterColumn(name="To", path=".status.summary.to", description="The new version."),
            PrinterColumn(name="Duration", path=".status.summary.duration", description="How long it took."),
            PrinterColumn(name="Age", path=".metadata.creationTimestamp", description="Time since the object was created.", type="date"),
            PrinterColumn(name="Why", path=".spec.reason", description="The reason that was given.", wide=True),
            condition_column("Reason", "Ready", "reason", "How it stands.", wide=True),
            condition_column("Message", "Ready", "message", "The same in a sentence.", wide=True),
        ),
        selectable=(".spec.secretRef.name",),
    )

    kind: Literal["RotationRun"] = "RotationRun"
    spec: RotationRunSpec
    """What is to happen, once. Cannot be changed."""

    status: RotationRunStatus = Field(default_factory=RotationRunStatus)
    """What has happened. Written by Keyturn."""
