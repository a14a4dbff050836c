"""The six-field cron expressions of Secrets Manager: minute 0, year *, hours at least four apart. Pure.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

MONTHS = {
    name: number for number, name in enumerate(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1)
}
WEEKDAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
MINIMUM_GAP = 4

DayTest = Callable[[date], bool]


class CronError(ValueError):
    """A cron expression that Secrets Manager does not accept."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The hours of a day, and which days."""

    hours: tuple[int, ...]
    months: frozenset[int]
    days: tuple[DayTest, ...]

    def matches(self, day: date) -> bool:
        """One of the day tests holds, in one of the months."""
        return day.month in self.months and any(test(day) for test in self.days)


def parse_cron(text: str) -> Cron:
    """The inside of `cron(...)`."""
    fields = text.split()
    if len(fields) != 6:
        raise CronError("six fields are expected")
    minute, hours, day_of_month, month, day_of_week, year = fields
    if minute != "0":
        raise CronError("the minute must be 0")
    if year != "*":
        raise CronError("the year must be *")
    if (day_of_month == "?") == (day_of_week == "?"):
        raise CronError("exactly one of day-of-month and day-of-week must be ?")
    days = _days_of_week(day_of_week) if day_of_month == "?" else _days_of_month(day_of_month)
    return Cron(_hours(hours), frozenset(_numbers(month, 1, 12, MONTHS)), days)


def _hours(text: str) -> tuple[int, ...]:
    if any(sign in text for sign in ",-*"):
        raise CronError("hours are a number or start/step")
    hours = tuple(sorted(_numbers(text, 0, 23, {})))
    if any(later - earlier < MINIMUM_GAP for earlier, later in pairwise(hours)):
        raise CronError("rotations must be at least four hours apart")
    return hours


def _days_of_month(text: str) -> tuple[DayTest, ...]:
    return tuple(_day_of_month(part) for part in text.split(","))


def _day_of_month(part: str) -> DayTest:
    if part == "L":
        return lambda day: day.day == calendar.monthrange(day.year, day.month)[1]
    days = _numbers(part, 1, 31, {})
    return lambda day: day.day in days


def _days_of_week(text: str) -> tuple[DayTest, ...]:
    return tuple(_day_of_week(part) for part in text.split(","))


def _day_of_week(part: str) -> DayTest:
    if part == "L":
        return lambda day: _weekday(day) == WEEKDAYS["SAT"]
    if "#" in part:
        name, _, nth = part.partition("#")
        weekday, week = _number(name, 1, 7, WEEKDAYS), _number(nth, 1, 5, {})
        return lambda day: _weekday(day) == weekday and (day.day - 1) // 7 + 1 == week
    if part.endswith("L"):
        last = _number(part[:-1], 1, 7, WEEKDAYS)
        return lambda day: _weekday(day) == last and day.day + 7 > calendar.monthrange(day.year, day.month)[1]
    weekdays = _numbers(part, 1, 7, WEEKDAYS)
    return lambda day: _weekday(day) in weekdays


def _weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1


def _numbers(text: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        base, slash, step = part.partition("/")
        start, end = _range(base or "*", low, high, names)
        if slash:
            end = high if "-" not in base else end
            numbers |= set(range(start, end + 1, _number(step, 1, high, {})))
        else:
            numbers |= set(range(start, end + 1))
    return numbers


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if text == "*":
        return low, high
    first, dash, last = text.partition("-")
    start = _number(first, low, high, names)
    end = _number(last, low, high, names) if dash else start
    if end < start:
        raise CronError(f"{text} runs backwards")
    return start, end


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.upper(), int(text) if text.isascii() and text.isdigit() else -1)
    if not low <= number <= high:
        raise CronError(f"{text or 'an empty field'} is not within {low}-{high}")
    return number
