"""What the operator remembers of the cluster: filled by lists, kept fresh by events, and never more than the plans need.

Our own objects are kept as compact JSON and parsed when they are looked at; of workloads and Secrets only views are kept. An older answer
never replaces a newer one: resourceVersions of one kind are ordered.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json, to_json

from keyturn.api import Action as RunAction
from keyturn.api import AWSConnection, ClusterAWSConnection, RotatingSecret, RotationRun, RotationRunStatus, StepName, StepState, Trigger
from keyturn.domain import conditions as cond
from keyturn.domain.actions import Action, Restart
from keyturn.domain.observed import RunView, TargetView, WorkloadKind, WorkloadView
from keyturn.domain.targets import LAST_APPLIED
from keyturn.engine.keys import Key, Kind
from keyturn.engine.unwatched import Unwatched

Json = Mapping[str, Any]
MODELS = {
    Kind.SECRET: RotatingSecret,
    Kind.RUN: RotationRun,
    Kind.CONNECTION: AWSConnection,
    Kind.CLUSTER_CONNECTION: ClusterAWSConnection,
}
DROPPED = ("managedFields", "selfLink")
GONE = 10_000  # objects that are remembered as gone


def key_of(kind: Kind, raw: Json) -> Key:
    """The key of an object as the API server holds it."""
    return Key(kind, raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


def version_of(raw: Json) -> int:
    """The resourceVersion, by which answers about one object are ordered."""
    text = raw["metadata"].get("resourceVersion", "")
    return int(text) if text.isdigit() else 0


class Objects:
    """Our own kinds, by key, with the indexes that plans ask for."""

    def __init__(self) -> None:
        self._stored: dict[Key, tuple[int, bytes]] = {}
        self._connections: dict[Key, tuple[tuple[int, bytes], AWSConnection | ClusterAWSConnection]] = {}  # what they were parsed from
        self._index: dict[Key, tuple[tuple[str, ...], ...]] = {}  # the entries of an object in the sets below
        self._by: dict[tuple[str, ...], set[Key]] = defaultdict(set)
        self.runs: dict[Key, RunView] = {}
        self._open: set[Key] = set()  # runs that are not over,
        self._rotating: set[Key] = set()  # those of them whose rotation is under way,
        self._restarting: dict[Key, int] = {}  # and how many workloads of theirs are
        self._beginning: dict[Key, Key] = {}  # runs whose rotation begins in a pass that is under way, and their connections
        self._restarts: dict[Key, int] = {}  # restarts that such a pass asks for
        self._gone: dict[Key, int] = {}  # the last version of what is gone: a late answer to a write must not bring it back

    def put(self, kind: Kind, raw: Json) -> bool:
        """Keep an object; False if this or a newer one was known."""
        if self.has_seen(kind, raw):
            return False
        key, version = key_of(kind, raw), version_of(raw)
        self._gone.pop(key, None)
        metadata = {name: value for name, value in raw["metadata"].items() if name not in DROPPED}
        if LAST_APPLIED in (metadata.get("annotations") or {}):
            metadata["annotations"] = {name: text for name, text in metadata["annotations"].items() if name != LAST_APPLIED}
        self._stored[key] = (version, to_json({**raw, "metadata": metadata}))
        self._reindex(key, raw)
        return True

    def has_seen(self, kind: Kind, raw: Json) -> bool:
        """Whether this or a newer form of the object is known, or was before it went."""
        key, version = key_of(kind, raw), version_of(raw)
        known = self._stored.get(key)
        return max(known[0] if known else 0, self._gone.get(key, 0)) >= version > 0

    def drop(self, key: Key, *, version: int = 0) -> None:
        """The object is gone, at this resourceVersion or the last one that is known."""
        known = self._stored.pop(key, None)
        self._connections.pop(key, None)
        self._gone[key] = max(version, known[0] if known else 0)
        while len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]
        self._place(key, None)
        for entry in self._index.pop(key, ()):
            self._by[entry].discard(key)
            if not self._by[entry]:
                del self._by[entry]

    def keys(self, kind: Kind) -> list[Key]:
        """All objects of a kind."""
        return [key for key in self._stored if key.kind is kind]

    def knows(self, key: Key) -> bool:
        """Whether there is such an object."""
        return key in self._stored

    def raw(self, key: Key) -> dict[str, Any] | None:
        """The object's JSON."""
        stored = self._stored.get(key)
        return from_json(stored[1]) if stored else None

    def secret(self, namespace: str, name: str) -> RotatingSecret | None:
        """A RotatingSecret."""
        stored = self._stored.get(Key(Kind.SECRET, namespace, name))
        return RotatingSecret.model_validate_json(stored[1]) if stored else None

    def run(self, namespace: str, name: str) -> RotationRun | None:
        """A RotationRun."""
        stored = self._stored.get(Key(Kind.RUN, namespace, name))
        return RotationRun.model_validate_json(stored[1]) if stored else None

    def connection(self, key: Key) -> AWSConnection | ClusterAWSConnection | None:
        """A connection of either kind, parsed once: every pass over whoever uses it asks for it."""
        stored = self._stored.get(key)
        if stored is None:
            return None
        known = self._connections.get(key)
        if known is None or known[0] is not stored:
            model = ClusterAWSConnection if key.kind is Kind.CLUSTER_CONNECTION else AWSConnection
            known = self._connections[key] = (stored, model.model_validate_json(stored[1]))
        return known[1]

    def runs_of(self, namespace: str, secret: str) -> list[RunView]:
        """The runs of one RotatingSecret, oldest first."""
        views = (self.runs[key] for key in self._by.get(("runs", namespace, secret), ()))
        return sorted(views, key=lambda run: (run.created, run.name))

    def run_keys(self, namespace: str, secret: str) -> Iterable[Key]:
        """Their keys."""
        return tuple(self._by.get(("runs", namespace, secret), ()))

    @property
    def open_count(self) -> int:
        """How many runs of the whole cluster are not over."""
        return len(self._open)

    def rotating_on(self, connection: Key) -> int:
        """How many rotations are under way on a connection."""
        wanted = ("connection", *connection)
        parents = (Key(Kind.SECRET, entry[1], entry[2]) for key in self._rotating for entry in self._index.get(key, ()))
        beginning = sum(begun == connection and not self.runs[key].rotating for key, begun in self._beginning.items() if key in self.runs)
        return sum(wanted in self._index.get(parent, ()) for parent in parents) + beginning

    def restarting(self) -> int:
        """Workloads of the cluster whose restart is under way, or is being asked for at this moment."""
        return sum(self._restarting.values()) + sum(self._restarts.values())

    @contextmanager
    def begins(self, key: Key, connection: Key | None, draft: RotationRunStatus, actions: Sequence[Action]) -> Iterator[None]:
        """Count what a plan begins until it is in the run's status: many passes are under way at once, and the caps hold for all."""
        if connection is not None and any(step.name == StepName.ROTATE and step.state is StepState.RUNNING for step in draft.steps):
            self._beginning[key] = connection
        restarts = sum(isinstance(action, Restart) for action in actions)
        if restarts:
            self._restarts[key] = restarts
        try:
            yield
        finally:
            self._beginning.pop(key, None)
            self._restarts.pop(key, None)

    def by_target(self, namespace: str, name: str) -> Iterable[Key]:
        """The RotatingSecrets that write this Secret."""
        return tuple(self._by.get(("target", namespace, name), ()))

    def by_named(self, namespace: str, kind: str, name: str) -> Iterable[Key]:
        """The RotatingSecrets that name this workload in spec.rollout.workloads."""
        return tuple(self._by.get(("named", namespace, kind, name), ()))

    def by_source(self, secret_id: str) -> Iterable[Key]:
        """The RotatingSecrets of this secretId, over all connections."""
        return tuple(self._by.get(("source", secret_id), ()))

    def rivals(self, key: Key, raw: Json) -> Iterable[Key]:
        """Other RotatingSecrets of the same AWS secret or of the same Secret: their turn may have come, or be over."""
        arn = ((raw.get("status") or {}).get("source") or {}).get("arn")
        entries = [entry for entry in self._entries(key, raw) if entry[0] in {"target", "source"}] + ([("source", arn)] if arn else [])
        return {other for entry in entries for other in self._by.get(entry, ())} - {key}

    def by_connection(self, connection: Key) -> Iterable[Key]:
        """The RotatingSecrets that use this connection."""
        return tuple(self._by.get(("connection", *connection), ()))

    def _reindex(self, key: Key, raw: Json) -> None:
        for entry in self._index.pop(key, ()):
            self._by[entry].discard(key)
        entries = tuple(self._entries(key, raw))
        for entry in entries:
            self._by[entry].add(key)
        if entries:
            self._index[key] = entries
        if key.kind is Kind.RUN:
            self._place(key, run_view(RotationRun.model_validate(raw)))

    def _place(self, key: Key, view: RunView | None) -> None:
        """Keep a run among those that it counts with; None: it is gone."""
        for kept in (self._open, self._rotating):
            kept.discard(key)
        self._restarting.pop(key, None)
        if view is None:
            self.runs.pop(key, None)
            return
        self.runs[key] = view
        if view.over:
            return
        self._open.add(key)
        if view.rotating:
            self._rotating.add(key)
        if view.adoption is not None and view.adoption.restarting:
            self._restarting[key] = view.adoption.restarting

    def _entries(self, key: Key, raw: Json) -> Iterator[tuple[str, ...]]:
        spec = raw["spec"]
        if key.kind is Kind.RUN:
            yield "runs", key.namespace, spec["secretRef"]["name"]
        elif key.kind is Kind.SECRET:
            yield "target", key.namespace, (spec.get("target") or {}).get("name") or key.name
            yield "source", spec["secretId"]
            for rule in (spec.get("rollout") or {}).get("workloads") or ():
                yield "named", key.namespace, rule["kind"], rule["name"]
            ref = spec.get("connectionRef") or {}
            yield "connection", *connection_key(key.namespace, ref.get("kind"), ref.get("name"))


