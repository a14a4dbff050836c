"""What is told where two users may not do the same."""

import pytest

from keyturn_rotators.errors import Kind
from keyturn_rotators.network import Place
from keyturn_rotators.rights import shown, unequal


@pytest.mark.parametrize(
    ("several", "text"),
    [
        ([], ""),
        (["one"], "one"),
        (["1", "2", "3", "4", "5"], "1; 2; 3; 4; 5"),
        (["1", "2", "3", "4", "5", "6"], "1; 2; 3; 4; 5 and 1 more"),
        ([str(number) for number in range(1, 26)], "1; 2; 3; 4; 5 and 20 more"),
    ],
)
def test_a_message_shows_five_and_says_how_many_there_are_besides(several: list[str], text: str) -> None:
    assert shown(several) == text


def test_a_right_that_is_missing_is_told_with_both_users_and_the_statements_that_would_give_it() -> None:
    place = Place(secret="arn:x", host="db.example:1", user="root")
    error = unequal(place, idle="app_clone", current="app", statements=["GRANT a", "GRANT b"])
    assert error.kind is Kind.PERMISSION
    assert error.what == "app_clone may not do the same as app"
    assert error.check.endswith("by hand: GRANT a; GRANT b")
