"""Restart order and health verdicts: which workloads restart now, which have arrived, and when a wave has failed.

A wave is the workloads of one number. The next wave is not touched before every workload of this one is complete on the new content and has
stayed so for the soak. A wave that does not get there in time is Held: what fails is said, and nothing more is touched. Its time runs only
while it is not ready: one that was ready in time and does not stay so for all of a long soak has what was left of its time to be so again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyturn.api import MAX_WORKLOADS, WorkloadState, WorkloadStatus
from keyturn.domain.consumers import (
    Consumer,
    Content,
    Count,
    Treatment,
    annotated,
    count_pods,
    reloaded_at,
)
from keyturn.domain.observed import Limits, PodView, WorkloadKind

POLL = timedelta(seconds=2)  # pods are not watched: how often a rollout that is under way is counted
TRIES = 2  # the annotation is set, and set once more if something takes it away, or if the pods turn out to be old nevertheless
NAMES_SHOWN = 3
HELD_SHOWN = 10
REMEMBERED = frozenset({WorkloadState.RESTARTING, WorkloadState.REVERTED, WorkloadState.UNKNOWN})
"""States of which the record must keep the row: how often such a workload was restarted is written nowhere else."""

ARRIVED = frozenset({WorkloadState.ADOPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one wave may take, and how long it must stay ready."""

    timeout: timedelta
    soak: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a rollout was when it was last written down."""

    wave: int | None = None
    wave_start: datetime | None = None
    wave_ready: datetime | None = None
    workloads: Mapping[tuple[str, str], WorkloadStatus] | None = None

    def known(self, ref: tuple[str, str]) -> WorkloadStatus | None:
        """What was last written of a workload: how often its annotation has been set, and why it was refused."""
        return (self.workloads or {}).get(ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What a look at the rollout says: what to restart, and how far it is."""

    progress: Progress
    statuses: tuple[WorkloadStatus, ...]
    restart: tuple[Consumer, ...] = ()
    done: bool = False
    held: str | None = None  # why, naming workloads and pods
    message: str = ""
    look_again_at: datetime | None = None


def rollout(
    consumers: Sequence[Consumer],
    pods: Mapping[tuple[str, str], Sequence[PodView] | None],
    *,
    content: Content,
    annotation: str,
    before: Progress,
    patience: Patience,
    limits: Limits,
    budget: int,
    now: datetime,
    reverted_by: Mapping[tuple[str, str], str] | None = None,
) -> Rollout:
    """Judge every workload, then move the wave.

    `pods` has None where a list failed: such a workload is never complete. `budget` is how many workloads may begin a restart now.
    `reverted_by` names the field manager that took a workload's annotation away, where it is known.
    """
    owners = reverted_by or {}
    verdicts = {
        consumer.ref: _judge(
            consumer, pods.get(consumer.ref), content, annotation, before.known(consumer.ref), owners.get(consumer.ref), limits, now
        )
        for consumer in consumers
    }
    waves = sorted({consumer.wave for consumer in consumers if consumer.treatment is not Treatment.REPORTED})
    pending = {one.wave for one in consumers if one.wave in waves and verdicts[one.ref].state is WorkloadState.PENDING}
    wave = next((number for number in waves if before.wave is None or number >= before.wave or number in pending), None)
    start, ready = before.wave_start, before.wave_ready
    while wave is not None:
        if wave != before.wave or start is None:
            start, ready, before = now, None, Progress(wave=wave, wave_start=now, workloads=before.workloads)
        members = [consumer for consumer in consumers if consumer.wave == wave and consumer.treatment is not Treatment.REPORTED]
        if any(verdicts[member.ref].state not in ARRIVED for member in members):
            start += now - ready if ready is not None else timedelta(0)
            return _wait(members, verdicts, wave, start, patience, budget, now)
        ready = ready or now
        if now < ready + patience.soak:
            progress = Progress(wave=wave, wave_start=start, wave_ready=ready)
            message = f"wave {wave} is ready, and must stay so until {ready + patience.soak:%H:%M:%S}Z"
            return Rollout(
                progress=progress, statuses=_all(verdicts), message=message, look_again_at=min(now + POLL, ready + patience.soak)
            )
        wave = next((number for number in waves if number > wave), None)
    return Rollout(progress=Progress(), statuses=_all(verdicts), done=True, message=summary(_all(verdicts)))


