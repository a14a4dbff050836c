"""The record of a run: its status as a value that is only ever replaced, step by step, with its conditions and columns derived."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from keyturn.api import (
    MAX_WORKLOADS,
    Condition,
    ForeignRotation,
    MirrorStatus,
    RejectedVersion,
    RotationRun,
    RotationRunStatus,
    RunAdoption,
    RunSummary,
    RunVersions,
    Step,
    StepName,
    StepState,
    Strategy,
    WorkloadState,
    WorkloadStatus,
)
from keyturn.domain import conditions as cond
from keyturn.domain.failures import FailureKind
from keyturn.domain.observed import Failure
from keyturn.domain.waves import Progress
from keyturn.domain.waves import Rollout as RolloutLook

FINAL = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
ENDED = FINAL | {StepState.FAILED, StepState.UNSUPPORTED}
LAST_LISTED = (WorkloadState.WAITING, WorkloadState.RELOADING, WorkloadState.PENDING, WorkloadState.ADOPTED)
MESSAGE = 1024  # characters of a workload's message
SHORT = 8  # characters of a VersionId that are enough for eyes

OLD_CREDENTIAL: Mapping[Strategy | None, str] = {
    Strategy.SINGLE_USER: "the old password died when the back end got the new one",
    Strategy.ALTERNATING_USERS: "the old credential works until the next rotation",
    Strategy.OVERLAP: "the old credential works until it is retired at the back end",
}


def old_credential(strategy: Strategy | None) -> str:
    """What is truthfully known of the credential before."""
    known = OLD_CREDENTIAL.get(strategy, "what the rotator did to the old credential is not known (spec.rotation.strategy)")
    return f"not asked for; {known}"


def short(version: str | None) -> str | None:
    """A VersionId for a column."""
    return version[:SHORT] if version else None


def lasted(span: timedelta) -> str:
    """A duration for a column: 3m12s."""
    seconds = max(int(span.total_seconds()), 0)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds % 60}s"


def listed(statuses: Sequence[WorkloadStatus], *, due: Collection[tuple[str, str]] = ()) -> list[WorkloadStatus]:
    """The rows of the record, at most 100: of more, those of which something must be remembered, then those that are not on the content.

    What is known of the others can be read off them: their template carries the mark, and their pods are new, or it does not.
    """

    def place(status: WorkloadStatus) -> tuple[bool, bool, int, int, int, str, str]:
        ref = (status.kind.value, status.name)
        rank = LAST_LISTED.index(status.state) if status.state in LAST_LISTED else -1
        return status.state is WorkloadState.ADOPTED, ref not in due, -status.restarts, rank, status.wave, *ref

    kept = sorted(statuses, key=place)[:MAX_WORKLOADS]
    return sorted(kept, key=lambda status: (status.wave, status.kind.value, status.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A status in the making. `verdict` is why the run stands as it stands."""

    run: RotationRun
    now: datetime
    base: RotationRunStatus
    steps: Mapping[StepName, Step] = field(default_factory=dict)
    verdict: Mapping[str, cond.Verdict] | None = None
    end: str | None = None  # the reason of the end

    @classmethod
    def of(cls, run: RotationRun, now: datetime) -> Record:
        """From what was last written."""
        return cls.of_status(run, run.status, now)

    @classmethod
    def of_status(cls, run: RotationRun, status: RotationRunStatus, now: datetime) -> Record:
        """From a draft of this pass."""
        verdict = None
        if status is not run.status:
            verdict = {c.type: cond.Verdict(status=c.status, reason=c.reason, message=c.message) for c in status.conditions}
        return cls(run=run, now=now, base=status, steps={step.name: step for step in status.steps}, verdict=verdict)

    # what it says

    @property
    def version_from(self) -> str | None:
        """The version that was current when the run began."""
        return self.base.versions.from_ if self.base.versions else None

    @property
    def version_to(self) -> str | None:
        """The version that the run brings."""
        return self.base.versions.to if self.base.versions else None

    def done(self, name: StepName) -> bool:
        """The step needs nothing more."""
        return name in self.steps and self.steps[name].state in FINAL

    def started(self, name: StepName) -> datetime | None:
        """When the step began to act."""
        return self.steps[name].start_time if name in self.steps else None

    def progress(self) -> Progress:
        """Where the rollout was."""
        return Progress(
            wave=self.base.wave,
            wave_start=self.base.wave_start_time,
            wave_ready=self.base.wave_ready_time,
            workloads={(workload.kind.value, workload.name): workload for workload in self.base.workloads},
        )

    # what it comes to say

    def _with(self, **changes: Any) -> Record:
        return replace(self, base=self.base.model_copy(update=changes))

    def versions(self, versions: RunVersions) -> Record:
        """From which version to which."""
        return self._with(versions=versions)

    def step(self, name: StepName, state: StepState, message: str) -> Record:
        """Move a step; its times follow from its states."""
        before = self.steps.get(name)
        acting = state is not StepState.WAITING
        start = before.start_time if before and before.start_time else (self.now if acting else None)
        end = (before.end_time if before and before.end_time else self.now) if state in ENDED else None
        step = Step(name=name, state=state, start_time=start, end_time=end, message=message)
        record = replace(self, steps={**self.steps, name: step}, verdict=cond.reconciling(f"{name.value}{state.value}", message))
        return record if record.base.start_time else record._with(start_time=self.now)

    def begun(self, name: StepName) -> Record:
        """The step is under way, if it was not already."""
        return self if name in self.steps else self.step(name, StepState.RUNNING, "starts")

    def waiting(self, reason: str, message: str) -> Record:
        """Nothing can be done now; the step that is next says why."""
        name = next((name for name in StepName if not self.done(name)), StepName.RETIRE)
        before = self.steps.get(name)
        state = before.state if before and before.state is StepState.RUNNING else StepState.WAITING
        step = Step(name=name, state=state, start_time=before.start_time if before else None, message=message)
        return replace(self, steps={**self.steps, name: step}, verdict=cond.reconciling(reason, message))

    def behind(self, version: str | None) -> Record:
        """Somebody else's rotation to this version is in flight; how long that one has been is kept."""
        known = self.base.foreign_rotation
        if version is None:
            return self._with(foreign_rotation=None)
        same = known is not None and known.version_id == version
        return self if same else self._with(foreign_rotation=ForeignRotation(version_id=version, since=self.now))

    def not_begun(self, reason: str, message: str) -> Record:
        """The rotation is to begin as if it had never been begun: what the run had joined has come to nothing."""
        step = Step(name=StepName.ROTATE, state=StepState.WAITING, message=message)
        record = replace(self, steps={**self.steps, StepName.ROTATE: step}, verdict=cond.reconciling(reason, message))
        return record._with(versions=None, foreign_rotation=None)

    def rejects(self, version: str, shape: str, why: str) -> Record:
        """The version cannot become the Secret's content, as the spec is now; since when is kept."""
        known = self.base.rejected
        if known is not None and (known.version_id, known.shape) == (version, shape):
            return self
        return self._with(rejected=RejectedVersion(version_id=version, shape=shape, time=self.now, message=why))

    def blocked(self, name: StepName, failure: Failure) -> Record:
        """The step cannot go on: for a while, or until somebody mends something."""
        before = self.steps.get(name)
        step = Step(name=name, state=StepState.WAITING, start_time=before.start_time if before else None, message=failure.message)
        for_a_while = failure.kind in {FailureKind.TRANSIENT, FailureKind.CONFLICT}
        say = cond.reconciling if for_a_while else cond.stalled
        return replace(self, steps={**self.steps, name: step}, verdict=say(failure.reason, failure.message))

    def mirrored(self, mirror: MirrorStatus) -> Record:
        """The Secret holds the content, since a time that is known. Another content than before is rolled out from the start."""
        before = self.base.mirror
        if before is None or before.epoch == mirror.epoch:
            return self._with(mirror=mirror)
        cleared = dict.fromkeys(("adoption", "more_workloads", "wave", "wave_start_time", "wave_ready_time"))
        return self._with(mirror=mirror, workloads=[], **cleared)

    def rolled(self, look: RolloutLook) -> Record:
        """How far the rollout is, of all workloads; those that are listed are the run's memory of them."""
        restarting = sum(status.state is WorkloadState.RESTARTING for status in look.statuses)
        return self._with(
            adoption=RunAdoption(
                pods=sum(status.pods for status in look.statuses),
                pods_on_version=sum(status.pods_on_version for status in look.statuses),
                workloads=len(look.statuses),
                restarting=restarting,
            ),
            workloads=listed(look.statuses, due=frozenset(consumer.ref for consumer in look.restart)),
            more_workloads=max(len(look.statuses) - MAX_WORKLOADS, 0) or None,
            wave=look.progress.wave,
            wave_start_time=look.progress.wave_start,
            wave_ready_time=look.progress.wave_ready,
        )

    def restarted(self, ref: tuple[str, str]) -> Record:
        """The annotation of a workload was set."""
        times = next((workload.restarts for workload in self.base.workloads if (workload.kind.value, workload.name) == ref), 0)
        record = self._workload(ref, restarts=times + 1, state=WorkloadState.RESTARTING, message="its template was marked")
        counted = self.base.adoption or RunAdoption()
        return record._with(adoption=counted.model_copy(update={"restarting": counted.restarting + 1}))

    def refused(self, ref: tuple[str, str], message: str) -> Record:
        """The annotation of a workload could not be set."""
        return self._workload(ref, message=message[:MESSAGE])

    def _workload(self, ref: tuple[str, str], **changes: Any) -> Record:
        workloads = [
            workload.model_copy(update=changes) if (workload.kind.value, workload.name) == ref else workload
            for workload in self.base.workloads
        ]
        return self._with(workloads=workloads)

    def complete(self, strategy: Strategy | None) -> Record:
        """Every pod runs on the version, as far as this cluster goes; nothing was asked to retire the old credential."""
        message = self.steps[StepName.ROLLOUT].message if StepName.ROLLOUT in self.steps else None
        retired = self.step(StepName.RETIRE, StepState.UNSUPPORTED, old_credential(strategy))
        return retired._over("Complete", "Adopted", message or "done", ready=True)

    def superseded(self, why: str) -> Record:
        """Another change does the rest."""
        return self._close(StepState.SKIPPED, why)._over("Complete", "Superseded", f"{why}: the next run does the rest", ready=True)

    def failed(self, reason: str, message: str) -> Record:
        """The run is over, and did not do what it was for."""
        return self._close(StepState.FAILED, message)._over("Failed", reason, message, ready=False)

    def _close(self, state: StepState, message: str) -> Record:
        """The step at which the run ends: the first that is not done."""
        name = next((name for name in StepName if not self.done(name)), StepName.RETIRE)
        return self.step(name, state, message)

    def _over(self, type_: str, reason: str, message: str, *, ready: bool) -> Record:
        verdict = {type_: cond.true(reason, message)}
        verdict |= {cond.READY: cond.true(reason, message)} if ready else cond.stalled(reason, message)
        return replace(
            self._with(completion_time=self.now, wave=None, wave_start_time=None, wave_ready_time=None), verdict=verdict, end=reason
        )

    def status(self) -> RotationRunStatus:
        """The status to write."""
        generation = self.run.metadata.generation
        found = self.base.conditions
        if self.verdict is not None:
            found = cond.merge(self.run.status.conditions, self.verdict, generation=generation, now=self.now)
        steps = [self.steps[name] for name in StepName if name in self.steps]
        return self.base.model_copy(
            update={"observed_generation": generation, "steps": steps, "conditions": found, "summary": self._summary(steps, found)}
        )

    def _summary(self, steps: list[Step], conditions: list[Condition]) -> RunSummary:
        counted = self.base.adoption
        current = next((step for step in steps if step.state not in ENDED), None)
        end = self.end or (self.base.summary.step if self.base.summary and self.base.completion_time else None)
        took = self.base.completion_time - self.base.start_time if self.base.completion_time and self.base.start_time else None
        return RunSummary(
            step=end or (_column(current, cond.find(conditions, cond.STALLED)) if current else None),
            adopted=f"{counted.pods_on_version}/{counted.pods}" if counted is not None and counted.workloads else None,
            from_=short(self.version_from),
            to=short(self.version_to),
            duration=lasted(took) if took is not None else None,
        )


def _column(step: Step, stalled: Condition | None) -> str:
    """The step that is under way; one that somebody must mend comes with the reason."""
    if stalled is not None:
        return f"{step.name.value}: {stalled.reason}"
    return f"{step.name.value}{'' if step.state is StepState.RUNNING else step.state.value}"