def connection_key(namespace: str, kind: str | None, name: str | None) -> Key:
    """The key of the connection that a reference means, defaults included."""
    cluster = (kind or Kind.CLUSTER_CONNECTION.value) == Kind.CLUSTER_CONNECTION.value
    return Key(Kind.CLUSTER_CONNECTION if cluster else Kind.CONNECTION, "" if cluster else namespace, name or "default")


def run_view(run: RotationRun) -> RunView:
    """The part of a run that others look at."""
    status = run.status
    steps = {step.name.value: step for step in status.steps}
    end = next((found for name in ("Complete", "Failed", "Stalled") if (found := cond.find(status.conditions, name))), None)
    rotate = steps.get("Rotate")
    rotates = run.spec.action is RunAction.ROTATE and rotate is not None and rotate.state.value != "Skipped"
    return RunView(
        name=run.metadata.name,
        uid=run.metadata.uid,
        created=run.metadata.creation_timestamp or _never(run),
        trigger=run.spec.trigger,
        action=run.spec.action,
        urgent=run.spec.urgent,
        over=status.completion_time is not None,
        queued=_is_to_rotate(run) and (rotate is None or rotate.start_time is None) and status.completion_time is None,
        rotating=rotates and rotate is not None and rotate.state.value == "Running",
        mirroring="Mirror" in steps,
        result=end.reason if end else None,
        failed=cond.holds(status.conditions, "Failed") or cond.holds(status.conditions, "Stalled"),
        message=end.message if end else "",
        completed=status.completion_time,
        attempt=rotate.start_time if rotates and rotate is not None else None,
        slot=run.spec.slot,
        to=status.versions.to if status.versions else None,
        mirror=status.mirror,
        rejected=status.rejected,
        adoption=status.adoption,
        workloads=tuple(status.workloads),
        owned=bool(run.metadata.owner_references),
    )


