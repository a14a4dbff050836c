"""Which workloads use a Secret, and which of their pods run on its present content.

A restart proves nothing by itself: a pod of the old template that starts late reads what the Secret holds then, and a new pod may read what
kubelet still has in its cache. The proof is that a pod was created after the Secret had held that content for the cache's margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.api import Discovery, OnChange, Rollout, WorkloadRule
from keyturn.api.meta import duration
from keyturn.domain.observed import Limits, PodView, SecretUse, WorkloadKind, WorkloadView

ANNOTATION_PREFIX = "keyturn.dev/"
MISSING = "; not there, though spec.rollout.workloads names it: "
NAMES_SHOWN = 3


class Treatment(StrEnum):
    """What a change of content means for a workload."""

    RESTART = "Restart"  # its pod template is annotated, its controller replaces the pods
    RELOADS = "Reloads"  # it reads the mounted file again by itself
    EXTERNAL = "External"  # somebody else restarts it
    REPORTED = "Reported"  # nothing is done and nothing waits for it: Jobs, CronJobs, bare pods


RESTARTABLE = frozenset({WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET, WorkloadKind.ROLLOUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One workload that uses the Secret, and how it is to be treated."""

    workload: WorkloadView
    use: SecretUse | None  # None: named in spec.rollout.workloads, without a reference that could be seen
    treatment: Treatment
    wave: int = 0
    reload_after: timedelta = timedelta(0)
    jobs: tuple[WorkloadView, ...] = ()  # of a CronJob: those that have not ended

    @property
    def ref(self) -> tuple[str, str]:
        """Kind and name."""
        return self.workload.ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the Secret holds, and since when by the API server's clock."""

    version: str
    epoch: int
    since: datetime
    created_by_us: bool = False  # the Secret did not exist before: a pod that waited for it cannot have read anything older

    @property
    def mark(self) -> str:
        """The value of the restart annotation; after a further restart for the same content, with its number: see `next_mark`."""
        return f"{self.version}.{self.epoch}"


def find_consumers(workloads: Iterable[WorkloadView], *, secret: str, rollout: Rollout) -> tuple[Consumer, ...]:
    """The workloads that use the Secret, by reference or because they are named; ordered by wave, kind and name.

    The Jobs of a CronJob that is one of them are part of it.
    """
    rules = {(rule.kind.value, rule.name): rule for rule in rollout.workloads}
    by_reference = rollout.discovery is Discovery.REFERENCES
    living = [workload for workload in workloads if not workload.finished]
    uses = {workload.ref: next((use for use in workload.uses if use.secret == secret), None) for workload in living}
    wanted = [workload for workload in living if workload.ref in rules or (by_reference and uses[workload.ref] is not None)]
    jobs = {cron.uid: tuple(job for job in living if job.owner_uid == cron.uid) for cron in wanted if cron.kind is WorkloadKind.CRON_JOB}
    found = [
        _consumer(workload, uses[workload.ref], rules.get(workload.ref), jobs.get(workload.uid, ()))
        for workload in wanted
        if workload.owner_uid not in jobs
    ]
    return tuple(sorted(found, key=lambda consumer: (consumer.wave, *consumer.ref)))


def excluded(workloads: Sequence[WorkloadView], *, secret: str, rollout: Rollout) -> int:
    """How many workloads refer to the Secret and are left out, because discovery is off and nothing names them."""
    if rollout.discovery is Discovery.REFERENCES:
        return 0
    named = {(rule.kind.value, rule.name) for rule in rollout.workloads}
    crons = {workload.uid for workload in workloads if workload.ref in named and workload.kind is WorkloadKind.CRON_JOB}
    left_out = (
        workload for workload in workloads if workload.ref not in named and workload.owner_uid not in crons and not workload.finished
    )
    return sum(any(use.secret == secret for use in workload.uses) for workload in left_out)


def not_there(workloads: Sequence[WorkloadView], *, rollout: Rollout) -> tuple[str, ...]:
    """The workloads that spec.rollout.workloads names and that are not there: a wrong name, or one that is yet to come."""
    there = {workload.ref for workload in workloads}
    return tuple(f"{rule.kind.value} {rule.name}" for rule in rollout.workloads if (rule.kind.value, rule.name) not in there)


