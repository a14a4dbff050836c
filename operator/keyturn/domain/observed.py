"""What the planners see: the outside world as plain, frozen data, gathered by the engine, free of secret values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyturn.api import Action as RunAction
from keyturn.api import MirrorStatus, RejectedVersion, RunAdoption, Trigger, WorkloadStatus
from keyturn.api import WorkloadKind as WorkloadKind
from keyturn.domain.failures import FailureKind
from keyturn.domain.versions import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A classified refusal, as data."""

    kind: FailureKind
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """One AWS secret's metadata, as ListSecrets or DescribeSecret tells it.

    `fresh` says that DescribeSecret told it, not a ListSecrets sweep, which can be five minutes old.
    """

    name: str
    arn: str
    labels: Labels
    created: datetime
    last_rotated: datetime | None = None
    last_changed: datetime | None = None
    next_rotation: datetime | None = None
    rotation_enabled: bool = False
    rotation_lambda: str | None = None
    owning_service: str | None = None
    deleted: bool = False
    fresh: bool = False

    @property
    def rotation_configured(self) -> bool:
        """RotateSecret without parameters can work: a Lambda or a managed rotation is known to AWS."""
        return bool(self.rotation_lambda) or bool(self.owning_service) or self.rotation_enabled


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A Kubernetes Secret's metadata. Never its data."""

    name: str
    uid: str
    resource_version: str
    type: str | None = None
    version: str | None = None  # annotation keyturn.dev/version
    epoch: int | None = None  # annotation keyturn.dev/epoch
    adopt_by: str | None = None  # annotation keyturn.dev/adopt-by
    owner_uids: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    managers: tuple[str, ...] = ()  # field managers other than ours, live ones


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """How a pod template refers to one Secret: by which ways, and whether a pod waits until it exists."""

    secret: str
    by: frozenset[str]  # of env, envFrom, volume, projected, subPath
    optional: bool = False  # every reference is optional: a pod starts without it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadView:
    """What decides about one workload: its references to Secrets, its template's keyturn annotations, and how far its rollout is."""

    kind: WorkloadKind
    namespace: str
    name: str
    uid: str
    generation: int
    created: datetime
    uses: tuple[SecretUse, ...]
    selector: str | None  # a label selector string for its pods; None where it has none of its own
    template_annotations: Mapping[str, str]  # those under keyturn.dev/ only
    replicas: int = 1  # wanted
    strategy: str = "RollingUpdate"  # RollingUpdate | Recreate | OnDelete
    partition: int = 0
    paused: bool = False  # by its owner, or by a step of a canary
    aborted: bool = False  # an Argo Rollout that was sent back to its old pods
    finished: bool = False  # a Job that has ended
    owner_uid: str | None = None  # its controller
    # status, as its controller reports it
    observed_generation: int = 0
    status_replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    current_revision: str | None = None
    update_revision: str | None = None

    @property
    def ref(self) -> tuple[str, str]:
        """Kind and name: unique within the namespace."""
        return (self.kind.value, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod, with what the proof of adoption needs. Times are the API server's or kubelet's, in whole seconds."""

    name: str
    uid: str
    created: datetime
    ready: bool = False
    terminating: bool = False
    ended: bool = False  # phase Succeeded or Failed
    first_started: datetime | None = None  # the earliest start of any container; None: still waiting
    last_started: datetime | None = None  # the latest one: a container that restarts reads its environment anew
    problem: str | None = None  # why it is not ready, from its statuses, without values
    owner_uid: str | None = None
    uses: tuple[SecretUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Settings that decisions depend on."""

    margin: timedelta = timedelta(seconds=5)  # kubelet's cache: how long a Secret must have held a content before a pod's start proves it
    slack: timedelta = timedelta(seconds=1)  # creationTimestamp has whole seconds
    stuck_grace: timedelta = timedelta(minutes=5)  # beyond a rotation's timeout, before an empty AWSPENDING is removed
    max_restarting: int = 50  # workloads restarting per cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What a plan needs to know of a RotationRun that is not its own."""

    name: str
    uid: str
    created: datetime
    trigger: Trigger
    action: RunAction
    urgent: bool = False
    over: bool = False
    queued: bool = False  # it is to rotate, and has not begun: nothing of it can be in the way of a change that is there already
    rotating: bool = False  # its step Rotate is under way
    mirroring: bool = False  # it has come to write the Secret
    result: str | None = None  # the reason of Complete or Failed
    failed: bool = False
    message: str = ""
    completed: datetime | None = None
    attempt: datetime | None = None  # when it began to rotate
    slot: datetime | None = None
    to: str | None = None
    mirror: MirrorStatus | None = None
    rejected: RejectedVersion | None = None
    adoption: RunAdoption | None = None
    workloads: tuple[WorkloadStatus, ...] = ()
    owned: bool = True


def active_run(runs: Sequence[RunView]) -> RunView | None:
    """The one run that may act: the oldest that is not over, those that only wait to rotate coming last."""
    return min((run for run in runs if not run.over), key=lambda run: (run.queued, run.created, run.name), default=None)
