"""Deadlines count the time in which somebody could look."""

from __future__ import annotations

import pytest

from keyturn_lab.patience import LONGEST_LOOK, Patience


@pytest.mark.parametrize(
    ("looks", "over"),
    [
        ([], False),
        ([0.1] * 9, False),
        ([0.1] * 11, True),
        ([0.5, 0.4], False),
        ([0.5, 0.4, 0.2], True),
        ([3600.0], False),  # the machine stood still
        ([3600.0, LONGEST_LOOK, 0.1], True),
    ],
)
def test_a_second_of_patience_is_over_after_a_second_of_looking(looks: list[float], over: bool) -> None:
    now = 100.0
    patience = Patience(1.0, clock=lambda: now)
    said = patience.over
    for seconds in looks:
        now += seconds
        said = patience.over
    assert said is over
