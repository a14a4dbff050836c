"""The API server's clock, as the Date of its answers tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from keyturn.adapters.kube.clock import ServerClock

NOON = datetime(2026, 11, 21, 12, 0, 0, 400_000, tzinfo=UTC)


def hear(clock: ServerClock, at: datetime, ahead: float) -> None:
    """An answer that took a tenth of a second, from a server that is ahead by so many seconds."""
    date = (at + timedelta(seconds=ahead)).replace(microsecond=0)
    clock.heard(format_datetime(date, usegmt=True), sent=at.timestamp() - 0.1, received=at.timestamp())


def clock_after(*moments: tuple[float, float]) -> timedelta:
    """How far ahead of ours the server's clock is taken to be after answers at (seconds after noon, seconds ahead)."""
    clock = ServerClock(NOON.timestamp)
    for after, ahead in moments:
        hear(clock, NOON + timedelta(seconds=after), ahead)
    return clock.now() - NOON


def test_without_an_answer_it_is_our_clock() -> None:
    assert clock_after() == timedelta(0)


@pytest.mark.parametrize("ahead", [0.0, 0.3, -0.3])
def test_clocks_that_agree_within_a_second_are_taken_for_the_same(ahead: float) -> None:
    assert clock_after((0, ahead)) == timedelta(0)


@pytest.mark.parametrize("ahead", [-30.0, -3.0, 3.0, 30.0])
def test_a_difference_is_followed_to_within_a_second(ahead: float) -> None:
    assert abs(clock_after((0, ahead)).total_seconds() - ahead) <= 1.1


def test_more_answers_bound_it_closer() -> None:
    moments = [(second * 1.37, 5.0) for second in range(40)]
    assert abs(clock_after(*moments).total_seconds() - 5.0) <= 0.2


def test_a_clock_that_was_set_is_followed() -> None:
    assert abs(clock_after((0, 0.0), (5, 60.0)).total_seconds() - 60.0) <= 1.1


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_an_answer_without_a_date_says_nothing(date: str | None) -> None:
    clock = ServerClock(NOON.timestamp)
    clock.heard(date, sent=0.0, received=NOON.timestamp())
    assert clock.now() == NOON
