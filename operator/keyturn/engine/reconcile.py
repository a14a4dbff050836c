"""One pass over one object: gather, plan, execute, publish, and say when to look again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyturn.api import (
    AWSConnection,
    ClusterAWSConnection,
    Condition,
    ConnectionStatus,
    RotatingSecret,
    RotatingSecretStatus,
    RotationRun,
    Verb,
)
from keyturn.domain import announce
from keyturn.domain import conditions as cond
from keyturn.domain.actions import Action, CreateRun, DeleteRun, Done, Moved, Outcome, Refused
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.run_outcome import run_outcome
from keyturn.domain.run_plan import run_plan
from keyturn.domain.run_seen import is_over
from keyturn.domain.secret_plan import ObservedSecret, secret_plan
from keyturn.domain.secret_status import secret_status
from keyturn.engine.execute import Executor
from keyturn.engine.gather import Gatherer
from keyturn.engine.keys import Key, Kind
from keyturn.engine.ports import Aws, Catalog, Observer
from keyturn.engine.publish import Publisher
from keyturn.engine.queue import Queue
from keyturn.engine.reach import Connections, Reach
from keyturn.engine.world import World, key_of

LAG, LAG_PER_RUN, LONGEST_LAG = timedelta(seconds=1), timedelta(milliseconds=20), timedelta(seconds=15)
"""How long a RotatingSecret may lag behind its active run: longer while many runs are under way, whose restarts come before reports."""
CONNECTION_CHECK = timedelta(hours=1)
CREDENTIALS_CHECK = timedelta(minutes=5)  # of a connection whose credentials somebody may renew
RECOUNT_SOON, RECOUNT_LATE = timedelta(seconds=5), timedelta(minutes=1)  # see _recount_at


@dataclass(slots=True, kw_only=True)
class Reconciler:
    """Passes over RotatingSecrets, RotationRuns and connections."""

    world: World
    connections: Connections
    gatherer: Gatherer
    executor: Executor
    publisher: Publisher
    observer: Observer
    clock: Callable[[], datetime]
    queue: Queue
    recount: set[Key] = field(default_factory=set)  # RotatingSecrets whose consumers have changed
    _counted: set[Key] = field(default_factory=set)
    _followed: dict[Key, tuple[Catalog, str]] = field(default_factory=dict)
    _clients: dict[Key, Aws] = field(default_factory=dict)  # of each connection

    async def reconcile(self, key: Key) -> datetime | None:
        """Look at one object; answers when to look again, if time alone will change something."""
        match key.kind:
            case Kind.SECRET:
                return await self._secret(key)
            case Kind.RUN:
                return await self._run(key)
            case _:
                return await self._connection(key)

    # RotatingSecret

    async def _secret(self, key: Key) -> datetime | None:
        secret = self.world.objects.secret(key.namespace, key.name)
        if secret is None:
            self._forget(key)
            return None
        count = key in self.recount or key not in self._counted
        self.recount.discard(key)
        observed, reach = await self.gatherer.secret(secret, count_pods=count)
        self._follow(key, secret, reach)
        plan = secret_plan(observed, self.clock())
        outcomes = await self.executor.execute(secret, reach, plan.actions)
        status = secret_status(observed, plan, outcomes, self.clock())
        told = not _only_began_a_run(outcomes) and await self._publish_secret(key, secret, status)
        if count and not told:
            self.recount.add(key)
        for action, outcome in outcomes:
            if isinstance(action, CreateRun) and isinstance(outcome, Done):
                self.queue.put(Key(Kind.RUN, key.namespace, action.name), new=True)
                self.queue.put_at(key, self._report_at())
            elif isinstance(action, DeleteRun) and isinstance(outcome, Done):
                self.world.objects.drop(Key(Kind.RUN, key.namespace, action.name))
            elif isinstance(outcome, Moved):
                self.queue.put_at(key, self._report_at())
        recount = _recount_at(observed, status, self.clock())
        if recount is not None:
            self.recount.add(key)
            self.queue.put_at(key, recount)
        refused = [outcome.failure.kind for _, outcome in outcomes if isinstance(outcome, Refused)]
        return self._again(plan.look_again_at, refused)

    async def _publish_secret(self, key: Key, secret: RotatingSecret, status: RotatingSecretStatus) -> bool:
        written = await self.publisher.status(key, secret.metadata, status)
        if written:
            self._counted.add(key)
            self.publisher.announce(key, secret.metadata, announce.of_secret(secret.status, status))
            self.observer.secret(key, status)
        return written

    def _again(self, planned: datetime | None, refused: list[FailureKind]) -> datetime | None:
        """A refusal that may pass is met again soon, another one slowly."""
        if not refused:
            return planned
        passing = {FailureKind.TRANSIENT, FailureKind.CONFLICT, FailureKind.MISSING}
        if passing & set(refused):
            raise OutsideError(FailureKind.TRANSIENT, reason="Refused", message="an action was refused for the moment")
        again = self.clock() + timedelta(minutes=5)
        return min(planned, again) if planned else again

    def _follow(self, key: Key, secret: RotatingSecret, reach: Reach) -> None:
        """Keep the catalog looking at the secrets that somebody uses, and at no others."""
        wanted = (reach.aws.catalog, secret.spec.secret_id) if reach.aws is not None and reach.may(Verb.MIRROR).allowed else None
        known = self._followed.get(key)
        if known == wanted:
            return
        if known is not None:
            known[0].unfollow(known[1])
            del self._followed[key]
        if wanted is not None:
            wanted[0].follow(wanted[1])
            self._followed[key] = wanted

    def _forget(self, key: Key) -> None:
        known = self._followed.pop(key, None)
        if known is not None:
            known[0].unfollow(known[1])
        self.recount.discard(key)
        self._counted.discard(key)
        self.observer.gone(key)
        for run in self.world.objects.run_keys(key.namespace, key.name):
            self.queue.put(run)

    # RotationRun

    async def _run(self, key: Key) -> datetime | None:
        run = self.world.objects.run(key.namespace, key.name)
        if run is None or is_over(run):
            return None
        observed, reach = await self.gatherer.run(run)
        plan = run_plan(observed, self.clock())
        with self.world.objects.begins(key, reach.key if reach else None, plan.draft, plan.actions):
            outcomes = await self.executor.execute(observed.parent, reach, plan.actions)
            after = run_outcome(observed, plan, outcomes, self.clock())
            published = await self.publisher.status(key, run.metadata, after.draft)
        if not published:
            raise OutsideError(FailureKind.CONFLICT, reason="Conflict", message=f"{key} is another object by now")
        self.publisher.announce(key, run.metadata, announce.of_run(run.status, after.draft))
        self.observer.run(key, run, after.draft, observed)
        if after.draft != run.status:
            self._tell_parent(key, run, over=after.draft.completion_time is not None)
        return after.look_again_at

    def _tell_parent(self, key: Key, run: RotationRun, *, over: bool) -> None:
        """The RotatingSecret's status follows its run; when that is over, the next run's turn has come."""
        parent = Key(Kind.SECRET, key.namespace, run.spec.secret_ref.name)
        if over:
            self.recount.add(parent)
            for other in self.world.objects.run_keys(key.namespace, run.spec.secret_ref.name):
                if other != key and not self.world.objects.runs[other].over:
                    self.queue.put(other)
            self.queue.put(parent)
        else:
            self.queue.put_at(parent, self._report_at())

    def _report_at(self) -> datetime:
        """When a RotatingSecret says what its run has done."""
        return self.clock() + min(LAG + LAG_PER_RUN * max(self.world.objects.open_count, self.queue.crowd), LONGEST_LAG)

    # connections

    async def _connection(self, key: Key) -> datetime | None:
        connection = self.world.objects.connection(key)
        if connection is None:
            return None
        try:
            aws: Aws = await self.connections.client(key, connection)
            identity = await aws.identity()
        except OutsideError as error:
            self.connections.refused(key, connection, error.reason)
            await self._publish_connection(key, connection, cond.stalled(error.reason, error.message), None)
            raise
        verdicts = {cond.READY: cond.true("Identified", f"AWS answers as {identity}")}
        trouble = aws.catalog.trouble()
        if trouble is not None:
            self.connections.refused(key, connection, trouble.reason)
            say = cond.reconciling if trouble.kind is FailureKind.TRANSIENT else cond.stalled
            verdicts = say(trouble.reason, trouble.message)
        await self._publish_connection(key, connection, verdicts, identity)
        self._hand_over(key, aws)
        return self.clock() + (CREDENTIALS_CHECK if connection.spec.auth is not None else CONNECTION_CHECK)

    def _hand_over(self, key: Key, aws: Aws) -> None:
        """New credentials are another client: whoever uses the connection must follow its secret through that one."""
        before, self._clients[key] = self._clients.get(key), aws
        if before is not None and before is not aws:
            for user in self.world.objects.by_connection(key):
                self.queue.put(user)

    async def _publish_connection(
        self, key: Key, connection: AWSConnection | ClusterAWSConnection, verdicts: dict[str, cond.Verdict], identity: str | None
    ) -> None:
        before, now = connection.status, self.clock()
        found: list[Condition] = cond.merge(before.conditions, verdicts, generation=connection.metadata.generation, now=now)
        fresh = identity is not None and (before.last_success_time is None or now - before.last_success_time >= CONNECTION_CHECK)
        status = ConnectionStatus(
            observed_generation=connection.metadata.generation,
            conditions=found,
            identity=identity or before.identity,
            last_success_time=now if fresh else before.last_success_time,
        )
        await self.publisher.status(key, connection.metadata, status)


def _only_began_a_run(outcomes: Sequence[tuple[Action, Outcome]]) -> bool:
    """Nothing but a run has come of the pass: it comes first, and is soon reported together with what it does."""
    return any(isinstance(action, CreateRun) for action, _ in outcomes) and all(isinstance(outcome, Done) for _, outcome in outcomes)


def _recount_at(observed: ObservedSecret, status: RotatingSecretStatus, now: datetime) -> datetime | None:
    """When to count again what was counted in this pass and will change without an event of a workload.

    Nobody tells when a terminating or a bare pod is gone, when time has made a reload good, or when a list would succeed. What has not
    changed for long is looked at less often.
    """
    listed = [observed.pods.get(consumer.ref) for consumer in observed.consumers or ()]
    adopted = cond.find(status.conditions, "Adopted")
    incomplete = status.adoption is not None and status.adoption.pods_on_version < status.adoption.pods
    if not any(incomplete or pods is None or any(pod.terminating for pod in pods) for pods in listed):
        return None
    known_for = now - adopted.last_transition_time if adopted is not None else timedelta(0)
    return now + min(max(known_for / 4, RECOUNT_SOON), RECOUNT_LATE)


def parent_of(raw_run: dict[str, object]) -> Key:
    """The RotatingSecret that a run is about."""
    key = key_of(Kind.RUN, raw_run)
    spec = raw_run["spec"]
    assert isinstance(spec, dict)  # noqa: S101 - the CRD requires it
    return Key(Kind.SECRET, key.namespace, spec["secretRef"]["name"])
