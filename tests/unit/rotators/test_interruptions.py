"""The process dies before any of its requests, and AWS starts again from the first step."""

import pytest
from tests.unit.rotators.stores import Killed, World

from keyturn_rotators.versions import CURRENT, PENDING


def requests_of_one_rotation(*, alternating: bool) -> int:
    world = World(alternating=alternating)
    world.rotate(world.store.start("app"))
    return world.life.requests


def killed_before(request: int, *, alternating: bool) -> tuple[World, str]:
    world = World(alternating=alternating)
    token = world.store.start("app")
    world.life.begin(ends_before=request)
    with pytest.raises(Killed):
        world.rotate(token)
    world.life.begin()
    return world, token


@pytest.mark.parametrize("request_number", range(requests_of_one_rotation(alternating=True)))
def test_with_two_users_the_current_credential_logs_in_wherever_the_process_dies(request_number: int) -> None:
    world, token = killed_before(request_number, alternating=True)
    assert world.current_logs_in
    world.rotate(token)
    assert world.current_logs_in
    assert world.store.holder("app", CURRENT) == token


@pytest.mark.parametrize("request_number", range(requests_of_one_rotation(alternating=False)))
def test_with_one_user_the_current_or_the_pending_credential_logs_in_wherever_the_process_dies(request_number: int) -> None:
    world, token = killed_before(request_number, alternating=False)
    assert world.current_logs_in or world.server.takes(world.store.credential("app", PENDING))
    world.rotate(token)
    assert world.current_logs_in
    assert world.store.holder("app", CURRENT) == token


@pytest.mark.parametrize("second", range(requests_of_one_rotation(alternating=True)))
@pytest.mark.parametrize("first", range(requests_of_one_rotation(alternating=True)))
def test_a_rotation_that_dies_twice_is_finished_by_the_third_attempt(first: int, second: int) -> None:
    world, token = killed_before(first, alternating=True)
    world.life.begin(ends_before=second)
    try:
        world.rotate(token)
    except Killed:
        assert world.current_logs_in
    world.life.begin()
    world.rotate(token)
    assert world.current_logs_in
    assert world.store.holder("app", CURRENT) == token
