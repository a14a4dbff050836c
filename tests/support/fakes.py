"""Fakes of our own ports: an AWS, an API server and workloads in memory, on a clock that tests move.

All of them belong to one `Outside`, which lives on when the process that uses it dies: `crash_after` raises `Crash` right after a write has
had its effect, before anybody has heard of it. Every write is listed in `writes`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from keyturn.api import RotatingSecretStatus, RotationRun, RotationRunStatus, rfc3339
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import Failure, PodView, SourceView, TargetView, WorkloadKind, WorkloadView
from keyturn.domain.run_seen import ObservedRun
from keyturn.domain.targets import ADOPT_BY, EPOCH, VERSION
from keyturn.domain.values import SecretValue
from keyturn.domain.versions import Labels, VersionId
from keyturn.engine.keys import Key
from keyturn.engine.ports import Aws, Catalog, Credentials, CurrentValue, LiveSecret, Rotations, SecretManifest, Written

Json = dict[str, Any]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROTATION_TAKES = timedelta(seconds=3)


class Crash(BaseException):
    """The process dies: nobody may catch this."""


@dataclass(kw_only=True)
class Outside:
    """The world outside the process, and its clock."""

    now: datetime = START
    version: int = 100
    writes: list[str] = field(default_factory=list)
    crash_after: int | None = None

    def clock(self) -> datetime:
        """The wall clock of everybody."""
        return self.now

    def next_version(self) -> str:
        """A resourceVersion."""
        self.version += 1
        return str(self.version)

    def wrote(self, what: str) -> None:
        """A write has had its effect."""
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) == self.crash_after:
            raise Crash(what)


def apply_merge_patch(old: Any, patch: Any) -> Any:
    """RFC 7386, word by word."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


def conflict(reason: str, message: str) -> OutsideError:
    """A 409."""
    return OutsideError(FailureKind.CONFLICT, reason=reason, message=message)


def missing(what: str) -> OutsideError:
    """A 404."""
    return OutsideError(FailureKind.MISSING, reason="NotFound", message=f"{what} is not there")


# --- AWS -------------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class FakeAws:
    """One secret in AWS, and the port Rotations. A rotation promotes by itself after a while."""

    outside: Outside
    name: str
    values: dict[str, str]
    current: str = "v1"
    previous: str | None = None
    pending: str | None = None
    promotes_at: datetime | None = None
    last_rotated: datetime | None = None
    rotation_lambda: str | None = "arn:function"
    started: list[str] = field(default_factory=list)  # the tokens that began a rotation
    failures: dict[str, OutsideError] = field(default_factory=dict)  # by method
    followed: list[str] = field(default_factory=list)
    trouble: Failure | None = None  # with the last look at what is followed

    @property
    def arn(self) -> str:
        """Its full ARN."""
        return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{self.name}-AbCdEf"

    async def identity(self) -> str:
        """Who asks."""
        self._fail("identity")
        return "arn:aws:sts::123456789012:assumed-role/keyturn/session"

    # what AWS does by itself

    def work(self) -> None:
        """Promote what is pending, if its time has come."""
        if self.pending is not None and self.promotes_at is not None and self.outside.now >= self.promotes_at:
            self.promote(self.pending)

    def promote(self, version: str, value: str | None = None) -> None:
        """AWSCURRENT moves."""
        if value is not None:
            self.values[version] = value
        self.previous, self.current, self.pending, self.promotes_at = self.current, version, None, None
        self.last_rotated = self.outside.now

    # Catalog

    def view(self) -> SourceView:
        """What DescribeSecret says."""
        labels = Labels(
            current=VersionId(self.current),
            previous=VersionId(self.previous) if self.previous else None,
            pending=VersionId(self.pending) if self.pending else None,
        )
        return SourceView(
            name=self.name,
            arn=self.arn,
            labels=labels,
            created=START - timedelta(days=1),
            last_rotated=self.last_rotated,
            rotation_lambda=self.rotation_lambda,
            fresh=True,
        )

    def known(self, secret_id: str) -> SourceView | None:
        """No sweep lags here."""
        return self.view()

    async def described(self, secret_id: str, *, fresh: bool = False) -> SourceView:
        """DescribeSecret."""
        self._fail("described")
        return self.view()

    async def current_value(self) -> CurrentValue:
        """GetSecretValue."""
        self._fail("current")
        value = SecretValue(self.values[self.current])
        return CurrentValue(value=value, version_id=self.current, created=START, name=self.name, arn=self.arn)

    async def has_value(self, secret_id: str, version_id: str) -> bool:
        """Whether the rotation got as far as createSecret."""
        return version_id in self.values

    def follow(self, secret_id: str) -> None:
        """Somebody uses it."""
        self.followed.append(secret_id)

    def unfollow(self, secret_id: str) -> None:
        """Somebody does no longer."""
        self.followed.remove(secret_id)

    # Rotations

    async def start(self, secret_id: str, *, token: str) -> None:
        """RotateSecret: the same token again changes nothing, another one in flight refuses."""
        self._fail("start")
        if token in self.values:
            return
        if self.pending not in (None, self.current):
            raise conflict("RotationInProgress", "a previous rotation isn't complete")
        self.pending, self.promotes_at = token, self.outside.now + ROTATION_TAKES
        self.values[token] = self.values[self.current].replace("canary", f"canary-{len(self.started)}")
        self.started.append(token)
        self.outside.wrote("start")

    async def remove_pending(self, secret_id: str, *, version_id: str) -> None:
        """UpdateSecretVersionStage."""
        self._fail("remove_pending")
        if self.pending != version_id:
            raise conflict("LabelsMoved", "AWSPENDING is elsewhere")
        self.pending = None
        self.outside.wrote("remove_pending")

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]


