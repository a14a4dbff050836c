"""When is the next rotation?

The clock is the last rotation that succeeded, whoever started it; for a secret that was never rotated, its creation. A *slot* is a time of
the schedule, the *start* is the slot plus a spread that depends on the object's uid alone, so that many objects with one schedule do not
start together. Everything is decided on slots: the spread moves a start, never the choice of the slot.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from keyturn.api import RotatingSecret, Schedule, duration
from keyturn.domain import cron

LEAST_DISTANCE: Final = timedelta(hours=4)  # AWS's own limit between two rotations by schedule
LONGEST_RETRY: Final = timedelta(hours=24)
_LONGEST_ROTATION: Final = timedelta(hours=1)  # a success this soon after a slot's start is that slot's own
_CLOCK_SKEW: Final = timedelta(minutes=1)  # between AWS's clock, which tells the success, and ours, which told the start


class Cause(StrEnum):
    """Why this slot is the next."""

    SCHEDULE = "Schedule"
    OVERDUE_AT_START = "OverdueAtStart"  # it was due before the object or its schedule was there
    RETRY = "Retry"  # the last attempt failed
    MISSED = "Missed"  # slots went by while nobody looked; this is the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The next rotation by schedule. `slot` names it, `start` is when it begins."""

    slot: datetime
    start: datetime
    cause: Cause = Cause.SCHEDULE

    def has_come(self, now: datetime) -> bool:
        return now >= self.start

    def overdue(self, now: datetime, *, tolerance: timedelta) -> bool:
        """It should have begun long enough ago that somebody ought to hear of it."""
        return now >= self.start + tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has happened so far. All times are aware."""

    secret_created: datetime  # in AWS
    object_created: datetime  # the RotatingSecret
    last_success: datetime | None = None  # LastRotatedDate, or a promotion that was observed
    schedule_edited: datetime | None = None
    last_schedule_time: datetime | None = None  # the last slot for which a run was made, however it ended
    last_attempt_time: datetime | None = None  # when the last run of any trigger began
    last_attempt_failed: bool = False

    def in_utc(self) -> "History":
        """The same in UTC: adding days to a time in a zone that changes its clocks would not add 24 hours each."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: value.astimezone(UTC) for name, value in values.items() if isinstance(value, datetime)}
        return replace(self, **changed)

    @property
    def last_rotation(self) -> datetime:
        return self.last_success or self.secret_created

    @property
    def since(self) -> datetime:
        """Slots before this are none: the object, or the schedule in its present form, was not there."""
        return max(self.object_created, self.schedule_edited or self.object_created)

    @property
    def failed_at(self) -> datetime | None:
        """When the last attempt began, if it failed and nothing has succeeded since."""
        at = self.last_attempt_time
        return at if at is not None and self.last_attempt_failed and at > self.last_rotation else None


def next_rotation(schedule: Schedule | None, history: History, *, uid: str, now: datetime) -> Due | None:
    """The slot that is next, which may be past; None without a schedule, or with one that never comes true again.

    The schedule must have passed `validate_schedule`.
    """
    if schedule is None:
        return None
    shift, history = spread(uid, window=duration(schedule.window)), history.in_utc()
    if schedule.every is not None:
        return _by_interval(duration(schedule.every), history, shift)
    if schedule.cron is not None:
        return _by_cron(schedule.cron, schedule.time_zone or cron.UTC_NAME, history, shift, now)
    return None


def validate_schedule(schedule: Schedule) -> str | None:
    """What is wrong with a schedule that the API server let through, as a sentence that names the field."""
    if schedule.cron is not None:
        try:
            cron.check(schedule.cron)
        except cron.CronError as error:
            return f"spec.rotation.schedule.cron: {error}."
    if schedule.time_zone is not None:
        try:
            cron.zone(schedule.time_zone)
        except cron.CronError as error:
            return f"spec.rotation.schedule.timeZone: {error}."
    return None


def spread(uid: str, *, window: timedelta) -> timedelta:
    """Where in the window an object starts: always the same for one uid, evenly distributed over many; whole seconds."""
    fraction = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big") / 2**64
    return timedelta(seconds=int(window.total_seconds() * fraction))


def _by_interval(every: timedelta, history: History, shift: timedelta) -> Due:
    slot, cause = history.last_rotation + every, Cause.SCHEDULE
    if slot < history.since:
        slot, cause = history.since, Cause.OVERDUE_AT_START
    tried = _last_try(history)
    if tried is not None:
        again = tried + min(every / 10, LONGEST_RETRY)
        if again > slot:
            slot, cause = again, Cause.RETRY
    slot = slot.replace(microsecond=0)  # as it will be read again from lastScheduleTime
    return Due(slot=slot, start=slot + shift, cause=cause)


def _last_try(history: History) -> datetime | None:
    """The last attempt that brought no success: one that failed, or a slot that had its run and left the clock where it was."""
    spent = history.last_schedule_time
    unanswered = spent if spent is not None and spent > history.last_rotation else None
    tries = [moment for moment in (history.failed_at, unanswered) if moment is not None]
    return max(tries, default=None)


def _by_cron(expression: str, zone_name: str, history: History, shift: timedelta, now: datetime) -> Due | None:
    """The last slot whose start has come, if any is unserved; else the next one."""
    floor = _floor(history, shift)
    first = cron.next_slot(expression, zone_name, floor)
    if first is None:
        return None
    if first + shift > now:
        return Due(slot=first, start=first + shift)
    last = cron.last_slot(expression, zone_name, after=first, until=now.astimezone(UTC) - shift)
    if last is None:
        return Due(slot=first, start=first + shift)
    return Due(slot=last, start=last + shift, cause=Cause.MISSED)


def _floor(history: History, shift: timedelta) -> datetime:
    """Slots up to and including this moment are served, skipped, or of another schedule."""
    just_before_allowed = _rotated_in_slot(history, shift) + LEAST_DISTANCE - timedelta(microseconds=1)
    moments = (history.since, just_before_allowed, history.last_schedule_time)
    return max(moment for moment in moments if moment is not None)


def _rotated_in_slot(history: History, shift: timedelta) -> datetime:
    """The slot to which the last rotation belongs if it was by schedule; else its time.

    Measured from its start or its end, a rotation would be too near to the slot four hours on, and every second slot would be skipped.
    """
    slot, rotated = history.last_schedule_time, history.last_rotation
    if slot is not None and slot + shift - _CLOCK_SKEW <= rotated < slot + shift + _LONGEST_ROTATION:
        return slot
    return rotated


def schedule_text(secret: RotatingSecret) -> str | None:
    """The schedule as one line, by which an edit of it is noticed."""
    schedule = secret.spec.rotation.schedule if secret.spec.rotation else None
    if schedule is None:
        return None
    return f"every {schedule.every}" if schedule.every else f"cron {schedule.cron} {schedule.time_zone or 'Etc/UTC'}"


def schedule_since(secret: RotatingSecret, now: datetime) -> datetime | None:
    """Since when the schedule is in force: an edit counts from now."""
    times, text = secret.status.rotation, schedule_text(secret)
    if times is None or times.schedule is None:
        return None if times is None else now
    return times.schedule_since if times.schedule == text else now
