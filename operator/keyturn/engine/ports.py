"""What the engine needs of the outside world, in the fewest methods. Adapters implement these; tests have fakes of their own.

Every method raises `OutsideError` (already classified) and nothing else for a refusal or an outage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from keyturn.api import RotatingSecretStatus, RotationRun, RotationRunStatus
from keyturn.domain.observed import Failure, PodView, SourceView, TargetView, WorkloadView
from keyturn.domain.run_seen import ObservedRun
from keyturn.domain.values import SecretValue
from keyturn.engine.keys import Key

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentValue:
    """AWSCURRENT's value, with what AWS said of it in the same answer. Lives as long as one action."""

    value: SecretValue
    version_id: str
    created: datetime  # of this version
    name: str
    arn: str


class Catalog(Protocol):
    """Reads of one AWS account, identity and region, coalesced over all objects that share them."""

    def known(self, secret_id: str) -> SourceView | None:
        """What the last sweep or describe said; None before the first. No I/O."""

    async def described(self, secret_id: str, *, fresh: bool = False) -> SourceView:
        """What is known, read if unknown; with fresh, DescribeSecret now (coalesced with others in flight)."""

    async def current(self, secret_id: str) -> CurrentValue:
        """AWSCURRENT's value, read now, batched with others that ask at the same time."""

    async def has_value(self, secret_id: str, version_id: str) -> bool:
        """Whether a version labelled AWSPENDING holds a value; the value itself is dropped."""

    def trouble(self) -> Failure | None:
        """Why the last look at everything that is followed failed; None if it was well, or there was none yet."""

    def follow(self, secret_id: str) -> None:
        """From now on this secret is worth a look at every poll interval."""

    def unfollow(self, secret_id: str) -> None:
        """Nobody asks for this secret any more."""


class Rotations(Protocol):
    """Writes to AWS: everything that changes what the staging labels say."""

    async def start(self, secret_id: str, *, token: str) -> None:
        """RotateSecret with this ClientRequestToken; accepted, not finished."""

    async def remove_pending(self, secret_id: str, *, version_id: str) -> None:
        """Take AWSPENDING off this version, and off no other."""


class Aws(Protocol):
    """One connection to AWS: an identity in an account and region."""

    catalog: Catalog
    rotations: Rotations

    async def identity(self) -> str:
        """The ARN of the identity in use (sts:GetCallerIdentity)."""


class AwsConnections(Protocol):
    """All connections, one `Aws` per (credentials, endpoint, region), shared by the objects that use it."""

    def get(self, *, region: str, endpoint: str | None, credentials: Mapping[str, str] | None, poll_interval: float) -> Aws:
        """The shared `Aws`; credentials None means the operator's own identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretManifest:
    """A whole Secret as we want it. `data` is raw bytes and is never shown."""

    namespace: str
    name: str
    type: str
    data: Mapping[str, bytes]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_reference: Json | None

    def __repr__(self) -> str:
        return f"SecretManifest({self.namespace}/{self.name}, {len(self.data)} keys)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSecret:
    """A Secret as the API server holds it. Lives as long as one action; `raw` holds values and is never shown."""

    view: TargetView
    raw: Json
    written: datetime | None = None  # when we last wrote it, by the server's clock
    touched: datetime | None = None  # when somebody else last did; None: nobody

    def __repr__(self) -> str:
        return f"LiveSecret({self.view.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The API server's answer to a write of a Secret: what it is now, and when, by the server's own clock."""

    view: TargetView
    time: datetime


class Secrets(Protocol):
    """The mirrors."""

    async def create(self, manifest: SecretManifest) -> Written:
        """POST. An existing Secret of that name is OutsideError(CONFLICT, reason=AlreadyExists)."""

    async def replace(self, live: LiveSecret, manifest: SecretManifest) -> Written:
        """PUT with live's uid and resourceVersion: `data` wholly ours, others' labels and annotations kept. CONFLICT if it moved on."""

    async def read(self, namespace: str, name: str) -> LiveSecret | None:
        """The Secret with its data, or None where there is none."""

    async def look(self, namespace: str, name: str) -> TargetView | None:
        """Its metadata alone, or None where there is none."""


class Workloads(Protocol):
    """Consumers: one annotation, and their pods."""

    async def restart(self, workload: WorkloadView, *, annotation: str, value: str) -> WorkloadView:
        """Merge-patch the one pod-template annotation, with the workload's uid in it; answers the workload as it is now."""

    async def pods(self, namespace: str, selector: str | None) -> Sequence[PodView]:
        """The pods that match, terminating ones included; with selector None, all of the namespace."""

    async def annotation_owner(self, workload: WorkloadView, annotation: str) -> str | None:
        """The field manager that last touched the pod template's annotations, if not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A connection's access key, and the resourceVersion of the Secret that it was read from."""

    values: Mapping[str, str] = field(repr=False)  # aws_access_key_id, aws_secret_access_key and optionally aws_session_token
    version: str


class Objects(Protocol):
    """Our own kinds."""

    async def create_run(self, namespace: str, body: Json) -> Json:
        """POST a RotationRun; CONFLICT with reason=AlreadyExists where the name is taken."""

    async def read_run(self, namespace: str, name: str) -> Json | None:
        """One RotationRun, or None."""

    async def adopt_run(self, namespace: str, name: str, *, uid: str, owner_reference: Json) -> Json:
        """Make a RotationRun owned by its RotatingSecret."""

    async def delete_run(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a finished run that is past the history limit; a missing one is fine."""

    async def patch_status(
        self, kind: str, namespace: str | None, name: str, *, uid: str, patch: Json, resource_version: str | None = None
    ) -> Json:
        """Merge-patch of the status subresource, refused (CONFLICT) if the object is another one, or newer than the version, by now."""

    async def read_credentials(self, namespace: str, name: str) -> Credentials:
        """A connection's static credentials."""

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace, at most half a minute old."""


class Recorder(Protocol):
    """Kubernetes events: typed reasons, on a change of state only, repeats aggregated."""

    def record(self, regarding: Json, *, warning: bool, reason: str, message: str, action: str) -> None:
        """Queue an event about an object reference; never blocks, never fails the caller."""


class Observer(Protocol):
    """Where the engine's figures go."""

    def passed(self, key: Key, result: str, seconds: float, waited: float) -> None:
        """One pass over an object, and the seconds for which it had been due."""

    def secret(self, key: Key, status: RotatingSecretStatus) -> None:
        """A RotatingSecret's status after a pass."""

    def run(self, key: Key, run: RotationRun, after: RotationRunStatus, observed: ObservedRun) -> None:
        """A RotationRun's status before (`run`) and after a pass."""

    def gone(self, key: Key) -> None:
        """An object that is no more."""


OnSecretMeta = Callable[[str, str, TargetView | None, Mapping[str, str]], None]
"""Called with (namespace, name, view or None if gone, labels) for every managed Secret that changes."""
