"""The writes of one pass. Each is idempotent, goes through a port, and ends in an outcome: a refusal is data, not an exception."""

from __future__ import annotations

import logging
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from keyturn.api import API_VERSION, ConflictPolicy, MirrorStatus, RotatingSecret
from keyturn.domain.actions import (
    Action,
    AdoptRun,
    CreateRun,
    DeleteRun,
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
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.mirroring import ContentInvalid, render, shape
from keyturn.domain.observed import Failure
from keyturn.domain.targets import (
    Write,
    conflict_with,
    decide_write,
    is_ours,
    metadata_is_as_wanted,
    obstacle,
    owner_reference,
    target_name,
    wanted_annotations,
    wanted_labels,
)
from keyturn.domain.values import Content
from keyturn.engine.gather import Gatherer
from keyturn.engine.keys import Key, Kind
from keyturn.engine.ports import Aws, CurrentValue, LiveSecret, Objects, SecretManifest, Secrets, Workloads, Written
from keyturn.engine.reach import Reach, failure_of
from keyturn.engine.world import World

SLACK = timedelta(seconds=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Does what plans ask for."""

    world: World
    objects: Objects
    secrets: Secrets
    workloads: Workloads
    gatherer: Gatherer

    async def execute(self, secret: RotatingSecret | None, reach: Reach | None, actions: Sequence[Action]) -> list[tuple[Action, Outcome]]:
        """Do the actions in their order; one that is refused does not keep the next from being tried."""
        outcomes: list[tuple[Action, Outcome]] = []
        for action in actions:
            try:
                outcome = await self._do(secret, reach, action)
            except OutsideError as error:
                outcome = Refused(failure=failure_of(error))
            outcomes.append((action, outcome))
        return outcomes

    async def _do(self, secret: RotatingSecret | None, reach: Reach | None, action: Action) -> Outcome:
        assert secret is not None  # noqa: S101 - plans without a RotatingSecret have no actions
        match action:
            case WriteMirror():
                return await self._mirror(secret, reach, action)
            case StartRotation(token=token):
                await _aws(reach).rotations.start(secret.spec.secret_id, token=token)
            case RemovePending(version=version):
                await _aws(reach).rotations.remove_pending(secret.spec.secret_id, version_id=version)
            case Restart():
                await self._restart(action)
            case CreateRun():
                await self._create_run(secret, action)
            case AdoptRun(name=name, uid=uid):
                raw = await self.objects.adopt_run(secret.metadata.namespace, name, uid=uid, owner_reference=_owner(secret))
                self.world.objects.put(Kind.RUN, raw)
            case DeleteRun(name=name, uid=uid):
                await self.objects.delete_run(secret.metadata.namespace, name, uid=uid)
        return Done()

    async def _restart(self, action: Restart) -> None:
        workload = action.consumer.workload
        try:
            view = await self.workloads.restart(workload, annotation=action.annotation, value=action.mark)
        except OutsideError as error:
            if error.kind is FailureKind.MISSING:
                self.world.drop_workload(workload.namespace, workload.kind, workload.name)
            raise
        self.world.put_workload(view)

    async def _create_run(self, secret: RotatingSecret, action: CreateRun) -> None:
        """A name that is taken counts as created only if the run that has it is the same."""
        namespace = secret.metadata.namespace
        body = {
            "apiVersion": API_VERSION,
            "kind": Kind.RUN.value,
            "metadata": {"name": action.name, "namespace": namespace, "ownerReferences": [_owner(secret)]},
            "spec": action.spec,
        }
        try:
            raw = await self.objects.create_run(namespace, body)
        except OutsideError as error:
            found = await self.objects.read_run(namespace, action.name) if error.reason == "AlreadyExists" else None
            if found is None or any(found["spec"].get(name) != value for name, value in action.spec.items() if name != "reason"):
                raise
            raw = found
        self.world.objects.put(Kind.RUN, raw)

    # the mirror

    async def _mirror(self, secret: RotatingSecret, reach: Reach | None, action: WriteMirror) -> Outcome:
        """The one place where a value passes through."""
        value = await _aws(reach).catalog.current(secret.spec.secret_id)
        assert reach is not None  # noqa: S101 - or the line before had raised
        decision = reach.answers_for(secret.spec.secret_id, name=value.name, arn=value.arn)
        if not decision.allowed:
            return Refused(failure=Failure(kind=FailureKind.DENIED, reason=decision.reason, message=decision.message))
        if action.expect is not None and value.version_id != action.expect:
            await _aws(reach).catalog.described(secret.spec.secret_id, fresh=True)  # so that the next look knows it too
            return Moved(version=value.version_id)
        if await self._goes_back(secret, reach, action, value):
            message = "AWS answers with an older version than DescribeSecret says is current"
            return Refused(failure=Failure(kind=FailureKind.TRANSIENT, reason="SourceUnsettled", message=message))
        content = render(value.value, secret.spec.target, spec_name=secret.metadata.name)
        if isinstance(content, ContentInvalid):
            return Refused(failure=Failure(kind=FailureKind.INVALID, reason="ContentInvalid", message=content.message))
        return await self._write(secret, action.recorded, value, content)

    @staticmethod
    async def _goes_back(secret: RotatingSecret, reach: Reach, action: WriteMirror, value: CurrentValue) -> bool:
        """An older version than the mirrored one is believed only after DescribeSecret has said so, twice."""
        known = action.recorded.version_time if action.recorded else None
        if known is None or value.created >= known:
            return False
        for _ in range(2):
            source = await _aws(reach).catalog.described(secret.spec.secret_id, fresh=True)
            if source.labels.current != value.version_id:
                return True
        return False

    async def _write(self, secret: RotatingSecret, recorded: MirrorStatus | None, value: CurrentValue, content: Content) -> Outcome:
        namespace, name = secret.metadata.namespace, target_name(secret)
        known = self.world.targets.get((namespace, name))
        live = await self.secrets.read(namespace, name) if known is not None or recorded is not None else None
        if live is None:
            fresh = await self._create(secret, recorded, value, content)
            if fresh is not None:
                return fresh
            live = await self.secrets.read(namespace, name)
            if live is None:
                raise OutsideError(FailureKind.CONFLICT, reason="Conflict", message=f"Secret {namespace}/{name} comes and goes")
        return await self._replace(secret, recorded, value, content, live)

    async def _create(
        self, secret: RotatingSecret, recorded: MirrorStatus | None, value: CurrentValue, content: Content
    ) -> Mirrored | None:
        """POST; None if a Secret of that name is there after all."""
        write = _decide(secret, recorded, value, content, None, may_have_been_read=True)
        try:
            written = await self.secrets.create(_manifest(secret, value, content, write.epoch))
        except OutsideError as error:
            if error.reason != "AlreadyExists":
                raise
            return None
        return self._mirrored(secret, value, write, written, created=True)

    async def _replace(
        self, secret: RotatingSecret, recorded: MirrorStatus | None, value: CurrentValue, content: Content, live: LiveSecret
    ) -> Outcome:
        """PUT over what is there, if it is ours or consents, and only if it is not just so already."""
        conflict = conflict_with(secret, live.view, recorded)
        if conflict is not None:
            namespace, name = secret.metadata.namespace, secret.metadata.name
            self.world.unwatched.wait(
                Key(Kind.SECRET, namespace, name), (namespace, live.view.name), mark=obstacle, seen=obstacle(live.view)
            )
            return Refused(failure=Failure(kind=FailureKind.INVALID, reason="TargetConflict", message=conflict))
        read = await self._may_have_been_read(secret, live) if recorded is not None else True
        write = _decide(secret, recorded, value, content, live, may_have_been_read=read)
        if not write.needed:
            written = Written(view=live.view, time=live.written or value.created)
            self.world.put_target(secret.metadata.namespace, live.view)
            return self._mirrored(secret, value, _adopted(write, secret, recorded, live), written, wrote=False)
        written = await self.secrets.replace(live, _manifest(secret, value, content, write.epoch))
        return self._mirrored(secret, value, _adopted(write, secret, recorded, live), written)

    async def _may_have_been_read(self, secret: RotatingSecret, live: LiveSecret) -> bool:
        """Whether a pod may have started on what somebody else wrote into the Secret."""
        if live.touched is None:
            return True
        _, pods, left_out = await self.gatherer.users(secret, since=self.gatherer.clock())
        if left_out:
            return True
        since = live.touched - SLACK
        return any(
            listed is None or any(pod.created >= since or (pod.last_started or pod.created) >= since for pod in listed)
            for listed in pods.values()
        )

    def _mirrored(
        self, secret: RotatingSecret, value: CurrentValue, write: Write, written: Written, *, created: bool = False, wrote: bool = True
    ) -> Mirrored:
        self.world.put_target(secret.metadata.namespace, written.view)
        mirror = MirrorStatus(
            secret_name=written.view.name,
            secret_uid=written.view.uid,
            resource_version=written.view.resource_version,
            version_id=value.version_id,
            version_time=value.created,
            epoch=write.epoch,
            time=write.since or written.time,
            shape=shape(secret.spec.target),
        )
        return Mirrored(
            mirror=mirror,
            name=value.name,
            arn=value.arn,
            changed=write.changed,
            created=created,
            written=wrote,
        )


def _adopted(write: Write, secret: RotatingSecret, recorded: MirrorStatus | None, live: LiveSecret) -> Write:
    """What the first write onto an adopted Secret means for the pods that use it already.

    The same content: they run on it since whoever wrote it did. Written by us and not in the status: the process died between the two, and
    nobody knows what they run on.
    """
    if recorded is not None or secret.spec.target.conflict is not ConflictPolicy.ADOPT:
        return write
    if is_ours(secret, live.view, None):
        return replace(write, changed=True)
    return write if write.changed else replace(write, since=live.touched)


def _decide(
    secret: RotatingSecret,
    recorded: MirrorStatus | None,
    value: CurrentValue,
    content: Content,
    live: LiveSecret | None,
    *,
    may_have_been_read: bool,
) -> Write:
    """Compare, and leave the decision to the domain."""
    least = recorded.epoch if recorded is not None else 1
    said = (
        live is not None and live.view.version == value.version_id and (live.view.epoch or 0) >= least and is_ours(secret, live.view, None)
    )
    return decide_write(
        recorded=recorded,
        live_epoch=live.view.epoch if live else None,
        exists=live is not None,
        same_data=live is not None and _holds(live, content),
        same_metadata=live is not None and said and metadata_is_as_wanted(secret, live.view),
        version=value.version_id,
        shape=shape(secret.spec.target),
        may_have_been_read=may_have_been_read,
    )


def _holds(live: LiveSecret, content: Content) -> bool:
    """Whether the Secret's data is the content, byte for byte."""
    data: Mapping[str, str] = live.raw.get("data") or {}
    try:
        return {key: b64decode(text) for key, text in data.items()} == content.data
    except (Base64Error, ValueError):
        return False


def _manifest(secret: RotatingSecret, value: CurrentValue, content: Content, epoch: int) -> SecretManifest:
    return SecretManifest(
        namespace=secret.metadata.namespace,
        name=target_name(secret),
        type=secret.spec.target.type.value,
        data=content.data,
        labels=wanted_labels(secret),
        annotations=wanted_annotations(secret, version=value.version_id, epoch=epoch),
        owner_reference=owner_reference(secret),
    )


def _owner(secret: RotatingSecret) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.SECRET.value,
        "name": secret.metadata.name,
        "uid": secret.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _aws(reach: Reach | None) -> Aws:
    if reach is None or reach.aws is None:
        raise OutsideError(FailureKind.TRANSIENT, reason="ConnectionNotFound", message="the connection is not there at the moment")
    return reach.aws
