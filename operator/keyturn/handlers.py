"""kopf handlers: an event becomes a key in the queue. Nothing else.

Only `on.event`: it writes nothing of its own, and costs little at ten thousand objects. Secrets are never watched here: their bodies would
sit in kopf's queues and debug logs. Every kind is told to the engine through one small sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import kopf

from keyturn.api import GROUP, KINDS, VERSION
from keyturn.domain.observed import WorkloadKind, WorkloadView
from keyturn.domain.workload_kinds import PLACES
from keyturn.engine.engine import Engine
from keyturn.engine.keys import Kind

PLURALS = {Kind(kind.resource.kind): kind.resource.plural for kind in KINDS}
Parse = Callable[[WorkloadKind, dict[str, Any]], WorkloadView]


def tell(engine: Engine, parse: Parse, kind: Kind | WorkloadKind, type_: str | None, raw: dict[str, Any]) -> None:
    """One event, or one item of a list (type None)."""
    gone = type_ == "DELETED"
    if isinstance(kind, Kind):
        (engine.object_gone if gone else engine.object_changed)(kind, raw)
    elif gone:
        engine.workload_gone(raw["metadata"]["namespace"], kind, raw["metadata"]["name"])
    else:
        engine.workload_changed(parse(kind, raw))


def registry(engine: Engine, parse: Parse, workloads: Sequence[WorkloadKind]) -> kopf.OperatorRegistry:
    """The handlers of every kind that is watched."""
    made = kopf.OperatorRegistry()
    for kind in Kind:
        _watch(made, engine, parse, kind, (GROUP, VERSION, PLURALS[kind]))
    for workload in workloads:
        _watch(made, engine, parse, workload, PLACES[workload])
    return made


def _watch(
    registry: kopf.OperatorRegistry, engine: Engine, parse: Parse, kind: Kind | WorkloadKind, resource: tuple[str, str, str]
) -> None:
    def is_news(event: kopf.RawEvent, **_: object) -> bool:  # what is none is spared kopf's way to a handler
        return event["type"] == "DELETED" or not isinstance(kind, Kind) or not engine.is_echo(kind, event["object"])

    @kopf.on.event(*resource, registry=registry, id=resource[2], when=is_news)
    async def on_event(event: kopf.RawEvent, **_: object) -> None:
        tell(engine, parse, kind, event["type"], dict(event["object"]))


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares each object with its last handled state, whatever its handlers; ours never ask, so the copy is spared."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[kopf.FieldSpec] | None = None) -> kopf.BodyEssence:
        """Nothing to compare."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Nothing was kept."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""


def settings() -> kopf.OperatorSettings:
    """Quiet and small: no scanning, no posting, no writes, dead streams noticed."""
    made = kopf.OperatorSettings()
    made.scanning.disabled = True  # the CRDs are there before we are
    made.posting.enabled = False  # events are our own
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 10
    made.watching.server_timeout = 600
    made.watching.client_timeout = 660
    made.watching.chunk_size = 500
    made.persistence.finalizer = f"{GROUP}/finalizer"
    made.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    made.persistence.diffbase_storage = NoDiffBase()
    made.process.ultimate_exiting_timeout = 25
    made.queueing.idle_timeout = 1
    return made
