"""AWS's own rotation schedules: which expressions it accepts, and when their windows open. Pure.

`rate(N hours|days)`, `cron(0 HOURS DOM MONTH DOW *)` and AutomaticallyAfterDays, in UTC.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from .cron import Cron, CronError, parse_cron

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
RATE = re.compile(r"rate\(([1-9][0-9]*) (hours?|days?)\)")
CRON = re.compile(r"cron\((.*)\)")
DURATION = re.compile(r"([0-9]+)h")


class ScheduleError(ValueError):
    """Rotation rules that AWS refuses."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which AWS rotates once, at a moment of its choosing."""

    start: datetime
    end: datetime

    @property
    def latest(self) -> datetime:
        """What DescribeSecret shows as NextRotationDate: the last second of the window."""
        return self.end - SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One secret's rotation rules, checked. Exactly one of `period` and `cron` is set."""

    period: timedelta | None = None
    cron: Cron | None = None
    duration: timedelta | None = None

    def next_window(self, *, since: datetime, now: datetime) -> Window:
        """The first window that belongs to the rotation after `since` and is not over at `now`."""
        if self.cron is not None:
            return self._cron_window(self.cron, since, now)
        if self.period is None:
            raise ScheduleError("a schedule has a period or a cron expression")
        return self._rate_window(self.period, since, now)

    def days_between(self, *, now: datetime) -> int:
        """AutomaticallyAfterDays as AWS computes it for its answers: whole days from one window to the next, at least 1."""
        first = self.next_window(since=now, now=now)
        second = self.next_window(since=first.start, now=first.end)
        return max(1, (second.start - first.start) // DAY)

    def _rate_window(self, period: timedelta, since: datetime, now: datetime) -> Window:
        if period % DAY:
            length, step, start = self.duration or HOUR, HOUR, _hour(since) + period
        else:
            length, step, start = self.duration or DAY, DAY, _midnight(since.date()) + period
        while start + length <= now:
            start += max(step, (now - start - length) // step * step)
        return Window(start, start + length)

    def _cron_window(self, cron: Cron, since: datetime, now: datetime) -> Window:
        day = now.astimezone(UTC).date()
        for _ in range(366 * 9):
            for hour in cron.hours if cron.matches(day) else ():
                start = _midnight(day) + hour * HOUR
                end = start + (self.duration or _default_cron_length(cron, hour))
                if end > now and start > since:
                    return Window(start, end)
            day += DAY
        raise ScheduleError("The schedule expression never matches.")


def parse_rules(rules: Mapping[str, Any]) -> Schedule | None:
    """The schedule of a RotationRules structure; None if it names none (rotation only on demand)."""
    days, expression = rules.get("AutomaticallyAfterDays"), rules.get("ScheduleExpression")
    duration = _duration(rules.get("Duration"))
    if days is not None and expression is not None:
        raise ScheduleError("You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.")
    if days is not None:
        if not 1 <= int(days) <= 1000:
            raise ScheduleError("RotationRules.AutomaticallyAfterDays must be within 1-1000.")
        return Schedule(period=int(days) * DAY, duration=duration)
    if expression is None:
        return None
    return _expression(str(expression), duration)


def _expression(expression: str, duration: timedelta | None) -> Schedule:
    if rate := RATE.fullmatch(expression):
        period = int(rate[1]) * (HOUR if rate[2].startswith("hour") else DAY)
        if not 4 * HOUR <= period <= 999 * DAY:
            raise ScheduleError("The rate must be between 4 hours and 999 days.")
        if duration and duration > period:
            raise ScheduleError("The rotation window must not reach into the next window.")
        return Schedule(period=period, duration=duration)
    if cron := CRON.fullmatch(expression):
        try:
            parsed = parse_cron(cron[1])
        except CronError as error:
            raise ScheduleError(f"Invalid ScheduleExpression: {error}") from error
        _fits_the_day(parsed, duration)
        return Schedule(cron=parsed, duration=duration)
    raise ScheduleError("Invalid ScheduleExpression: expected rate(N hours|days) or cron(0 hours day-of-month month day-of-week *).")


def _fits_the_day(cron: Cron, duration: timedelta | None) -> None:
    if duration and cron.hours[-1] * HOUR + duration > DAY:
        raise ScheduleError("The rotation window must not reach into the next UTC day.")
    gaps = [later - earlier for earlier, later in pairwise(cron.hours)]
    if duration and any(duration > gap * HOUR for gap in gaps):
        raise ScheduleError("The rotation window must not reach into the next window.")


def _duration(text: object) -> timedelta | None:
    if text is None:
        return None
    match = DURATION.fullmatch(str(text))
    if match is None or not 1 <= int(match[1]) <= 24:
        raise ScheduleError("Duration must be a number of hours from 1h to 24h.")
    return int(match[1]) * HOUR


def _default_cron_length(cron: Cron, hour: int) -> timedelta:
    return HOUR if len(cron.hours) > 1 else (24 - hour) * HOUR


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
