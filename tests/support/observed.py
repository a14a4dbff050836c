"""Builders of what the planners see: each test says only what its behaviour depends on.

Versions are `v1`, `v2`, …; all times are near NOON. A status that a planner made is written back with `written`, as the API server would
keep it: through JSON, in whole seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.api import Action as RunAction
from keyturn.api import (
    MirrorStatus,
    RejectedVersion,
    RotatingSecret,
    RotatingSecretStatus,
    RotationRun,
    RotationRunStatus,
    RunAdoption,
    Settled,
    SourceStatus,
    Trigger,
    WorkloadState,
    WorkloadStatus,
    rfc3339,
)
from keyturn.domain import targets
from keyturn.domain.consumers import Consumer, Content, Treatment
from keyturn.domain.mirroring import shape
from keyturn.domain.observed import Failure, Limits, PodView, RunView, SecretUse, SourceView, TargetView, WorkloadKind, WorkloadView
from keyturn.domain.permission import Decision
from keyturn.domain.run_seen import ObservedRun
from keyturn.domain.secret_plan import ObservedSecret
from keyturn.domain.versions import Labels, VersionId

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=100)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAME, NAMESPACE = "orders-db", "shop"
UID = "6d2c7a0e-8c1f-4a57-9c39-0f6f8f2f6b11"
RUN_UID = "0b9b3f5c-7a52-4a2e-9b7e-3f0e4f6a1c22"
SECRET_ID = "shop/orders/db"
ARN = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{SECRET_ID}-AbCdEf"
YES = Decision(allowed=True)
NO = Decision(allowed=False, reason="NotAllowed", message="ClusterAWSConnection default does not allow it")
EVERY_DAY = {"rotation": {"schedule": {"every": "1d", "window": "0s"}}}
LIMITS = Limits()
OWNER = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "name": NAME, "uid": UID}


def rotating_secret(
    spec: Mapping[str, Any] | None = None,
    *,
    name: str = NAME,
    uid: str = UID,
    status: RotatingSecretStatus | None = None,
    created: datetime = LONG_AGO,
    deleted: bool = False,
    generation: int = 1,
) -> RotatingSecret:
    """A RotatingSecret as the API server keeps it; `spec` in its own spelling."""
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": "1",
        "generation": generation,
        "creationTimestamp": rfc3339(created),
    }
    if deleted:
        metadata["deletionTimestamp"] = rfc3339(NOON)
    return RotatingSecret.model_validate(
        {"metadata": metadata, "spec": {"secretId": SECRET_ID, **(spec or {})}, "status": status.to_dict() if status else {}}
    )


def mirror(
    version: str = "v1", *, epoch: int = 1, resource_version: str = "100", time: datetime = NOON - HOUR, shaped: str | None = None
) -> MirrorStatus:
    """The Secret, as last written. The shape is that of an empty spec.target."""
    return MirrorStatus(
        secret_name=NAME,
        secret_uid="uid-of-the-secret",
        resource_version=resource_version,
        version_id=version,
        epoch=epoch,
        time=time,
        shape=shaped if shaped is not None else shape(rotating_secret().spec.target),
    )


def rejected(version: str = "v2", *, shaped: str | None = None, time: datetime = NOON) -> RejectedVersion:
    """A version that cannot become the content of an empty spec.target."""
    known = shaped if shaped is not None else shape(rotating_secret().spec.target)
    return RejectedVersion(version_id=version, shape=known, time=time, message='Secret "orders-db" lacks "password".')


def source(current: str = "v1", *, pending: str | None = None, previous: str | None = None, **told: Any) -> SourceView:
    """The AWS secret as DescribeSecret tells it, with a rotation function."""
    labels = Labels(
        current=VersionId(current),
        previous=VersionId(previous) if previous else None,
        pending=VersionId(pending) if pending else None,
    )
    known: dict[str, Any] = {"created": LONG_AGO, "last_rotated": NOON - HOUR, "rotation_lambda": "arn:function", "fresh": True}
    return SourceView(name=SECRET_ID, arn=ARN, labels=labels, **(known | told))


def target(secret: RotatingSecret, written: MirrorStatus, **told: Any) -> TargetView:
    """The Secret as it was written."""
    annotations = targets.wanted_annotations(secret, version=written.version_id, epoch=written.epoch)
    known: dict[str, Any] = {
        "name": written.secret_name,
        "uid": written.secret_uid,
        "resource_version": written.resource_version,
        "type": secret.spec.target.type.value,
        "version": written.version_id,
        "epoch": written.epoch,
        "owner_uids": frozenset() if secret.spec.target.retained else frozenset({secret.metadata.uid}),
        "labels": targets.wanted_labels(secret),
        "annotations": annotations,
    }
    return TargetView(**(known | told))


def observed_secret(
    spec: Mapping[str, Any] | None = None,
    *,
    current: str = "v1",
    mirrored: str | None = "v1",
    epoch: int = 1,
    settled: tuple[str, int] | None = ("v1", 1),
    runs: Sequence[RunView] = (),
    status: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    touched: Mapping[str, Any] | None = None,
    **seen: Any,
) -> ObservedSecret:
    """A RotatingSecret in an orderly world: `mirrored` is in the Secret, `settled` had its run, `current` is AWS's.

    `status` and `meta` change the object, `touched` the Secret's metadata, everything else the observation.
    """
    before = RotatingSecretStatus()
    made = mirror(mirrored, epoch=epoch) if mirrored is not None else None
    if made is not None:
        before = RotatingSecretStatus(
            mirror=made,
            settled=Settled(version_id=settled[0], epoch=settled[1]) if settled else None,
            source=SourceStatus(arn=ARN, version_id=made.version_id, version_time=LONG_AGO),
        )
    before = before.model_copy(update=dict(status or {}))
    secret = rotating_secret(spec, status=before, **(meta or {}))
    newest = max([m for m in [made, *(run.mirror for run in runs)] if m is not None], key=lambda m: m.epoch, default=None)
    known: dict[str, Any] = {
        "connection": None,
        "may_mirror": YES,
        "may_rotate": YES,
        "source": source(current),
        "target": target(secret, newest, **(touched or {})) if newest else None,
        "shape": shape(secret.spec.target),
        "runs": runs,
    }
    return ObservedSecret(secret=secret, **(known | seen))


def run_view(name: str = "run", **told: Any) -> RunView:
    """A run as the others see it: an open Observed one, an hour old; it counts the workloads that it lists."""
    known: dict[str, Any] = {
        "uid": f"uid-of-{name}",
        "created": NOON - HOUR,
        "trigger": Trigger.OBSERVED,
        "action": RunAction.ROTATE,
    }
    if told.get("over") and "completed" not in told:
        known |= {"completed": NOON - HOUR / 2, "result": "Adopted"}
    if "workloads" in told:
        rows = told["workloads"]
        known["adoption"] = RunAdoption(
            pods=sum(row.pods for row in rows),
            pods_on_version=sum(row.pods_on_version for row in rows),
            workloads=len(rows),
            restarting=sum(row.state is WorkloadState.RESTARTING for row in rows),
        )
    return RunView(name=name, **(known | told))


def written(secret: RotatingSecret, status: RotatingSecretStatus) -> RotatingSecret:
    """The object after its status was written."""
    return RotatingSecret.model_validate({**secret.to_dict(), "status": status.to_dict()})


def written_run(run: RotationRun, status: RotationRunStatus) -> RotationRun:
    """The run after its status was written."""
    return RotationRun.model_validate({**run.to_dict(), "status": status.to_dict()})


# --- runs ------------------------------------------------------------------------------------------------------------


def rotation_run(
    spec: Mapping[str, Any] | None = None,
    *,
    name: str = "run",
    uid: str = RUN_UID,
    created: datetime = NOON,
    owned: bool = True,
    deleted: bool = False,
    status: RotationRunStatus | None = None,
) -> RotationRun:
    """A RotationRun as the API server keeps it; Manual, unless `spec` says otherwise."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": rfc3339(created),
        "ownerReferences": [OWNER] if owned else [],
    }
    if deleted:
        metadata["deletionTimestamp"] = rfc3339(NOON)
    body = {"secretRef": {"name": NAME}, **(spec or {})}
    return RotationRun.model_validate({"metadata": metadata, "spec": body, "status": status.to_dict() if status else {}})