class FakeCatalog:
    """The port Catalog, over a `FakeAws`."""

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws

    def known(self, secret_id: str) -> SourceView | None:
        """As FakeAws."""
        return self._aws.known(secret_id)

    def trouble(self) -> Failure | None:
        """As FakeAws."""
        return self._aws.trouble

    async def described(self, secret_id: str, *, fresh: bool = False) -> SourceView:
        """As FakeAws."""
        return await self._aws.described(secret_id, fresh=fresh)

    async def current(self, secret_id: str) -> CurrentValue:
        """AWSCURRENT's value."""
        return await self._aws.current_value()

    async def has_value(self, secret_id: str, version_id: str) -> bool:
        """As FakeAws."""
        return await self._aws.has_value(secret_id, version_id)

    def follow(self, secret_id: str) -> None:
        """As FakeAws."""
        self._aws.follow(secret_id)

    def unfollow(self, secret_id: str) -> None:
        """As FakeAws."""
        self._aws.unfollow(secret_id)


class FakeConnections:
    """The port AwsConnections: one client for everybody."""

    def __init__(self, aws: FakeAws) -> None:
        self.client: Aws = FakeClient(aws)

    def get(self, *, region: str, endpoint: str | None, credentials: Mapping[str, str] | None, poll_interval: float) -> Aws:
        """The shared client."""
        return self.client


class FakeClient:
    """The port Aws."""

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self.catalog: Catalog = FakeCatalog(aws)
        self.rotations: Rotations = aws

    async def identity(self) -> str:
        """As FakeAws."""
        return await self._aws.identity()


# --- the API server ---------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class FakeSecrets:
    """The port Secrets, and what a person can do to a Secret."""

    outside: Outside
    stored: dict[tuple[str, str], Json] = field(default_factory=dict)
    looks: int = 0  # at metadata alone
    failures: dict[str, OutsideError] = field(default_factory=dict)

    async def create(self, manifest: SecretManifest) -> Written:
        """POST."""
        self._fail("create")
        if (manifest.namespace, manifest.name) in self.stored:
            raise conflict("AlreadyExists", f"Secret {manifest.name} exists")
        return self._put(manifest, uid=f"secret-{self.outside.next_version()}")

    async def replace(self, live: LiveSecret, manifest: SecretManifest) -> Written:
        """PUT."""
        self._fail("replace")
        now = self.stored.get((manifest.namespace, manifest.name))
        if now is None or now["metadata"]["resourceVersion"] != live.view.resource_version:
            raise conflict("Conflict", f"Secret {manifest.name} has changed")
        return self._put(manifest, uid=live.view.uid)

    async def read(self, namespace: str, name: str) -> LiveSecret | None:
        """GET."""
        self._fail("read")
        raw = self.stored.get((namespace, name))
        if raw is None:
            return None
        return LiveSecret(view=self.view(raw), raw=copy.deepcopy(raw), written=raw["written"], touched=raw["touched"])

    async def look(self, namespace: str, name: str) -> TargetView | None:
        """GET of the metadata."""
        self._fail("look")
        self.looks += 1
        raw = self.stored.get((namespace, name))
        return self.view(raw) if raw is not None else None

    def edit(self, namespace: str, name: str, **data: str) -> None:
        """Somebody edits it by hand."""
        raw = self.stored[namespace, name]
        raw["data"] |= {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        raw["metadata"]["resourceVersion"] = self.outside.next_version()
        raw["touched"] = self.outside.now

    def values(self, namespace: str, name: str) -> dict[str, str]:
        """What a pod would read."""
        return {key: base64.b64decode(text).decode() for key, text in self.stored[namespace, name]["data"].items()}

    @staticmethod
    def view(raw: Json) -> TargetView:
        """What the metadata-only watch says."""
        meta = raw["metadata"]
        annotations = meta["annotations"]
        return TargetView(
            name=meta["name"],
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            type=raw["type"],
            version=annotations.get(VERSION),
            epoch=int(annotations[EPOCH]) if EPOCH in annotations else None,
            adopt_by=annotations.get(ADOPT_BY),
            owner_uids=frozenset(owner["uid"] for owner in meta["ownerReferences"]),
            labels=dict(meta["labels"]),
            annotations=dict(annotations),
        )

    def _put(self, manifest: SecretManifest, *, uid: str) -> Written:
        raw = {
            "metadata": {
                "name": manifest.name,
                "namespace": manifest.namespace,
                "uid": uid,
                "resourceVersion": self.outside.next_version(),
                "labels": dict(manifest.labels),
                "annotations": dict(manifest.annotations),
                "ownerReferences": [manifest.owner_reference] if manifest.owner_reference else [],
            },
            "type": manifest.type,
            "data": {key: base64.b64encode(value).decode() for key, value in manifest.data.items()},
            "written": self.outside.now,
            "touched": None,
        }
        self.stored[manifest.namespace, manifest.name] = raw
        self.outside.wrote("secret")
        return Written(view=self.view(raw), time=self.outside.now)

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]


