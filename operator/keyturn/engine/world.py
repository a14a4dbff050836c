"""What the operator remembers of the cluster: filled by lists, kept fresh by events, and never more than the plans need.

Our own objects are kept as compact JSON and parsed when they are looked at; of workloads and Secrets only views are kept. An older answer
never replaces a newer one: resourceVersions of one kind are ordered.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keyturn.api import Action as RunAction
from keyturn.api import AWSConnection, ClusterAWSConnection, RotatingSecret, RotationRun
from keyturn.domain import conditions as cond
from keyturn.domain.observed import RunView, TargetView, WorkloadKind, WorkloadView
from keyturn.engine.keys import Key, Kind

Json = Mapping[str, Any]
MODELS = {
    Kind.SECRET: RotatingSecret,
    Kind.RUN: RotationRun,
    Kind.CONNECTION: AWSConnection,
    Kind.CLUSTER_CONNECTION: ClusterAWSConnection,
}
DROPPED = ("managedFields", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def key_of(kind: Kind, raw: Json) -> Key:
    """The key of an object as the API server holds it."""
    return Key(kind, raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


def _version(raw: Json) -> int:
    text = raw["metadata"].get("resourceVersion", "")
    return int(text) if text.isdigit() else 0


class Objects:
    """Our own kinds, by key, with the indexes that plans ask for."""

    def __init__(self) -> None:
        self._stored: dict[Key, tuple[int, bytes]] = {}
        self._index: dict[Key, tuple[tuple[str, ...], ...]] = {}  # the entries of an object in the sets below
        self._by: dict[tuple[str, ...], set[Key]] = defaultdict(set)
        self.runs: dict[Key, RunView] = {}
        self._open: set[Key] = set()  # runs that are not over

    def put(self, kind: Kind, raw: Json) -> bool:
        """Keep an object; False if this or a newer one was known."""
        key, version = key_of(kind, raw), _version(raw)
        known = self._stored.get(key)
        if known is not None and known[0] >= version:
            return False
        metadata = {name: value for name, value in raw["metadata"].items() if name not in DROPPED}
        if LAST_APPLIED in (metadata.get("annotations") or {}):
            metadata["annotations"] = {name: text for name, text in metadata["annotations"].items() if name != LAST_APPLIED}
        self._stored[key] = (version, json.dumps({**raw, "metadata": metadata}, separators=(",", ":")).encode())
        self._reindex(key, raw)
        return True

    def drop(self, key: Key) -> None:
        """The object is gone."""
        self._stored.pop(key, None)
        self.runs.pop(key, None)
        self._open.discard(key)
        for entry in self._index.pop(key, ()):
            self._by[entry].discard(key)
            if not self._by[entry]:
                del self._by[entry]

    def keys(self, kind: Kind) -> list[Key]:
        """All objects of a kind."""
        return [key for key in self._stored if key.kind is kind]

    def raw(self, key: Key) -> dict[str, Any] | None:
        """The object's JSON."""
        stored = self._stored.get(key)
        return json.loads(stored[1]) if stored else None

    def secret(self, namespace: str, name: str) -> RotatingSecret | None:
        """A RotatingSecret."""
        stored = self._stored.get(Key(Kind.SECRET, namespace, name))
        return RotatingSecret.model_validate_json(stored[1]) if stored else None

    def run(self, namespace: str, name: str) -> RotationRun | None:
        """A RotationRun."""
        stored = self._stored.get(Key(Kind.RUN, namespace, name))
        return RotationRun.model_validate_json(stored[1]) if stored else None

    def connection(self, key: Key) -> AWSConnection | ClusterAWSConnection | None:
        """A connection of either kind."""
        stored = self._stored.get(key)
        if stored is None:
            return None
        model = ClusterAWSConnection if key.kind is Kind.CLUSTER_CONNECTION else AWSConnection
        return model.model_validate_json(stored[1])

    def runs_of(self, namespace: str, secret: str) -> list[RunView]:
        """The runs of one RotatingSecret, oldest first."""
        views = (self.runs[key] for key in self._by.get(("runs", namespace, secret), ()))
        return sorted(views, key=lambda run: (run.created, run.name))

    def run_keys(self, namespace: str, secret: str) -> Iterable[Key]:
        """Their keys."""
        return tuple(self._by.get(("runs", namespace, secret), ()))

    def open_runs(self) -> Iterator[RunView]:
        """The runs of the whole cluster that are not over."""
        return (self.runs[key] for key in self._open)

    def rotating_on(self, connection: Key) -> int:
        """How many rotations are under way on a connection."""
        wanted = ("connection", *connection)
        parents = (
            Key(Kind.SECRET, entry[1], entry[2]) for key in self._open if self.runs[key].rotating for entry in self._index.get(key, ())
        )
        return sum(wanted in self._index.get(parent, ()) for parent in parents)

    def by_target(self, namespace: str, name: str) -> Iterable[Key]:
        """The RotatingSecrets that write this Secret."""
        return tuple(self._by.get(("target", namespace, name), ()))

    def by_named(self, namespace: str, kind: str, name: str) -> Iterable[Key]:
        """The RotatingSecrets that name this workload in spec.rollout.workloads."""
        return tuple(self._by.get(("named", namespace, kind, name), ()))

    def by_source(self, secret_id: str) -> Iterable[Key]:
        """The RotatingSecrets of this secretId, over all connections."""
        return tuple(self._by.get(("source", secret_id), ()))

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
            view = self.runs[key] = run_view(RotationRun.model_validate(raw))
            (self._open.discard if view.over else self._open.add)(key)

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
        rotating=rotates and rotate is not None and rotate.state.value == "Running",
        result=end.reason if end else None,
        failed=cond.holds(status.conditions, "Failed") or cond.holds(status.conditions, "Stalled"),
        message=end.message if end else "",
        completed=status.completion_time,
        attempt=rotate.start_time if rotates and rotate is not None else None,
        slot=run.spec.slot,
        to=status.versions.to if status.versions else None,
        mirror=status.mirror,
        workloads=tuple(status.workloads),
        owned=bool(run.metadata.owner_references),
    )