OBSERVED_V2 = {"trigger": "Observed", "versionId": "v2"}
SCHEDULED = {"trigger": "Schedule", "slot": "2026-03-01T12:00:00Z"}


def observed_run(
    spec: Mapping[str, Any] | None = None,
    *,
    run: RotationRun | None = None,
    parent_spec: Mapping[str, Any] | None = None,
    mirrored: str = "v1",
    epoch: int = 1,
    **seen: Any,
) -> ObservedRun:
    """A run whose RotatingSecret has settled on `mirrored`; AWS idle on v1."""
    status = RotatingSecretStatus(mirror=mirror(mirrored, epoch=epoch), settled=Settled(version_id=mirrored, epoch=epoch))
    known: dict[str, Any] = {"parent": rotating_secret(parent_spec, status=status), "permitted": YES, "source": source()}
    return ObservedRun(run=run or rotation_run(spec), **(known | {"restart_budget": 50} | seen))


# --- consumers -------------------------------------------------------------------------------------------------------


def workload(name: str = "api", kind: WorkloadKind = WorkloadKind.DEPLOYMENT, **told: Any) -> WorkloadView:
    """A settled workload of one replica that refers to the Secret by an environment variable."""
    replicas = told.get("replicas", 1)
    known: dict[str, Any] = {
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "created": LONG_AGO,
        "uses": (use(),),
        "selector": f"app={name}",
        "template_annotations": {},
        "observed_generation": told.get("generation", 1),
        "status_replicas": replicas,
        "updated": replicas,
        "ready": replicas,
        "available": replicas,
    }
    return WorkloadView(kind=kind, name=name, **(known | told))


