"""Slots of a cron schedule in a time zone that changes its clocks.

cronsim knows the arithmetic of cron. Left to itself it treats `0 2 * * *` and `0 * * * *` differently when the clocks change (it imitates
Debian's cron: an hour that comes twice runs twice, one that is left out is not made up for). Here every schedule follows one rule: a local
time that does not exist runs at the next that does, and one that exists twice runs once, the first time. So cronsim counts naive local
times only, and the zone is applied to what comes out.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

UTC_NAME: Final = "Etc/UTC"
_MINUTE: Final = timedelta(minutes=1)
_MACHINES_OWN: Final = frozenset({"localtime", "posixrules", "Factory"})  # files that are there, and no IANA names


class CronError(ValueError):
    """An expression or a zone that cannot be read. The message says why, without a trailing stop."""


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    :raises CronError: if there is none.
    """
    try:
        if name in _MACHINES_OWN:
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as Europe
        raise CronError(f'"{name}" is not the name of an IANA time zone, such as Europe/Berlin') from None


def check(expression: str) -> None:
    """Refuse an expression that is not five fields of cron, or that never comes true.

    :raises CronError: saying what is wrong.
    """
    if len(expression.split()) != 5:  # cronsim would take a sixth, for seconds
        raise CronError(f'"{expression}" has not five fields (minute, hour, day of month, month, day of week)')
    try:
        next(CronSim(expression, datetime(2000, 1, 1)))
    except CronSimError as error:
        raise CronError(f'"{expression}" cannot be read: {str(error)[:1].lower()}{str(error)[1:]}') from None
    except StopIteration:
        raise CronError(f'"{expression}" never comes true') from None


def slots_after(expression: str, zone_name: str, moment: datetime) -> Iterator[datetime]:
    """The slots strictly after `moment`, in UTC, each instant once, in order."""
    where = zone(zone_name)
    last = moment
    for local in CronSim(expression, moment.astimezone(where).replace(tzinfo=None, fold=0)):
        slot = _instant(local, where)
        if slot > last:
            yield slot
            last = slot


@lru_cache(maxsize=20_000)
def next_slot(expression: str, zone_name: str, moment: datetime) -> datetime | None:
    """The first slot strictly after `moment`; None if there is none in the next 50 years."""
    return next(slots_after(expression, zone_name, moment), None)


def last_slot(expression: str, zone_name: str, *, after: datetime, until: datetime) -> datetime | None:
    """The last slot in (after, until]; None if there is none.

    Looked for backwards in growing stretches, so that years of missed slots cost no more than the last of them.
    """
    reach = timedelta(minutes=10)
    while until > after:
        start = max(after, until - reach)
        found = _last_of(slots_after(expression, zone_name, start), until)
        if found is not None or start == after:
            return found
        reach *= 12
    return None


def _last_of(slots: Iterator[datetime], until: datetime) -> datetime | None:
    found = None
    for slot in slots:
        if slot > until:
            break
        found = slot
    return found


def _instant(local: datetime, where: ZoneInfo) -> datetime:
    """The instant of a local time: of two the first, and of none the end of the gap."""
    while True:
        instant = local.replace(tzinfo=where, fold=0).astimezone(UTC)
        if instant.astimezone(where).replace(tzinfo=None, fold=0) == local:
            return instant
        local += _MINUTE
