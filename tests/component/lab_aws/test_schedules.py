"""AWS's schedule expressions: which are accepted, and when their windows open (reference page, section 2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn_lab.aws.schedule import Schedule, ScheduleError, parse_rules

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def schedule(**rules: Any) -> Schedule:
    parsed = parse_rules(rules)
    assert parsed is not None
    return parsed


def window(expression: str, *, since: datetime = NOON, now: datetime = NOON, duration: str | None = None) -> tuple[str, str]:
    found = schedule(ScheduleExpression=expression, Duration=duration).next_window(since=since, now=now)
    return found.start.strftime("%m-%d %H:%M"), found.latest.strftime("%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    "expression",
    [
        "rate(4 hours)",
        "rate(1 day)",
        "rate(10 days)",
        "rate(999 days)",
        "cron(0 /8 * * ? *)",
        "cron(0 8/8 * * ? *)",
        "cron(0 10 * * ? *)",
        "cron(0 18 ? * SAT *)",
        "cron(0 8 1 * ? *)",
        "cron(0 1 ? 1/3 SUN#1 *)",
        "cron(0 17 L * ? *)",
        "cron(0 8 ? * MON-FRI *)",
        "cron(0 16 1,15 * ? *)",
        "cron(0 0 ? 1/11 2#1 *)",
        "cron(0 4/12 * * ? *)",
        "cron(0 3 ? * SUNL *)",
    ],
)
def test_expressions_of_the_documentation_are_accepted(expression: str) -> None:
    found = schedule(ScheduleExpression=expression).next_window(since=NOON, now=NOON)
    assert found.end > NOON
    assert found.start.minute == 0


@pytest.mark.parametrize(
    "rules",
    [
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "rate(30 minutes)"},
        {"ScheduleExpression": "rate(1000 days)"},
        {"ScheduleExpression": "rate(0 days)"},
        {"ScheduleExpression": "banana"},
        {"ScheduleExpression": "cron(30 10 * * ? *)"},
        {"ScheduleExpression": "cron(0 10 * * ? 2027)"},
        {"ScheduleExpression": "cron(0 10 15 * MON *)"},
        {"ScheduleExpression": "cron(0 10 ? * ? *)"},
        {"ScheduleExpression": "cron(0 10 * * *)"},
        {"ScheduleExpression": "cron(0 /2 * * ? *)"},
        {"ScheduleExpression": "cron(0 25 * * ? *)"},
        {"ScheduleExpression": "cron(0 10 ? * FUN *)"},
        {"ScheduleExpression": "cron(0 10 9-3 * ? *)"},
        {"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "4h"},
        {"ScheduleExpression": "cron(0 /8 * * ? *)", "Duration": "9h"},
        {"ScheduleExpression": "rate(6 hours)", "Duration": "8h"},
        {"ScheduleExpression": "rate(1 day)", "Duration": "2"},
        {"ScheduleExpression": "rate(1 day)", "Duration": "2H"},
        {"ScheduleExpression": "rate(1 day)", "Duration": "90m"},
        {"ScheduleExpression": "rate(1 day)", "Duration": "25h"},
        {"ScheduleExpression": "rate(1 day)", "AutomaticallyAfterDays": 1},
        {"AutomaticallyAfterDays": 0},
        {"AutomaticallyAfterDays": 1001},
    ],
)
def test_rules_that_aws_refuses(rules: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError):
        parse_rules(rules)


def test_automatically_after_days_may_be_a_thousand_though_a_rate_may_not() -> None:
    assert schedule(AutomaticallyAfterDays=1000).period == timedelta(days=1000)


def test_rules_without_a_schedule_mean_on_demand() -> None:
    assert parse_rules({}) is None


@pytest.mark.parametrize(
    ("expression", "duration", "expected"),
    [
        ("rate(10 days)", None, ("12-01 00:00", "12-01 23:59:59")),
        ("rate(10 days)", "3h", ("12-01 00:00", "12-01 02:59:59")),
        ("rate(4 hours)", None, ("11-21 16:00", "11-21 16:59:59")),
        ("cron(0 10 * * ? *)", None, ("11-22 10:00", "11-22 23:59:59")),
        ("cron(0 10 * * ? *)", "2h", ("11-22 10:00", "11-22 11:59:59")),
        ("cron(0 /8 * * ? *)", None, ("11-21 16:00", "11-21 16:59:59")),
        ("cron(0 2/10 * * ? *)", None, ("11-21 22:00", "11-21 22:59:59")),
        ("cron(0 18 ? * SUN *)", None, ("11-22 18:00", "11-22 23:59:59")),
        ("cron(0 17 L * ? *)", None, ("11-30 17:00", "11-30 23:59:59")),
        ("cron(0 3 ? * TUE#3 *)", None, ("12-15 03:00", "12-15 23:59:59")),
        ("cron(0 3 ? * SUNL *)", None, ("11-29 03:00", "11-29 23:59:59")),
        ("cron(0 3 ? * L *)", None, ("11-28 03:00", "11-28 23:59:59")),
        ("cron(0 1 ? 1/3 SUN#1 *)", None, ("01-03 01:00", "01-03 23:59:59")),
    ],
)
def test_the_next_window(expression: str, duration: str | None, expected: tuple[str, str]) -> None:
    assert window(expression, duration=duration) == expected


def test_a_window_that_is_open_still_counts() -> None:
    since = NOON - timedelta(days=9, hours=18)
    assert window("rate(10 days)", since=since, now=NOON) == ("11-21 00:00", "11-21 23:59:59")


def test_an_overdue_rate_comes_in_the_next_window_that_is_not_over() -> None:
    assert window("rate(10 days)", since=NOON - timedelta(days=400), now=NOON) == ("11-21 00:00", "11-21 23:59:59")


def test_a_cron_window_in_which_the_rotation_happened_is_not_used_twice() -> None:
    opened = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert window("cron(0 10 * * ? *)", since=opened, now=opened + timedelta(minutes=5)) == ("11-22 10:00", "11-22 23:59:59")


@pytest.mark.parametrize(("expression", "days"), [("rate(30 days)", 30), ("rate(4 hours)", 1), ("cron(0 18 ? * SAT *)", 7)])
def test_the_days_that_describe_secret_computes_from_the_schedule(expression: str, days: int) -> None:
    assert schedule(ScheduleExpression=expression).days_between(now=NOON) == days