def with_missing(message: str, names: Sequence[str]) -> str:
    """A message that ends with the workloads that are missing; what an earlier one said of them is taken back."""
    said, _, _ = message.partition(MISSING)
    if not names:
        return said
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{said}{MISSING}{', '.join(names[:NAMES_SHOWN])}{more}: correct the name, or create it"


def _consumer(workload: WorkloadView, use: SecretUse | None, rule: WorkloadRule | None, jobs: tuple[WorkloadView, ...]) -> Consumer:
    return Consumer(
        workload=workload,
        use=use,
        treatment=_treatment(workload.kind, rule),
        wave=rule.wave if rule else 0,
        reload_after=duration(rule.after) if rule and rule.after else timedelta(0),
        jobs=jobs,
    )


def _treatment(kind: WorkloadKind, rule: WorkloadRule | None) -> Treatment:
    if rule is not None and rule.on is OnChange.RELOADS:
        return Treatment.RELOADS
    if rule is not None and rule.on is OnChange.EXTERNAL:
        return Treatment.EXTERNAL
    return Treatment.RESTART if kind in RESTARTABLE else Treatment.REPORTED


def runs_on(pod: PodView, content: Content, consumer: Consumer, limits: Limits, *, now: datetime) -> bool:
    """Whether it is proved that this pod reads the content."""
    reloaded = reloaded_at(consumer, content)
    if reloaded is not None and now >= reloaded:
        return True
    if pod.created >= content.since + limits.margin:
        return True
    waited = content.created_by_us and consumer.use is not None and not consumer.use.optional
    return waited and pod.first_started is not None and pod.first_started >= content.since


def reloaded_at(consumer: Consumer, content: Content) -> datetime | None:
    """When a workload that reloads the mounted file by itself counts; None for the others."""
    if consumer.treatment is Treatment.RELOADS and _only_mounts(consumer.use):
        return content.since + consumer.reload_after
    return None


def _only_mounts(use: SecretUse | None) -> bool:
    """Environment variables are read once, at the start of a container, and a file mounted by subPath never changes."""
    return use is not None and use.by <= {"volume", "projected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """N of M pods of one workload run on the content; the names of those that do not, and why the unready ones are not."""

    on_content: int
    pods: int
    old: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every pod that there is runs on the content and is ready."""
        return self.on_content == self.pods and not self.unready


def count_pods(pods: Sequence[PodView], content: Content, consumer: Consumer, limits: Limits, *, now: datetime) -> Count:
    """Count a workload's pods. An ended pod holds nothing; a terminating one still runs on what it read."""
    living = [pod for pod in pods if not pod.ended]
    old = tuple(pod.name for pod in living if not runs_on(pod, content, consumer, limits, now=now))
    unready = tuple(
        f"{pod.name}: {pod.problem or 'not ready'}" for pod in living if not pod.ready and not pod.terminating and pod.name not in old
    )
    return Count(on_content=len(living) - len(old), pods=len(living), old=old, unready=unready)


def awaits_pods(consumer: Consumer, count: Count) -> bool:
    """The workload's controller has not seen its present form, or has not made all the pods that it wants."""
    workload = consumer.workload
    return workload.kind in RESTARTABLE and (workload.observed_generation < workload.generation or count.pods < workload.replicas)


def annotation_of(rotating_secret: str) -> str:
    """The one annotation that Keyturn sets on pod templates: each RotatingSecret has its own."""
    return f"{ANNOTATION_PREFIX}{rotating_secret}"


def annotated(workload: WorkloadView, annotation: str, content: Content) -> bool:
    """Whether the pod template carries the mark of this content."""
    value = workload.template_annotations.get(annotation, "")
    return value == content.mark or value.startswith(f"{content.mark}.")


def next_mark(workload: WorkloadView, annotation: str, content: Content) -> str:
    """The value that makes the controller replace the pods: another one than is there."""
    if not annotated(workload, annotation, content):
        return content.mark
    number = workload.template_annotations[annotation].removeprefix(content.mark).removeprefix(".")
    return f"{content.mark}.{int(number) + 1 if number.isdecimal() else 1}"
