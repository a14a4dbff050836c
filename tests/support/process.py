"""One life of the operator's engine over a world of fakes: passes in the order of their due times, on the world's own clock.

A test ends a life by a `Crash`, and begins another over the same `Cosmos`: only what is outside has lived on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.fakes import (
    FakeAws,
    FakeConnections,
    FakeObjects,
    FakeRecorder,
    FakeSecrets,
    FakeWorkloads,
    Outside,
    SilentObserver,
)

from keyturn.domain.failures import OutsideError
from keyturn.domain.observed import Limits
from keyturn.domain.targets import LABEL_SECRET
from keyturn.engine.bare_pods import BarePods
from keyturn.engine.engine import Engine
from keyturn.engine.execute import Executor
from keyturn.engine.gather import Gatherer
from keyturn.engine.keys import Key, Kind
from keyturn.engine.publish import Publisher
from keyturn.engine.queue import Queue
from keyturn.engine.reach import Connections
from keyturn.engine.reconcile import Reconciler
from keyturn.engine.world import World

CONNECTION = {
    "region": "eu-west-1",
    "allow": [{"namespaces": {"all": True}, "secrets": ["{namespace}/**"], "verbs": ["Mirror", "Rotate"]}],
}


@dataclass(kw_only=True)
class Cosmos:
    """Everything that outlives a process."""

    outside: Outside = field(default_factory=Outside)
    aws: FakeAws = field(init=False)
    secrets: FakeSecrets = field(init=False)
    workloads: FakeWorkloads = field(init=False)
    objects: FakeObjects = field(init=False)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)

    def __post_init__(self) -> None:
        values = {"v1": '{"username": "app", "password": "canary"}'}
        self.aws = FakeAws(outside=self.outside, name="shop/orders/db", values=values)
        self.secrets = FakeSecrets(outside=self.outside)
        self.workloads = FakeWorkloads(outside=self.outside, secrets=self.secrets)
        self.objects = FakeObjects(outside=self.outside)
        self.objects.add("ClusterAWSConnection", "", "default", dict(CONNECTION))

    def work(self) -> None:
        """AWS and the controllers go on by themselves."""
        self.aws.work()
        self.workloads.work()


class DueTimes(Queue):
    """A queue without waiting: when each key is due, by the world's clock."""

    def __init__(self, outside: Outside) -> None:
        super().__init__(time.monotonic, outside.clock)
        self._outside = outside
        self.due: dict[Key, datetime] = {}

    def put(self, key: Key, *, due: float | None = None, new: bool = False) -> None:
        """Of several due times the earliest counts."""
        wait = max(due - time.monotonic(), 0.0) if due is not None else 0.0
        self.put_at(key, self._outside.now + timedelta(seconds=wait))

    def put_at(self, key: Key, when: datetime) -> None:
        """To the microsecond: a world whose clock stands still must not come a moment too early, again and again."""
        self.due[key] = min(when, self.due.get(key, when))


class Process:
    """The engine, with its caches filled from what is outside."""

    def __init__(self, cosmos: Cosmos) -> None:
        self.cosmos = cosmos
        outside, self.world = cosmos.outside, World()
        self.queue = DueTimes(outside)
        connections = Connections(self.world, FakeConnections(cosmos.aws), cosmos.objects, own_namespace="keyturn-system")
        gatherer = Gatherer(
            world=self.world,
            connections=connections,
            workloads=cosmos.workloads,
            bare_pods=BarePods(cosmos.workloads, outside.clock),
            limits=Limits(),
            clock=outside.clock,
        )
        self.executor = Executor(
            world=self.world, objects=cosmos.objects, secrets=cosmos.secrets, workloads=cosmos.workloads, gatherer=gatherer
        )
        observer = SilentObserver()
        self.reconciler = Reconciler(
            world=self.world,
            connections=connections,
            gatherer=gatherer,
            executor=self.executor,
            publisher=Publisher(world=self.world, objects=cosmos.objects, recorder=cosmos.recorder),
            observer=observer,
            clock=outside.clock,
            queue=self.queue,
        )
        self.engine = Engine(world=self.world, queue=self.queue, reconciler=self.reconciler, observer=observer)
        self._labels: Any = None
        self.hear()

    def hear(self) -> None:
        """Every watch catches up."""
        for (kind, _, _), raw in self.cosmos.objects.stored.items():
            self.engine.object_changed(Kind(kind), raw)
        for key in [key for kind in Kind for key in self.world.objects.keys(kind)]:
            if (key.kind.value, key.namespace, key.name) not in self.cosmos.objects.stored:
                self.engine.object_gone(key.kind, self.world.objects.raw(key) or {})
        for view in self.cosmos.workloads.views.values():
            self.engine.workload_changed(view)
        for (namespace, name), secret in self.cosmos.secrets.stored.items():
            target = self.cosmos.secrets.view(secret)
            if LABEL_SECRET in target.labels:
                self.engine.target_changed(namespace, name, target, target.labels)
        for namespace, name in set(self.world.targets) - set(self.cosmos.secrets.stored):
            self.engine.target_changed(namespace, name, None, {})
        labels = self.cosmos.aws.view().labels
        if self._labels not in (None, labels):
            self.engine.source_changed(self.cosmos.aws.name)
        self._labels = labels

    async def run(self, *, patience: timedelta = timedelta(minutes=30), passes: int = 400) -> int:
        """Until nothing is due within `patience`; answers how many passes it took. More than `passes` is a loop that spins."""
        for count in range(passes):
            self.cosmos.work()
            self.hear()
            due = self.queue.due
            key = min(due, key=lambda one: (due[one], one), default=None)
            if key is None or due[key] > self.cosmos.outside.now + patience:
                return count
            self.cosmos.outside.now = max(self.cosmos.outside.now, due.pop(key))
            await self.look(key)
        raise AssertionError(f"still busy after {passes} passes: {self.queue.due}")

    async def run_until(self, end: datetime) -> int:
        """Every pass that is due by then; answers how many were about other objects than connections, which are looked at each hour."""
        count = 0
        while True:
            self.cosmos.work()
            self.hear()
            due = self.queue.due
            key = min(due, key=lambda one: (due[one], one), default=None)
            if key is None or due[key] > end:
                self.cosmos.outside.now = end
                return count
            self.cosmos.outside.now = max(self.cosmos.outside.now, due.pop(key))
            count += key.kind in {Kind.SECRET, Kind.RUN}
            assert count < 2000, f"it spins: {due}"
            await self.look(key)

    async def look(self, key: Key) -> None:
        """One pass; a refusal is met again after a second."""
        self.cosmos.work()
        try:
            again = await self.reconciler.reconcile(key)
        except OutsideError:
            again = self.cosmos.outside.now + timedelta(seconds=1)
        if again is not None:
            self.queue.put_at(key, again)