@dataclass(kw_only=True)
class FakeWorkloads:
    """The port Workloads: controllers that replace the pod at once when the template changes. The first pods wait for their Secret."""

    outside: Outside
    secrets: FakeSecrets
    first_started: dict[tuple[str, str], datetime] = field(default_factory=dict)  # a pod that is not here still waits
    views: dict[tuple[str, str], WorkloadView] = field(default_factory=dict)
    started: dict[tuple[str, str], datetime] = field(default_factory=dict)  # when the present pod was created
    restarts: dict[tuple[str, str], int] = field(default_factory=dict)
    failures: dict[str, OutsideError] = field(default_factory=dict)

    def add(self, view: WorkloadView) -> None:
        """A workload, with one pod that is created now."""
        self.views[view.ref], self.started[view.ref] = replace(view, ready=0, available=0), self.outside.now

    def work(self) -> None:
        """Start the pods whose Secret is there."""
        for ref, view in self.views.items():
            if ref not in self.first_started and all((view.namespace, use.secret) in self.secrets.stored for use in view.uses):
                self.first_started[ref] = self.outside.now
                self.views[ref] = replace(view, ready=view.replicas, available=view.replicas)

    async def restart(self, workload: WorkloadView, *, annotation: str, value: str) -> WorkloadView:
        """The same value again changes nothing."""
        if "restart" in self.failures:
            raise self.failures["restart"]
        now = self.views.get(workload.ref)
        if now is None:
            raise missing(f"{workload.kind.value} {workload.name}")
        if now.uid != workload.uid:
            raise conflict("Conflict", f"{workload.name} is another one by now")
        if now.template_annotations.get(annotation) != value:
            generation = now.generation + 1
            template = {**now.template_annotations, annotation: value}
            now = replace(now, generation=generation, observed_generation=generation, template_annotations=template)
            self.views[now.ref], self.started[now.ref] = now, self.outside.now
            self.first_started[now.ref] = self.outside.now
            self.restarts[now.ref] = self.restarts.get(now.ref, 0) + 1
            self.outside.wrote("restart")
        return now

    async def pods(self, namespace: str, selector: str | None) -> Sequence[PodView]:
        """The one pod of each workload that matches."""
        if "pods" in self.failures:
            raise self.failures["pods"]
        return [
            PodView(
                name=f"{name}-0",
                uid=f"{name}-0",
                created=self.started[kind, name],
                first_started=self.first_started.get((kind, name)),
                last_started=self.first_started.get((kind, name)),
                ready=(kind, name) in self.first_started,
                owner_uid=view.uid,
            )
            for (kind, name), view in self.views.items()
            if selector in (None, view.selector) and view.kind is not WorkloadKind.CRON_JOB
        ]

    async def annotation_owner(self, workload: WorkloadView, annotation: str) -> str | None:
        """Nobody else's."""
        return None


