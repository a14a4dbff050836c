"""No login fails while the operator rotates the password of users that take turns: the benchmark `failed-logins`, in small."""

import pytest
from benchmarks.failed_logins import measure
from benchmarks.login_cases import ALTERNATING_USERS, CASES
from benchmarks.login_lab import login_lab

pytestmark = pytest.mark.timeout(600)  # a lab of its own
PODS = 2


def test_no_login_fails_through_two_rotations_of_alternating_users() -> None:
    [case] = [case for case in CASES if (case.engine, case.strategy) == ("postgres", ALTERNATING_USERS)]
    with login_lab(pods=PODS) as lab:
        row = measure(lab, case, rotations=2)
    for count in (row.fresh, row.pooled):
        assert count.good > 0
        assert (count.failed, count.kinds) == (0, "")
