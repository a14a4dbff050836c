"""The page about reasons has all of them, and no others."""

from __future__ import annotations

import re

import pytest
from tests.support.docs import CODE, ROOT
from tests.support.reasons import reasons

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
TABLE = re.compile(r"^\| reason \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def documented() -> list[str]:
    """The reasons in the first column of the page's tables."""
    rows = [row for table in TABLE.findall(PAGE) for row in table.splitlines()]
    return [reason for row in rows for reason in CODE.findall(row.split("|")[1])]


def test_every_reason_of_the_code_has_a_row() -> None:
    assert {reason: file for reason, file in reasons().items() if reason not in documented()} == {}


def test_every_reason_of_the_page_is_one_of_the_code() -> None:
    assert [reason for reason in documented() if reason not in reasons()] == []


def test_no_reason_has_two_rows() -> None:
    assert sorted(documented()) == sorted(set(documented()))


def test_the_list_that_is_read_off_the_code_has_reasons_of_every_way_in_which_they_are_given() -> None:
    ways = {
        "NotAllowed": "a keyword",
        "OldPods": "one side of a condition",
        "Overdue": "a verdict",
        "OtherRunActive": "a run that waits",
        "Superseded": "a run that is over",
        "RolloutRunning": "a step and its state",
        "MirrorRunning": "a step that has begun",
        "Throttled": "a constant",
        "RestartReverted": "an announcement",
        "RolloutHeld": "a table of announcements",
        "Forbidden": "a table of refusals",
        "PolicyDenied": "an answer of two",
        "NotSeen": "a field of data",
    }
    assert [reason for reason in ways if reason not in reasons()] == []


@pytest.mark.parametrize("internal", ["FirstMirror", "RunActive", "RotationDue", "Drifted"])
def test_findings_of_the_ordinary_course_are_no_reasons_that_anybody_reads(internal: str) -> None:
    assert internal not in reasons()
