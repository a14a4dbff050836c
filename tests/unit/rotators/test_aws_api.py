"""Calls of AWS's APIs end within the step, whatever the API does."""

import pytest

from keyturn_rotators.aws_api import CONNECT_WITHIN, READ_WITHIN, client_config
from keyturn_rotators.deadline import Deadline


@pytest.mark.parametrize("left", [1.0, 10.0, 28.0, 118.0])
def test_all_attempts_of_a_call_together_are_shorter_than_what_is_left_of_the_step(left: float) -> None:
    config = vars(client_config(Deadline(left, clock=lambda: 0.0)))
    attempts = config["retries"]["total_max_attempts"]
    assert attempts > 1
    assert 0 < attempts * (config["connect_timeout"] + config["read_timeout"]) <= left


def test_one_attempt_is_no_longer_than_an_answer_may_take() -> None:
    config = vars(client_config(Deadline(900.0, clock=lambda: 0.0)))
    assert (config["connect_timeout"], config["read_timeout"]) == (CONNECT_WITHIN, READ_WITHIN)