def use(by: str = "env", *, secret: str = NAME, optional: bool = False) -> SecretUse:
    """One way to refer to the Secret."""
    return SecretUse(secret=secret, by=frozenset({by}), optional=optional)


def consumer(view: WorkloadView | None = None, treatment: Treatment = Treatment.RESTART, **told: Any) -> Consumer:
    """A workload with how it is treated."""
    view = view or workload()
    return Consumer(workload=view, use=told.pop("use", next(iter(view.uses), None)), treatment=treatment, **told)


def pod(name: str = "pod", *, created: datetime, ready: bool = True, **told: Any) -> PodView:
    """A pod, ready unless said otherwise."""
    return PodView(name=name, uid=f"uid-of-{name}", created=created, ready=ready, **told)


def content(version: str = "v2", *, epoch: int = 2, since: datetime = NOON, created_by_us: bool = False) -> Content:
    """What the Secret holds since NOON."""
    return Content(version=version, epoch=epoch, since=since, created_by_us=created_by_us)


def workload_status(name: str = "api", state: WorkloadState = WorkloadState.ADOPTED, **told: Any) -> WorkloadStatus:
    """One workload in a run's record."""
    known: dict[str, Any] = {"kind": "Deployment", "pods": 1, "pods_on_version": int(state is WorkloadState.ADOPTED)}
    return WorkloadStatus(name=name, state=state, **(known | told))


def refusal(kind: str, reason: str = "Refused", message: str = "it was refused") -> Failure:
    """A classified refusal; `kind` as in FailureKind."""
    from keyturn.domain.failures import FailureKind

    return Failure(kind=FailureKind(kind), reason=reason, message=message)