@dataclass(kw_only=True)
class FakeObjects:
    """The port Objects: our own kinds as the API server keeps them."""

    outside: Outside
    stored: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    uids: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))
    credentials: dict[tuple[str, str], Credentials] = field(default_factory=dict)
    credentials_read: int = 0
    failures: dict[str, OutsideError] = field(default_factory=dict)

    def add(self, kind: str, namespace: str, name: str, spec: Json, *, owners: Sequence[Json] = ()) -> Json:
        """Somebody creates an object."""
        raw = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name,
                "uid": f"00000000-0000-4000-8000-{next(self.uids):012d}",
                "generation": 1,
                "resourceVersion": self.outside.next_version(),
                "creationTimestamp": rfc3339(self.outside.now),
                "ownerReferences": list(owners),
            }
            | ({"namespace": namespace} if namespace else {}),
            "spec": spec,
        }
        self.stored[kind, namespace, name] = raw
        return raw

    def edit(self, kind: str, namespace: str, name: str, spec: Json) -> None:
        """Somebody edits the spec."""
        raw = self.stored[kind, namespace, name]
        raw["spec"] = raw["spec"] | spec
        raw["metadata"]["generation"] += 1
        raw["metadata"]["resourceVersion"] = self.outside.next_version()

    def all(self, kind: str) -> list[Json]:
        """Every object of a kind, oldest first."""
        return [raw for (stored, _, _), raw in self.stored.items() if stored == kind]

    async def create_run(self, namespace: str, body: Json) -> Json:
        """POST."""
        self._fail("create_run")
        meta = body["metadata"]
        if ("RotationRun", namespace, meta["name"]) in self.stored:
            raise conflict("AlreadyExists", f"RotationRun {meta['name']} exists")
        spec = {"action": "Rotate", "urgent": False, **body["spec"]}
        made = self.add("RotationRun", namespace, meta["name"], spec, owners=meta["ownerReferences"])
        self.outside.wrote("create_run")
        return copy.deepcopy(made)

    async def read_run(self, namespace: str, name: str) -> Json | None:
        """GET."""
        return copy.deepcopy(self.stored.get(("RotationRun", namespace, name)))

    async def adopt_run(self, namespace: str, name: str, *, uid: str, owner_reference: Json) -> Json:
        """PATCH of the metadata."""
        raw = self._of("RotationRun", namespace, name, uid)
        raw["metadata"] |= {"ownerReferences": [owner_reference], "resourceVersion": self.outside.next_version()}
        self.outside.wrote("adopt_run")
        return copy.deepcopy(raw)

    async def delete_run(self, namespace: str, name: str, *, uid: str) -> None:
        """DELETE."""
        if self.stored.pop(("RotationRun", namespace, name), None) is not None:
            self.outside.wrote("delete_run")

    async def patch_status(
        self, kind: str, namespace: str | None, name: str, *, uid: str, patch: Json, resource_version: str | None = None
    ) -> Json:
        """PATCH of the status, onto the resourceVersion that it was decided on."""
        self._fail("patch_status")
        raw = self._of(kind, namespace or "", name, uid)
        if resource_version not in (None, raw["metadata"]["resourceVersion"]):
            raise conflict("Conflict", f"the status of {kind} {name} has changed")
        raw["status"] = apply_merge_patch(raw.get("status") or {}, patch)
        raw["metadata"]["resourceVersion"] = self.outside.next_version()
        self.outside.wrote(f"status {kind}")
        return copy.deepcopy(raw)

    async def read_credentials(self, namespace: str, name: str) -> Credentials:
        """Those that a test gave, or none."""
        self.credentials_read += 1
        if (namespace, name) not in self.credentials:
            raise OutsideError(FailureKind.MISSING, reason="CredentialsNotFound", message=f"there is no Secret {namespace}/{name}")
        return self.credentials[namespace, name]

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """No labels."""
        return {}

    def _of(self, kind: str, namespace: str, name: str, uid: str) -> Json:
        raw = self.stored.get((kind, namespace, name))
        if raw is None:
            raise missing(f"{kind} {name}")
        if raw["metadata"]["uid"] != uid:
            raise conflict("Conflict", f"{kind} {name} is another one by now")
        return raw

    def _fail(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]


@dataclass(kw_only=True)
class FakeRecorder:
    """The port Recorder: reasons in their order, with the object's name."""

    events: list[tuple[str, str, str]] = field(default_factory=list)

    def record(self, regarding: Json, *, warning: bool, reason: str, message: str, action: str) -> None:
        """Keep it."""
        self.events.append((regarding["name"], reason, message))


class SilentObserver:
    """The port Observer, for tests that are not about figures."""

    def passed(self, key: Key, result: str, seconds: float, waited: float) -> None:
        """Nothing."""

    def secret(self, key: Key, status: RotatingSecretStatus) -> None:
        """Nothing."""

    def run(self, key: Key, run: RotationRun, after: RotationRunStatus, observed: ObservedRun) -> None:
        """Nothing."""

    def gone(self, key: Key) -> None:
        """Nothing."""
