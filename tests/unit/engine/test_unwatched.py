"""A Secret in the way that goes, or consents, is noticed at the next look; and nothing is asked of the API server while none is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.fakes import FakeSecrets, Outside
from tests.support.process import Cosmos, Process

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import TargetView
from keyturn.domain.targets import ADOPT_BY, obstacle
from keyturn.engine.keys import Key, Kind
from keyturn.engine.unwatched import KEPT, Lookout, Unwatched

NAMESPACE, NAME = "shop", "orders-db"
WHERE = (NAMESPACE, NAME)
SECRET, RUN = Key(Kind.SECRET, NAMESPACE, NAME), Key(Kind.RUN, NAMESPACE, "open")


class Lane:
    """A RotatingSecret whose name is taken, and the lookout."""

    def __init__(self, *, policy: str = "Refuse") -> None:
        self.cosmos = Cosmos()
        self.stored = self.cosmos.secrets.stored
        self.stored[WHERE] = {
            "metadata": {
                "name": NAME,
                "namespace": NAMESPACE,
                "uid": "foreign",
                "resourceVersion": "50",
                "labels": {},
                "annotations": {},
                "ownerReferences": [],
            },
            "type": "Opaque",
            "data": {},
            "written": None,
            "touched": None,
        }
        spec = {"secretId": self.cosmos.aws.name, "target": {"conflict": policy}}
        self.cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, spec)
        self.process = Process(self.cosmos)
        unwatched, engine = self.process.world.unwatched, self.process.engine
        self.lookout = Lookout(unwatched=unwatched, secrets=self.cosmos.secrets, wake=engine.awaited)

    async def stalls(self) -> None:
        """One pass, which finds the conflict."""
        await self.process.look(SECRET)
        assert self.reason == "TargetConflict"
        self.process.queue.due.clear()

    async def woken(self) -> set[Key]:
        """Whom one look wakes."""
        await self.lookout.look()
        return set(self.process.queue.due)

    @property
    def reason(self) -> str:
        """Of Ready."""
        (raw,) = self.cosmos.objects.all("RotatingSecret")
        return next(str(found["reason"]) for found in raw["status"]["conditions"] if found["type"] == "Ready")

    def touch(self, *, uid: str = "foreign", **annotations: str) -> None:
        """Somebody writes its metadata."""
        meta: dict[str, Any] = self.stored[WHERE]["metadata"]
        meta |= {"uid": uid, "resourceVersion": self.cosmos.outside.next_version()}
        meta["annotations"] |= annotations


@pytest.fixture
async def lane() -> Lane:
    made = Lane()
    await made.stalls()
    return made


async def test_nothing_is_asked_where_nothing_is_in_the_way() -> None:
    lane = Lane()
    del lane.stored[WHERE]
    await lane.process.look(SECRET)
    assert lane.reason == "Mirrored"
    await lane.lookout.look()
    assert lane.cosmos.secrets.looks == 0


async def test_a_secret_that_stays_in_the_way_wakes_nobody_and_is_only_looked_at(lane: Lane) -> None:
    writes = list(lane.cosmos.outside.writes)
    assert [await lane.woken() for _ in range(3)] == [set(), set(), set()]
    assert lane.cosmos.secrets.looks == 3
    assert lane.cosmos.outside.writes == writes


async def test_one_that_its_owner_goes_on_writing_wakes_nobody(lane: Lane) -> None:
    lane.touch(team="pay")
    assert await lane.woken() == set()


async def test_one_that_goes_wakes_the_object_which_then_mirrors_and_is_looked_at_no_longer(lane: Lane) -> None:
    del lane.stored[WHERE]
    assert await lane.woken() == {SECRET}
    await lane.process.look(SECRET)
    assert lane.reason == "Mirrored"
    await lane.lookout.look()
    assert lane.cosmos.secrets.looks == 1


async def test_one_that_was_replaced_by_another_wakes_the_object(lane: Lane) -> None:
    lane.touch(uid="another")
    assert await lane.woken() == {SECRET}


async def test_one_that_comes_to_consent_is_adopted() -> None:
    lane = Lane(policy="Adopt")
    await lane.stalls()
    lane.touch(**{ADOPT_BY: NAME})
    assert await lane.woken() == {SECRET}
    await lane.process.look(SECRET)
    assert lane.reason == "Mirrored"


async def test_the_open_runs_of_the_object_are_woken_too(lane: Lane) -> None:
    lane.cosmos.objects.add("RotationRun", NAMESPACE, "open", {"secretRef": {"name": NAME}, "trigger": "Manual", "action": "Rotate"})
    lane.process.hear()
    lane.process.queue.due.clear()
    del lane.stored[WHERE]
    assert await lane.woken() == {SECRET, RUN}


async def test_a_look_that_is_refused_leaves_it_for_the_next_time(lane: Lane) -> None:
    del lane.stored[WHERE]
    for kind in (FailureKind.TRANSIENT, FailureKind.FORBIDDEN):
        lane.cosmos.secrets.failures["look"] = OutsideError(kind, reason="R", message="m")
        assert await lane.woken() == set()
    del lane.cosmos.secrets.failures["look"]
    assert await lane.woken() == {SECRET}


async def test_a_server_that_does_not_answer_is_asked_once_and_not_for_each_secret() -> None:
    asked: list[str] = []

    class Away(FakeSecrets):
        """An API server that is gone."""

        async def look(self, namespace: str, name: str) -> None:
            """Nobody answers."""
            asked.append(name)
            raise OutsideError(FailureKind.TRANSIENT, reason="R", message="m")

    unwatched = Unwatched()
    for name in ("one", "two", "three"):
        unwatched.wait(SECRET, (NAMESPACE, name), seen=None, mark=obstacle)
    await Lookout(unwatched=unwatched, secrets=Away(outside=Outside()), wake=lambda _: None).look()
    assert asked == ["one"]


def test_what_is_waited_for_without_having_been_seen_is_compared_with_the_first_look() -> None:
    unwatched = Unwatched()
    before, after = (TargetView(name=NAME, uid="u", resource_version=version) for version in ("1", "2"))
    unwatched.wait(SECRET, WHERE, mark=lambda view: view.resource_version, seen=...)
    assert unwatched.seen(WHERE, before) == []
    assert unwatched.seen(WHERE, before) == []
    assert unwatched.seen(WHERE, after) == [SECRET]


def test_an_object_that_does_not_say_again_that_it_waits_is_forgotten() -> None:
    now = [0.0]
    unwatched = Unwatched(lambda: now[0])
    unwatched.wait(SECRET, WHERE, seen=None, mark=obstacle)
    now[0] = KEPT - 1
    assert unwatched.waited_for() == [WHERE]
    now[0] = KEPT
    assert unwatched.waited_for() == []