def _never(run: RotationRun) -> Any:
    raise ValueError(f"RotationRun {run.metadata.namespace}/{run.metadata.name} has no creationTimestamp")


class World:
    """Everything that is remembered."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.targets: dict[tuple[str, str], TargetView] = {}
        self._workloads: dict[str, dict[tuple[str, str], WorkloadView]] = defaultdict(dict)
        self._users: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)  # namespace, Secret -> kind, name

    def workloads(self, namespace: str) -> Iterable[WorkloadView]:
        """The workloads of a namespace."""
        return self._workloads.get(namespace, {}).values()

    def candidates(self, namespace: str, secret: str, named: Iterable[tuple[str, str]]) -> list[WorkloadView]:
        """The workloads that refer to a Secret, or are named."""
        here = self._workloads.get(namespace, {})
        refs = {*self._users.get((namespace, secret), ()), *named}
        return [here[ref] for ref in sorted(refs) if ref in here]

    def put_workload(self, view: WorkloadView) -> WorkloadView | None:
        """Keep a workload; answers what was known of it before."""
        here = self._workloads[view.namespace]
        before = here.get(view.ref)
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
        if known is not None and known.uid == view.uid and int(known.resource_version) >= int(view.resource_version):
            return False
        self.targets[namespace, view.name] = view
        return True

    def drop_target(self, namespace: str, name: str) -> None:
        """The Secret is gone, or has lost its label."""
        self.targets.pop((namespace, name), None)

    def restarting(self) -> int:
        """Workloads of the cluster whose restart is under way."""
        return sum(workload.state.value == "Restarting" for run in self.objects.runs.values() if not run.over for workload in run.workloads)