def _wait(
    members: Sequence[Consumer],
    verdicts: Mapping[tuple[str, str], WorkloadStatus],
    wave: int,
    start: datetime,
    patience: Patience,
    budget: int,
    now: datetime,
) -> Rollout:
    """A wave that is not complete: restart what is due, or hold it once its time is over."""
    progress = Progress(wave=wave, wave_start=start)
    waiting = [verdicts[member.ref] for member in members if verdicts[member.ref].state not in ARRIVED]
    if now >= start + patience.timeout:
        held = "; ".join(f"{status.kind} {status.name}: {status.message}" for status in waiting[:HELD_SHOWN])
        held += f"; and {len(waiting) - HELD_SHOWN} more" if len(waiting) > HELD_SHOWN else ""
        return Rollout(progress=progress, statuses=_all(verdicts), held=held, message=f"wave {wave} did not get ready: {held}")
    room = MAX_WORKLOADS - sum(status.state in REMEMBERED for status in verdicts.values())
    due = [member for member in members if verdicts[member.ref].state is WorkloadState.PENDING][: max(min(budget, room), 0)]
    names = ", ".join(f"{status.kind} {status.name} {status.pods_on_version}/{status.pods}" for status in waiting[:NAMES_SHOWN])
    return Rollout(
        progress=progress,
        statuses=_all(verdicts),
        restart=tuple(due),
        message=f"wave {wave}: {names}" + (f" and {len(waiting) - NAMES_SHOWN} more" if len(waiting) > NAMES_SHOWN else ""),
        look_again_at=min(now + POLL, start + patience.timeout),
    )


def _all(verdicts: Mapping[tuple[str, str], WorkloadStatus]) -> tuple[WorkloadStatus, ...]:
    return tuple(verdicts.values())


def summary(statuses: Sequence[WorkloadStatus]) -> str:
    """One sentence on how many pods of how many workloads run on the content."""
    pods, on_version = sum(s.pods for s in statuses), sum(s.pods_on_version for s in statuses)
    return f"{on_version} of {pods} pods in {len(statuses)} workloads run on the new content" if statuses else "no workload uses the Secret"


def _judge(
    consumer: Consumer,
    pods: Sequence[PodView] | None,
    content: Content,
    annotation: str,
    known: WorkloadStatus | None,
    owner: str | None,
    limits: Limits,
    now: datetime,
) -> WorkloadStatus:
    """One workload's state. The order of the questions is the table of consumers in the API's documentation."""
    tries = known.restarts if known else 0
    if pods is None:
        return _status(consumer, WorkloadState.UNKNOWN, None, "its pods could not be listed", tries)
    count = count_pods(pods, content, consumer, limits, now=now)
    marked = annotated(consumer.workload, annotation, content)
    reloaded = reloaded_at(consumer, content)
    if reloaded is not None:
        if now < reloaded:
            return _status(consumer, WorkloadState.RELOADING, count, f"reads the mounted file again by {reloaded:%H:%M:%S}Z", tries)
        return _status(consumer, WorkloadState.ADOPTED, count, "reloads by itself", tries)
    if consumer.treatment is Treatment.RESTART and not _wants_pods(consumer) and not marked and tries == 0:
        return _status(consumer, WorkloadState.PENDING, count, "has no pods: only its template is marked", tries)
    if count.complete and _settled(consumer) and (not marked or _rolled_out(consumer)):
        return _status(consumer, WorkloadState.ADOPTED, count, "every pod is newer than the content", tries)
    if consumer.treatment is not Treatment.RESTART:
        return _status(consumer, WorkloadState.WAITING, count, _who_restarts(consumer, count), tries)
    if not marked:
        return _unmarked_state(consumer, count, known, owner, tries=tries)
    if consumer.workload.aborted:
        return _status(consumer, WorkloadState.WAITING, count, "it was aborted, and its old pods stay until somebody retries it", tries)
    if consumer.workload.paused:
        return _status(consumer, WorkloadState.WAITING, count, "is paused: it restarts when somebody resumes it", tries)
    if count.old and (by_hand := _replaced_by_hand(consumer, count.old)):
        return _status(consumer, WorkloadState.WAITING, count, f"{by_hand}: somebody must delete {_names(count.old)}", tries)
    if left := _left_old(consumer, count, pods):
        return _restart_again(consumer, count, known, left, tries=tries)
    return _status(consumer, WorkloadState.RESTARTING, count, _what_is_missing(count), tries)


