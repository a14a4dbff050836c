"""The loop: keys in, passes out. Events, due times and AWS's changes only ever put a key into the queue."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import TargetView, WorkloadKind, WorkloadView
from keyturn.domain.targets import LABEL_SECRET
from keyturn.engine.keys import Key, Kind
from keyturn.engine.ports import Observer
from keyturn.engine.queue import Queue
from keyturn.engine.reconcile import Reconciler, parent_of
from keyturn.engine.world import World, key_of, version_of

DEBOUNCE = 1.0  # seconds in which changes of one consumer are counted together
FIRST_RETRY, LAST_RETRY = 1.0, 300.0
SILENCE = 300.0  # seconds in which some pass must end while objects are due: many times what a request may take with all its repeats
LONGEST_PASS = 1800.0  # seconds: the longest that is honest lists the pods of a thousand workloads from a server that is hardly there

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Engine:
    """The queue and its workers, over one world."""

    world: World
    queue: Queue
    reconciler: Reconciler
    observer: Observer
    workers: int = 48
    _failures: dict[Key, int] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _begun: dict[Key, float] = field(default_factory=dict)  # passes that are under way, since when
    _beat: float = field(default_factory=time.monotonic)  # when a pass last ended

    async def run(self) -> None:
        """Work for ever; returns only by cancellation."""
        self._beat = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = [tasks.create_task(self._work()) for _ in range(self.workers)]

    def stuck(self, *, silence: float = SILENCE, longest: float = LONGEST_PASS) -> str | None:
        """Why the workers do not get on, where a restart can mend it; None: they do, or have nothing to do, or have not begun.

        An outage is no such reason: every request has a limit of time, so passes end then, too.
        """
        if ended := sum(task.done() for task in self._tasks):
            return f"{ended} of {len(self._tasks)} have ended"
        now, due = time.monotonic(), self.queue.backlog
        if self._tasks and due and (silent := now - max(min(due), self._beat)) > silence:
            return f"{len(due)} objects are due, and no pass has ended for {silent:.0f} s"
        key = min(self._begun, key=self._begun.__getitem__, default=None)
        if key is not None and (lasts := now - self._begun[key]) > longest:
            return f"a pass over {key} has not ended for {lasts:.0f} s"
        return None

    async def _work(self) -> None:
        while True:
            key, waited = await self.queue.get()
            started = self._begun[key] = time.monotonic()
            try:
                result = await self._pass(key)
            finally:
                self.queue.done(key)
                del self._begun[key]
                self._beat = time.monotonic()
            self.observer.passed(key, result, self._beat - started, waited)

    async def _pass(self, key: Key) -> str:
        """One pass; whatever happens in it concerns this object alone."""
        try:
            again = await self.reconciler.reconcile(key)
        except OutsideError as error:
            self._retry(key, slow=error.kind in {FailureKind.DENIED, FailureKind.FORBIDDEN, FailureKind.INVALID})
            level = logging.INFO if error.kind in {FailureKind.CONFLICT, FailureKind.TRANSIENT} else logging.WARNING
            _log.log(level, "%s: %s", key, error.message, extra={"object": str(key), "reason": error.reason})
            return error.kind.value
        except Exception:
            # The boundary of the loop: a fault of ours in one object must not stop the others. Frames' variables are never logged.
            _log.exception("%s: the pass failed", key, extra={"object": str(key)})
            self._retry(key, slow=True)
            return "Error"
        self._failures.pop(key, None)
        if again is not None:
            self.queue.put_at(key, again)
        return "Done"

    def _retry(self, key: Key, *, slow: bool) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        base = min(FIRST_RETRY * 2 ** min(count - 1, 9) * (10 if slow else 1), LAST_RETRY)
        self.queue.put(key, due=time.monotonic() + base * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    @property
    def in_rush(self) -> bool:
        """Objects are due, and none is a run, which must hear of consumers that come."""
        return bool(self.queue.backlog) and not self.world.objects.open_count

    # hints from outside

    def is_echo(self, kind: Kind, raw: Mapping[str, Any]) -> bool:
        """An event of ours or of a list tells what is known: most do, after our own writes."""
        return self.world.objects.has_seen(kind, raw)

    def object_changed(self, kind: Kind, raw: dict[str, Any]) -> None:
        """An object of ours is there, or is other than before. Echoes of our own writes are known already and end here."""
        key = key_of(kind, raw)
        new = not self.world.objects.knows(key)
        if not self.world.objects.put(kind, raw):
            return
        self._failures.pop(key, None)
        self.queue.put(key, new=new)
        for other in self._neighbours(kind, key, raw):
            self.queue.put(other)

    def object_gone(self, kind: Kind, raw: dict[str, Any]) -> None:
        """An object of ours is gone."""
        key = key_of(kind, raw)
        neighbours = self._neighbours(kind, key, raw)
        self.world.objects.drop(key, version=version_of(raw))
        self.queue.put(key)
        for other in neighbours:
            self.queue.put(other)

    def _neighbours(self, kind: Kind, key: Key, raw: dict[str, Any]) -> list[Key]:
        """The objects that look at this one."""
        match kind:
            case Kind.RUN:
                parent = parent_of(raw)
                return [parent, *self._open_runs(parent)]
            case Kind.SECRET:
                return [*self._open_runs(key), *self.world.objects.rivals(key, raw)]
            case _:
                return list(self.world.objects.by_connection(key))

    def _open_runs(self, parent: Key) -> list[Key]:
        objects = self.world.objects
        return [key for key in objects.run_keys(parent.namespace, parent.name) if not objects.runs[key].over]

    def workload_changed(self, view: WorkloadView) -> None:
        """A workload is there, or is other than before."""
        before = self.world.put_workload(view)
        if before != view:
            self._consumer_moved(view, before)

    def workload_gone(self, namespace: str, kind: WorkloadKind, name: str) -> None:
        """A workload is gone."""
        gone = self.world.drop_workload(namespace, kind, name)
        if gone is not None:
            self._consumer_moved(gone, None)

    def _consumer_moved(self, view: WorkloadView, before: WorkloadView | None) -> None:
        used = {use.secret for use in view.uses} | {use.secret for use in (before.uses if before else ())}
        keys = {key for secret in used for key in self.world.objects.by_target(view.namespace, secret)}
        keys |= set(self.world.objects.by_named(view.namespace, *view.ref))
        due = time.monotonic() + DEBOUNCE
        for key in keys:
            runs = self._open_runs(key)
            for run in runs:
                self.queue.put(run, due=time.monotonic() + DEBOUNCE / 5)
            if not any(self.world.objects.runs[run].workloads for run in runs):
                self.reconciler.recount.add(key)
                self.queue.put(key, due=due)

    def target_changed(self, namespace: str, name: str, view: TargetView | None, labels: Mapping[str, str]) -> None:
        """A managed Secret is there, other than before, or gone (or has lost its label)."""
        if view is None:
            self.world.drop_target(namespace, name)
        elif not self.world.put_target(namespace, view):
            return
        keys = {*self.world.objects.by_target(namespace, name)}
        if LABEL_SECRET in labels:
            keys.add(Key(Kind.SECRET, namespace, labels[LABEL_SECRET]))
        for key in keys:
            for other in (key, *self._open_runs(key)):
                self.queue.put(other)

    def awaited(self, key: Key) -> None:
        """A Secret that nobody watches, and for which an object waits, is other than it was."""
        users = self._open_runs(key) if key.kind is Kind.SECRET else self.world.objects.by_connection(key)
        for other in (key, *users):
            self.queue.put(other)

    def source_changed(self, secret_id: str) -> None:
        """AWS tells something new about a secret."""
        for key in self.world.objects.by_source(secret_id):
            for other in (key, *self._open_runs(key)):
                self.queue.put(other)

    def access_changed(self) -> None:
        """AWS has come to answer polls, or not to: the connections say so."""
        for kind in (Kind.CONNECTION, Kind.CLUSTER_CONNECTION):
            for key in self.world.objects.keys(kind):
                self.queue.put(key)
