"""Status out: the smallest patch that leads from what is stored to what is wanted, and none if nothing has changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.fakes import Crash, FakeObjects, FakeRecorder, Outside, apply_merge_patch, missing

from keyturn.api import RotatingSecret, RotatingSecretStatus, SecretSummary
from keyturn.domain.announce import Announcement
from keyturn.domain.failures import OutsideError
from keyturn.engine.keys import Key, Kind
from keyturn.engine.publish import Publisher, merge_patch
from keyturn.engine.world import World

KEY = Key(Kind.SECRET, "shop", "db")
LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=3))
OBJECTS = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), max_leaves=12)
STATUSES = st.dictionaries(st.sampled_from("abcd"), OBJECTS, max_size=4)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


@UNHURRIED
@given(STATUSES, STATUSES)
def test_the_patch_from_one_status_to_another_leads_there(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply_merge_patch(old, merge_patch(old, new)) == new


@UNHURRIED
@given(STATUSES)
def test_the_patch_from_a_status_to_itself_is_empty(status: dict[str, Any]) -> None:
    assert merge_patch(status, status) == {}


def test_the_patch_holds_nothing_that_has_not_changed() -> None:
    old = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1], "f": 4}
    assert merge_patch(old, {"a": 1, "b": {"c": 5, "d": 3}, "e": [2]}) == {"b": {"c": 5}, "e": [2], "f": None}


class Desk:
    """A publisher over one stored RotatingSecret."""

    def __init__(self) -> None:
        self.outside = Outside()
        self.objects, self.recorder, self.world = FakeObjects(outside=self.outside), FakeRecorder(), World()
        self.raw = self.objects.add("RotatingSecret", "shop", "db", {"secretId": "shop/db"})
        self.world.objects.put(Kind.SECRET, self.raw)
        self.publisher = Publisher(world=self.world, objects=self.objects, recorder=self.recorder)
        self.secret = RotatingSecret.model_validate(self.raw)

    async def publish(self, version: str = "v1") -> bool:
        status = RotatingSecretStatus(observed_generation=1, summary=SecretSummary(version=version))
        return await self.publisher.status(KEY, self.secret.metadata, status)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_status_that_differs_is_written_once_and_known_at_once(desk: Desk) -> None:
    assert await desk.publish()
    assert await desk.publish()
    assert desk.outside.writes == ["status RotatingSecret"]
    known = desk.world.objects.secret("shop", "db")
    assert known is not None
    assert known.status.summary == SecretSummary(version="v1")


async def test_the_watch_s_echo_of_a_status_is_no_news(desk: Desk) -> None:
    await desk.publish()
    assert not desk.world.objects.put(Kind.SECRET, desk.raw)


async def test_an_object_that_is_gone_or_another_one_by_now_is_not_written(desk: Desk) -> None:
    other = {**desk.raw, "metadata": {**desk.raw["metadata"], "uid": "another", "resourceVersion": "900"}}
    desk.world.objects.put(Kind.SECRET, other)
    assert not await desk.publish()
    desk.world.objects.drop(KEY)
    assert not await desk.publish()
    assert desk.outside.writes == []


async def test_an_object_that_the_api_server_does_not_know_any_more_is_forgotten(desk: Desk) -> None:
    desk.objects.failures["patch_status"] = missing("it")
    assert not await desk.publish()
    assert desk.world.objects.raw(KEY) is None


async def test_a_status_that_was_decided_on_an_older_object_is_refused(desk: Desk) -> None:
    desk.objects.edit("RotatingSecret", "shop", "db", {"suspend": "Everything"})
    with pytest.raises(OutsideError):
        await desk.publish()
    assert desk.outside.writes == []


async def test_a_write_that_nobody_heard_of_is_found_when_the_watch_brings_it(desk: Desk) -> None:
    desk.outside.crash_after = 1
    with pytest.raises(Crash):
        await desk.publish()
    assert desk.world.objects.put(Kind.SECRET, desk.raw)
    assert await desk.publish()
    assert len(desk.outside.writes) == 1


def test_events_name_the_object_and_its_uid(desk: Desk) -> None:
    desk.publisher.announce(KEY, desk.secret.metadata, [Announcement(reason="SecretRepaired", message="m")])
    assert desk.recorder.events == [("db", "SecretRepaired", "m")]
