"""The names of two users in turn."""

import pytest

from keyturn_rotators.alternation import alternate, base, next_user
from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError


@pytest.mark.parametrize(("user", "other"), [("app", "app_clone"), ("app_clone", "app"), ("a_clone_b", "a_clone_b_clone")])
def test_they_follow_awss_rule(user: str, other: str) -> None:
    assert alternate(user) == other
    assert base(user) == base(other)
    assert next_user(Credential({"username": user}), longest=32) == other


@pytest.mark.parametrize(
    ("user", "unit", "fits"),
    [("a" * 26, "bytes", True), ("a" * 27, "bytes", False), ("ü" * 26, "characters", True), ("ü" * 14, "bytes", False)],
)
def test_a_name_longer_than_the_back_end_takes_is_refused(user: str, unit: str, fits: bool) -> None:
    credential = Credential({"username": user}, secret="arn:x")
    if fits:
        assert next_user(credential, longest=32, unit=unit).startswith(user)
        return
    with pytest.raises(RotationError, match=f"longer than the 32 {unit}") as refused:
        next_user(credential, longest=32, unit=unit)
    assert refused.value.kind is Kind.POLICY