def _unmarked_state(consumer: Consumer, count: Count, known: WorkloadStatus | None, owner: str | None, *, tries: int) -> WorkloadStatus:
    """To be restarted, unless no pod is old, or somebody has taken the annotation away as often as it was set."""
    if not count.old and _wants_pods(consumer):
        return _status(consumer, WorkloadState.RESTARTING, count, _what_is_missing(count), tries)
    by = f" by {owner}, which owns the field" if owner else ""
    if tries >= TRIES:
        said = known.message if known and known.state is WorkloadState.REVERTED and not owner else None
        message = f"its restart annotation was taken away again{by} after it had been set a second time"
        return _status(consumer, WorkloadState.REVERTED, count, said or message, tries)
    refused = known.message if known and known.state is WorkloadState.PENDING else None
    message = refused or (f"its restart annotation was reverted{by}" if tries else "to be restarted")
    return _status(consumer, WorkloadState.PENDING, count, message, tries)


def _left_old(consumer: Consumer, count: Count, pods: Sequence[PodView]) -> list[str]:
    """Old pods that nobody is going to replace: the template was marked before they started, and its rollout is complete.

    So with a template that was restored or copied with its mark, an adopted Secret that has the content of old, clocks that differ.
    """
    if not _settled(consumer) or not _rolled_out(consumer):
        return []
    staying = {pod.name for pod in pods if not pod.terminating}
    return [name for name in count.old if name in staying]


def _restart_again(consumer: Consumer, count: Count, known: WorkloadStatus | None, left: Sequence[str], *, tries: int) -> WorkloadStatus:
    """Once seen in two looks: the workload's status comes by the watch, and may be a moment younger or older than the list of its pods."""
    message = f"its rollout is complete, but older than the content: {_names(left)}"
    seen_before = known is not None and (known.message or "").startswith(message)
    if tries >= TRIES or not seen_before:
        return _status(consumer, WorkloadState.RESTARTING, count, message, tries)
    return _status(consumer, WorkloadState.PENDING, count, f"{message}; to be restarted again", tries)


def _wants_pods(consumer: Consumer) -> bool:
    """Not scaled to zero; what its controller has not seen may want some (of a DaemonSet, only that knows how many)."""
    workload = consumer.workload
    return workload.replicas > 0 or workload.observed_generation < workload.generation


def _settled(consumer: Consumer) -> bool:
    """The workload's controller has seen its present form, and has all the pods that it wants."""
    workload = consumer.workload
    if consumer.treatment is Treatment.REPORTED or workload.kind in {WorkloadKind.JOB, WorkloadKind.CRON_JOB, WorkloadKind.POD}:
        return True
    return workload.observed_generation >= workload.generation and workload.available >= workload.replicas


def _rolled_out(consumer: Consumer) -> bool:
    """Every wanted pod is of the present template, and none of another is left."""
    workload = consumer.workload
    if workload.strategy == "OnDelete" or workload.partition or workload.paused:
        return True  # its own rules leave old templates standing; the pods' age decides alone
    return workload.updated >= workload.replicas and workload.status_replicas <= workload.updated


def _replaced_by_hand(consumer: Consumer, old: Sequence[str]) -> str | None:
    """Why none of the old pods goes by itself; None while the controller still replaces some, beginning with the highest ordinal."""
    if consumer.workload.strategy == "OnDelete":
        return "its update strategy is OnDelete"
    partition = consumer.workload.partition
    if partition and all(_ordinal(name) < partition for name in old):
        return f"its partition is {partition}"
    return None


def _ordinal(pod: str) -> int:
    digits = pod.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _who_restarts(consumer: Consumer, count: Count) -> str:
    if consumer.treatment is Treatment.REPORTED:
        return f"{_names(count.old)} must end by itself" if count.old else _what_is_missing(count)
    if consumer.treatment is Treatment.RELOADS and count.old:
        return f"cannot reload environment variables or a subPath mount: somebody must restart it; {_names(count.old)} not yet"
    return f"somebody else restarts it; {_names(count.old)} not yet" if count.old else _what_is_missing(count)


def _what_is_missing(count: Count) -> str:
    if count.unready:
        return "; ".join(count.unready[:NAMES_SHOWN])
    if count.old:
        return f"{_names(count.old)} not replaced yet"
    return "its controller has not made all pods yet"


def _names(pods: Sequence[str]) -> str:
    if not pods:
        return "no pod"
    return ", ".join(pods[:NAMES_SHOWN]) + (f" and {len(pods) - NAMES_SHOWN} more" if len(pods) > NAMES_SHOWN else "")


def _status(consumer: Consumer, state: WorkloadState, count: Count | None, message: str, tries: int) -> WorkloadStatus:
    return WorkloadStatus(
        kind=consumer.workload.kind.value,
        name=consumer.workload.name,
        wave=consumer.wave,
        state=state,
        pods=count.pods if count else 0,
        pods_on_version=count.on_content if count else 0,
        message=message[:1024],
        restarts=tries,
    )