def _is_to_rotate(run: RotationRun) -> bool:
    return run.spec.action is RunAction.ROTATE and run.spec.trigger in {Trigger.MANUAL, Trigger.SCHEDULE}


def _never(run: RotationRun) -> Any:
    raise ValueError(f"RotationRun {run.metadata.namespace}/{run.metadata.name} has no creationTimestamp")


class World:
    """Everything that is remembered."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.targets: dict[tuple[str, str], TargetView] = {}
        self.unwatched = Unwatched()
        self._workloads: dict[str, dict[tuple[str, str], WorkloadView]] = defaultdict(dict)
        self._users: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)  # namespace, Secret -> kind, name

    def workloads(self, namespace: str) -> Iterable[WorkloadView]:
        """The workloads of a namespace."""
        return self._workloads.get(namespace, {}).values()

    def candidates(self, namespace: str, secret: str, named: Iterable[tuple[str, str]]) -> list[WorkloadView]:
        """The workloads that refer to a Secret, or are named, with the Jobs of those that are CronJobs."""
        here = self._workloads.get(namespace, {})
        refs = {*self._users.get((namespace, secret), ()), *named}
        found = [here[ref] for ref in sorted(refs) if ref in here]
        crons = {view.uid for view in found if view.kind is WorkloadKind.CRON_JOB}
        return found + [view for view in here.values() if crons and view.owner_uid in crons and view.ref not in refs]

    def workload_names(self, kind: WorkloadKind) -> set[tuple[str, str]]:
        """Namespace and name of every workload of a kind."""
        return {(view.namespace, view.name) for here in self._workloads.values() for view in here.values() if view.kind is kind}

    def put_workload(self, view: WorkloadView) -> WorkloadView | None:
        """Keep a workload; answers what was known of it before, or the view itself where a newer one was known."""
        here = self._workloads[view.namespace]
        before = here.get(view.ref)
        if before is not None and before.uid == view.uid and view.generation < before.generation:
            return view  # an event from before our own write: to whoever asks, nothing has changed
        if before is not None and before.uses != view.uses:
            self._unlink(before)
        here[view.ref] = view
        for use in view.uses:
            self._users[view.namespace, use.secret].add(view.ref)
        return before

    def drop_workload(self, namespace: str, kind: WorkloadKind, name: str) -> WorkloadView | None:
        """The workload is gone; answers what was known of it."""
        gone = self._workloads.get(namespace, {}).pop((kind.value, name), None)
        if gone is not None:
            self._unlink(gone)
        return gone

    def _unlink(self, view: WorkloadView) -> None:
        for use in view.uses:
            users = self._users.get((view.namespace, use.secret))
            if users is not None:
                users.discard(view.ref)
                if not users:
                    del self._users[view.namespace, use.secret]

    def put_target(self, namespace: str, view: TargetView) -> bool:
        """Keep a Secret's metadata; False if this or a newer one was known."""
        known = self.targets.get((namespace, view.name))
        if known is not None and int(known.resource_version) >= int(view.resource_version):
            return False
        self.targets[namespace, view.name] = view
        return True

    def drop_target(self, namespace: str, name: str) -> None:
        """The Secret is gone, or has lost its label."""
        self.targets.pop((namespace, name), None)

    def restarting(self) -> int:
        """Workloads of the cluster whose restart is under way."""
        return self.objects.restarting()
