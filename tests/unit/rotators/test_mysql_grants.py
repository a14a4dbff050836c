"""SHOW GRANTS taken apart: MySQL 8's and MariaDB's lines, with names that look like SQL."""

import pytest

from keyturn_rotators.engines.mysql.grants import NotUnderstood, Right, Rights, differences, parsed, statements, verbatim

TO = "TO `app`@`%`"


def rights(*lines: str) -> frozenset[Right]:
    return parsed(lines).rights


def changes(wanted: list[str], found: list[str]) -> list[str]:
    return statements(wanted=parsed(wanted), found=parsed(found))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"GRANT USAGE ON *.* {TO}", set()),
        (f"GRANT SELECT, INSERT ON `shop`.* {TO}", {("`shop`.*", "SELECT"), ("`shop`.*", "INSERT")}),
        (f"GRANT USAGE ON `shop`.* {TO} WITH GRANT OPTION", {("`shop`.*", "GRANT OPTION")}),
        (f"GRANT CREATE TEMPORARY TABLES ON `a\\_b`.`t` {TO}", {("`a\\_b`.`t`", "CREATE TEMPORARY TABLES")}),
        (
            f"GRANT SELECT (`a`, `b`), DELETE ON `shop`.`t` {TO}",
            {("`shop`.`t`", "SELECT (`a`)"), ("`shop`.`t`", "SELECT (`b`)"), ("`shop`.`t`", "DELETE")},
        ),
        (f"GRANT EXECUTE ON PROCEDURE `shop`.`p` {TO}", {("PROCEDURE `shop`.`p`", "EXECUTE")}),
        (f"GRANT PROXY ON `root`@`h` {TO}", {("`root`@`h`", "PROXY")}),
        (f"GRANT `reader`@`%`,`writer`@`%` {TO}", {("", "`reader`@`%`"), ("", "`writer`@`%`")}),
        (
            "GRANT PROCESS ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*A''TO' REQUIRE SSL WITH MAX_USER_CONNECTIONS 50",
            {("*.*", "PROCESS")},
        ),
        (f"GRANT SELECT ON `a TO b`.`c ON ``d``` {TO}", {("`a TO b`.`c ON ``d```", "SELECT")}),
        (f"GRANT SELECT (`x, y (z)`) ON `s`.`t` {TO}", {("`s`.`t`", "SELECT (`x, y (z)`)")}),
        (f"GRANT `a,b (c`@`%` {TO}", {("", "`a,b (c`@`%`")}),
    ],
)
def test_a_line_is_taken_apart_into_single_rights(line: str, expected: set[tuple[str, str]]) -> None:
    assert {(right.object, right.privilege) for right in rights(line)} == expected
    assert not [right for right in rights(line) if right.grantable or right.withheld]


def test_the_grant_option_is_the_objects_and_for_dynamic_privileges_and_roles_their_own() -> None:
    static = rights(f"GRANT SELECT ON *.* {TO} WITH GRANT OPTION MAX_USER_CONNECTIONS 5")
    assert static == {Right(object="*.*", privilege="SELECT"), Right(object="*.*", privilege="GRANT OPTION")}
    assert rights(f"GRANT ROLE_ADMIN,XA_RECOVER_ADMIN ON *.* {TO} WITH GRANT OPTION") == {
        Right(object="*.*", privilege="ROLE_ADMIN", grantable=True),
        Right(object="*.*", privilege="XA_RECOVER_ADMIN", grantable=True),
    }
    assert rights(f"GRANT `r` {TO} WITH ADMIN OPTION") == {Right(object="", privilege="`r`", grantable=True)}


def test_what_mysql_withholds_is_an_exception_that_is_given_by_revoking_after_everything_else() -> None:
    wanted = [f"GRANT SELECT ON *.* {TO}", "REVOKE SELECT ON `private`.* FROM `app`@`%`"]
    assert changes(wanted, []) == ["GRANT SELECT ON *.* TO %s@%s", "REVOKE SELECT ON `private`.* FROM %s@%s"]
    assert changes([wanted[0]], wanted) == ["GRANT SELECT ON `private`.* TO %s@%s"]


def test_mariadbs_default_role_is_no_right() -> None:
    assert parsed(["SET DEFAULT ROLE `r` FOR `app`@`%`"]) == Rights(default_roles=frozenset({"`r`"}))


def test_equal_rights_need_no_statement_in_whatever_order_they_are_told() -> None:
    lines = [f"GRANT SELECT, INSERT ON `s`.* {TO}", f"GRANT `r` {TO}"]
    assert changes(lines, [f"GRANT `r` {TO}", f"GRANT INSERT, SELECT ON `s`.* {TO}"]) == []


def test_what_is_missing_is_given_and_what_is_besides_is_taken_first() -> None:
    assert changes([f"GRANT INSERT (`a`) ON `s`.`t` {TO}"], [f"GRANT SELECT ON `s`.`t` {TO}"]) == [
        "REVOKE SELECT ON `s`.`t` FROM %s@%s",
        "GRANT INSERT (`a`) ON `s`.`t` TO %s@%s",
    ]


def test_all_privileges_take_in_the_single_ones_and_are_cut_down_as_a_whole() -> None:
    everything, some = [f"GRANT ALL PRIVILEGES ON `s`.* {TO}"], [f"GRANT SELECT ON `s`.* {TO} WITH GRANT OPTION"]
    assert changes(everything, some) == ["REVOKE GRANT OPTION ON `s`.* FROM %s@%s", "GRANT ALL PRIVILEGES ON `s`.* TO %s@%s"]
    assert changes(some, everything) == [
        "REVOKE ALL PRIVILEGES ON `s`.* FROM %s@%s",
        "GRANT GRANT OPTION ON `s`.* TO %s@%s",
        "GRANT SELECT ON `s`.* TO %s@%s",
    ]


def test_an_option_that_changes_is_taken_with_its_right_and_the_right_given_anew() -> None:
    assert changes([f"GRANT `r` {TO}"], [f"GRANT `r` {TO} WITH ADMIN OPTION"]) == ["REVOKE `r` FROM %s@%s", "GRANT `r` TO %s@%s"]


def test_percent_signs_of_names_are_no_parameters() -> None:
    [statement] = changes([f"GRANT SELECT ON `s%d`.* {TO}"], [])
    assert statement % ("'u'", "'h'") == "GRANT SELECT ON `s%d`.* TO 'u'@'h'"
    assert verbatim("a%b") % () == "a%b"


def test_differences_are_told_by_name() -> None:
    told = differences(wanted=parsed([f"GRANT FILE ON *.* {TO}", f"GRANT `r` {TO} WITH ADMIN OPTION"]), found=parsed([f"GRANT `q` {TO}"]))
    assert told == ["it lacks `r` WITH ADMIN OPTION", "it lacks FILE ON *.*", "it has `q` besides"]


@pytest.mark.parametrize("line", ["", "CREATE USER `app`@`%`", "GRANT SELECT", "SET DEFAULT ROLE `r`"])
def test_a_line_that_is_none_of_those_that_are_known_is_not_passed_over(line: str) -> None:
    with pytest.raises(NotUnderstood):
        parsed([line])
