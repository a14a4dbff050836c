"""The reads of one pass: from caches that events keep fresh, and from AWS and the API server where only they know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from keyturn.api import Action as RunAction
from keyturn.api import RotatingSecret, RotationRun, StepName, StepState, Trigger, Verb, WorkloadState, rfc3339
from keyturn.domain import conditions as cond
from keyturn.domain.consumers import Consumer, annotated, annotation_of, excluded, find_consumers, not_there
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.mirroring import shape
from keyturn.domain.observed import Failure, Limits, PodView, RunView, SourceView, WorkloadKind, WorkloadView, active_run
from keyturn.domain.permission import Decision, InvalidSecretIdError, parse_secret_id
from keyturn.domain.run_plan import content_of
from keyturn.domain.run_rotate import needs_to_know_of_a_value
from keyturn.domain.run_seen import ObservedRun
from keyturn.domain.secret_plan import ObservedSecret, newest_mirror
from keyturn.domain.targets import is_ours, is_touched, target_name
from keyturn.domain.templates import check_template
from keyturn.engine.bare_pods import BarePod, BarePods
from keyturn.engine.ports import Workloads
from keyturn.engine.reach import Connections, Reach, failure_of
from keyturn.engine.world import World

Pods = dict[tuple[str, str], Sequence[PodView] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatherer:
    """Reads for both kinds of objects."""

    world: World
    connections: Connections
    workloads: Workloads
    limits: Limits
    clock: Callable[[], datetime]
    bare_pods: BarePods

    # RotatingSecret

    async def secret(self, secret: RotatingSecret, *, count_pods: bool) -> tuple[ObservedSecret, Reach]:
        """What decides about a RotatingSecret. Its pods are counted when a consumer has changed."""
        namespace, name = secret.metadata.namespace, secret.metadata.name
        reach = await self.connections.of(secret)
        may_mirror = reach.may(Verb.MIRROR)
        runs = self.world.objects.runs_of(namespace, name)
        source = None
        if reach.aws is not None and may_mirror.allowed and secret.metadata.deletion_timestamp is None:
            source = await self.source(secret, reach)
        _, left_out = self.consumers(secret)
        consumers: Sequence[Consumer] | None = None
        pods: Pods = {}
        if count_pods and not any(not run.over and run.workloads for run in runs):
            content = secret.status.mirror
            consumers, pods, left_out = await self.users(secret, since=content.time + self.limits.margin if content else self.clock())
        observed = ObservedSecret(
            secret=secret,
            connection=reach.failure,
            may_mirror=may_mirror,
            may_rotate=reach.may(Verb.ROTATE),
            source=source,
            target=self.world.targets.get((namespace, target_name(secret))),
            shape=shape(secret.spec.target),
            template_error=template_error(secret),
            runs=runs,
            rotates_too=self._rotates_too(secret, reach),
            writes_too=self._writes_too(secret),
            consumers=consumers,
            pods=pods,
            excluded=left_out,
            missing=self.missing(secret),
            limits=self.limits,
        )
        return observed, reach

    async def source(self, secret: RotatingSecret, reach: Reach, *, fresh: bool = False) -> SourceView | Failure:
        """The secret in AWS. What a sweep says of a change is only a suspicion: DescribeSecret confirms it."""
        if reach.aws is None:
            return reach.failure or Failure(kind=FailureKind.MISSING, reason="ConnectionNotFound", message="there is no connection")
        catalog, secret_id = reach.aws.catalog, secret.spec.secret_id
        try:
            source = await catalog.described(secret_id, fresh=fresh)
            if not source.fresh and self._suspicious(secret, source):
                source = await catalog.described(secret_id, fresh=True)
        except OutsideError as error:
            return failure_of(error)
        decision = reach.answers_for(secret_id, name=source.name, arn=source.arn)
        return source if decision.allowed else Failure(kind=FailureKind.DENIED, reason=decision.reason, message=decision.message)

    def _suspicious(self, secret: RotatingSecret, source: SourceView) -> bool:
        """A sweep says something else than what was last settled or written: that may be older than what a run has just done.

        Where the secret could not be used so far, or is to be deleted, a sweep alone is no ground to say that this has changed.
        """
        status = secret.status
        if source.deleted or cond.holds(status.conditions, cond.STALLED):
            return True
        written = newest_mirror(status.mirror, self.world.objects.runs_of(secret.metadata.namespace, secret.metadata.name))
        known = {found.version_id for found in (status.settled, written) if found is not None}
        return bool(known) and known != {source.labels.current}

    def _rotates_too(self, secret: RotatingSecret, reach: Reach) -> str | None:
        """An older RotatingSecret with a schedule for the same AWS secret: same name in the same region."""
        if secret.spec.rotation is None or secret.spec.rotation.schedule is None or reach.permission is None:
            return None
        try:
            wanted = parse_secret_id(secret.spec.secret_id)
        except InvalidSecretIdError:
            return None
        ids = {wanted.name, wanted.arn, _arn(secret)} - {None}
        for key in {key for secret_id in ids for key in self.world.objects.by_source(str(secret_id))}:
            other = self.world.objects.secret(key.namespace, key.name)
            if other is None or other.metadata.uid == secret.metadata.uid:
                continue
            scheduled = other.spec.rotation is not None and other.spec.rotation.schedule is not None
            if scheduled and (not _arn(other) or not _arn(secret) or _arn(other) == _arn(secret)) and _older(other, secret):
                return f"{key.namespace}/{key.name}"
        return None

    def _writes_too(self, secret: RotatingSecret) -> str | None:
        """Another RotatingSecret that has written the same Secret; where none has, an older one that is to write it."""
        namespace, name = secret.metadata.namespace, target_name(secret)
        target = self.world.targets.get((namespace, name))
        if target is not None and is_ours(secret, target, secret.status.mirror):
            return None
        for key in self.world.objects.by_target(namespace, name):
            other = self.world.objects.secret(key.namespace, key.name) if key.name != secret.metadata.name else None
            if other is None:
                continue
            if _older(other, secret) or (target is not None and is_ours(other, target, other.status.mirror)):
                return key.name
        return None

    # RotationRun

    async def run(self, run: RotationRun) -> tuple[ObservedRun, Reach | None]:
        """What decides about a run: AWS while it rotates, the pods while it rolls out."""
        namespace = run.metadata.namespace
        parent = self.world.objects.secret(namespace, run.spec.secret_ref.name)
        if parent is None or run.status.completion_time is not None:
            return ObservedRun(run=run, parent=parent, permitted=Decision(allowed=True), limits=self.limits), None
        reach = await self.connections.of(parent)
        runs = self.world.objects.runs_of(namespace, parent.metadata.name)
        rotates = run.spec.action is RunAction.ROTATE and run.spec.trigger in {Trigger.MANUAL, Trigger.SCHEDULE}
        permitted = reach.may(Verb.ROTATE if rotates else Verb.MIRROR)
        source: SourceView | Failure | None = None
        has_value: bool | None = None
        consumers: Sequence[Consumer] = ()
        pods: Pods = {}
        left_out = 0
        missing: Sequence[str] = ()
        reverted_by: Mapping[tuple[str, str], str] = {}
        if permitted.allowed and _may_act(runs, run):
            rolling = _state(run, StepName.MIRROR) in {StepState.SUCCEEDED, StepState.SKIPPED}
            source = await self._source_of_run(run, parent, reach, rolling=rolling)
            has_value = await self._has_value(run, parent, reach, source)
            consumers, left_out = self.consumers(parent)
            if rolling:
                missing = self.missing(parent)
                begin = run.status.mirror.time + self.limits.margin if run.status.mirror else None
                if begin is not None and self.clock() >= begin:
                    consumers, pods, left_out = await self.users(parent, since=begin)
                    reverted_by = await self._who_reverts(run, consumers)
        mirror, target = run.status.mirror, self.world.targets.get((namespace, target_name(parent)))
        observed = ObservedRun(
            run=run,
            parent=parent,
            permitted=permitted,
            source=source,
            touched=mirror is not None and is_touched(parent, target, mirror),
            pending_has_value=has_value,
            runs=runs,
            consumers=consumers,
            pods=pods,
            excluded=left_out,
            missing=missing,
            reverted_by=reverted_by,
            restart_budget=self.limits.max_restarting - self.world.restarting(),
            rotation_budget=reach.max_rotations - self.world.objects.rotating_on(reach.key),
            limits=self.limits,
        )
        return observed, reach

    async def _source_of_run(self, run: RotationRun, parent: RotatingSecret, reach: Reach, *, rolling: bool) -> SourceView | Failure:
        """Fresh while it rotates; otherwise only where what is known says that AWS has moved on."""
        if not rolling and run.spec.version_id is None:
            return await self.source(parent, reach, fresh=True)
        known = reach.aws.catalog.known(parent.spec.secret_id) if reach.aws else None
        to = run.status.versions.to if run.status.versions else run.spec.version_id
        suspicious = known is None or known.labels.current != to
        return await self.source(parent, reach, fresh=suspicious)

    async def _has_value(self, run: RotationRun, parent: RotatingSecret, reach: Reach, source: SourceView | Failure | None) -> bool | None:
        """Asked only of a rotation that is past its time."""
        if not isinstance(source, SourceView) or reach.aws is None or source.labels.pending is None:
            return None
        if not needs_to_know_of_a_value(run, parent, source, limits=self.limits, now=self.clock()):
            return None
        try:
            return await reach.aws.catalog.has_value(parent.spec.secret_id, source.labels.pending)
        except OutsideError:
            return None

    # consumers

    def consumers(self, secret: RotatingSecret, bare: Sequence[BarePod] = ()) -> tuple[Sequence[Consumer], int]:
        """The workloads that use the Secret, and how many are left out."""
        namespace, target, rollout = secret.metadata.namespace, target_name(secret), secret.spec.rollout
        views = self.world.candidates(namespace, target, ((rule.kind.value, rule.name) for rule in rollout.workloads))
        views += [pod.workload for pod in bare]
        return find_consumers(views, secret=target, rollout=rollout), excluded(views, secret=target, rollout=rollout)

    def missing(self, secret: RotatingSecret) -> Sequence[str]:
        """The workloads that the RotatingSecret names and that are not there."""
        rollout = secret.spec.rollout
        if not rollout.workloads:
            return ()
        named = ((rule.kind.value, rule.name) for rule in rollout.workloads)
        return not_there(self.world.candidates(secret.metadata.namespace, target_name(secret), named), rollout=rollout)

    async def users(self, secret: RotatingSecret, *, since: datetime) -> tuple[Sequence[Consumer], Pods, int]:
        """Everything that uses the Secret, pods without a controller included, with its pods, and how many workloads are left out.

        Pods without a controller that were created after `since` may be missing.
        Pods are None where a list failed; if it was the one of the bare pods, nobody's are known to be all.
        """
        namespace = secret.metadata.namespace
        try:
            bare = await self.bare_pods.of(namespace, since=since)
        except OutsideError:
            consumers, left_out = self.consumers(secret)
            return consumers, dict.fromkeys([consumer.ref for consumer in consumers]), left_out
        consumers, left_out = self.consumers(secret, bare)
        found = await asyncio.gather(*(self._pods_of(namespace, consumer) for consumer in consumers))
        pods: Pods = {consumer.ref: listed for consumer, listed in zip(consumers, found, strict=True)}
        return consumers, pods | {pod.workload.ref: [pod.pod] for pod in bare if pod.workload.ref in pods}, left_out

    async def _pods_of(self, namespace: str, consumer: Consumer) -> Sequence[PodView] | None:
        """The pods of a workload, by its selector; of a CronJob, those of its Jobs."""
        parts = consumer.jobs if consumer.workload.kind is WorkloadKind.CRON_JOB else (consumer.workload,)
        listed = [await self._listed(namespace, part) for part in parts]
        return None if None in listed else [pod for pods in listed for pod in pods or ()]

    async def _listed(self, namespace: str, workload: WorkloadView) -> Sequence[PodView] | None:
        if workload.selector is None:
            return ()
        try:
            pods = await self.workloads.pods(namespace, workload.selector)
        except OutsideError:
            return None
        if workload.kind in {WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET, WorkloadKind.JOB}:
            return [pod for pod in pods if pod.owner_uid == workload.uid]
        return [pod for pod in pods if pod.owner_uid is not None]

    async def _who_reverts(self, run: RotationRun, consumers: Sequence[Consumer]) -> dict[tuple[str, str], str]:
        """Of the workloads whose restart annotation was set and is gone: the field manager to blame."""
        content, annotation = content_of(run, adopts=False), annotation_of(run.spec.secret_ref.name)
        tried = {(row.kind.value, row.name) for row in run.status.workloads if row.restarts and row.state is not WorkloadState.REVERTED}
        owners: dict[tuple[str, str], str | None] = {}
        for consumer in consumers:
            if content is None or consumer.ref not in tried or annotated(consumer.workload, annotation, content):
                continue
            with suppress(OutsideError):  # the state is said without the name
                owners[consumer.ref] = await self.workloads.annotation_owner(consumer.workload, annotation)
        return {ref: owner for ref, owner in owners.items() if owner is not None}


def template_error(secret: RotatingSecret) -> str | None:
    """What is wrong with a template of the spec, naming its key."""
    errors = (check_template(key, text) for key, text in secret.spec.target.template.items())
    return next((error for error in errors if error is not None), None)


def _arn(secret: RotatingSecret) -> str | None:
    return secret.status.source.arn if secret.status.source else None


def _older(one: RotatingSecret, other: RotatingSecret) -> bool:
    return _birth(one) < _birth(other)


def _birth(secret: RotatingSecret) -> tuple[str, str]:
    created = secret.metadata.creation_timestamp
    return (rfc3339(created) if created else "", secret.metadata.uid)


def _may_act(runs: Sequence[RunView], run: RotationRun) -> bool:
    active = active_run(runs)
    return active is not None and active.uid == run.metadata.uid


def _state(run: RotationRun, name: StepName) -> StepState | None:
    return next((step.state for step in run.status.steps if step.name is name), None)
