"""When and how rotations are started."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from .meta import CEL, EVERY_PATTERN, Duration, Model, Reason


class Strategy(StrEnum):
    """What the rotator does to the old credential."""

    UNKNOWN = "Unknown"
    SINGLE_USER = "SingleUser"
    ALTERNATING_USERS = "AlternatingUsers"
    OVERLAP = "Overlap"


class Schedule(Model):
    """When rotations start. Exactly one of `every` and `cron`."""

    rules: ClassVar = (
        CEL("has(self.every) != has(self.cron)", "must have exactly one of every and cron"),
        CEL("!has(self.timeZone) || has(self.cron)", "must not be set without cron", Reason.FORBIDDEN, ".timeZone"),
    )

    every: (
        Annotated[
            str,
            Field(min_length=2, max_length=6, pattern=EVERY_PATTERN),
            CEL(
                f"!self.matches('{EVERY_PATTERN}') || (self.endsWith('h')"
                " ? int(self.replace('h', '')) >= 4 && int(self.replace('h', '')) <= 24000 : int(self.replace('d', '')) <= 1000)",
                "must be between 4h (AWS's own limit) and 1000d",
            ),
        ]
        | None
    ) = None
    """Rotate this long after the last rotation that succeeded, whoever started it: a whole number and h (hours) or d (days), from
    4h to 1000d, for example 30d."""

    cron: Annotated[str, Field(min_length=9, max_length=100)] | None = None
    """Rotate at these times: five fields (minute, hour, day of month, month, day of week), for example "0 3 * * SUN". Times less
    than 4 hours after a rotation are skipped."""

    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$")] | None = None
    """The IANA name of the time zone in which cron is read, for example Europe/Berlin. Absent means Etc/UTC."""

    window: Annotated[str, Duration("0s", "24h")] = "1h"
    """The start is spread over this long after the scheduled time, differently for each object, so that many do not start
    together. 0s starts at once."""


class Rotation(Model):
    """How this secret is rotated by Keyturn."""

    schedule: Schedule | None = None
    """When rotations start. Absent: only on demand (a RotationRun, or `keyturn rotate`)."""

    strategy: Strategy = Strategy.UNKNOWN
    """What the rotator does, so that Keyturn knows how long the old credential works: SingleUser (the password is changed, the
    old one is dead at once), AlternatingUsers (two users in turn, the old one works until the next rotation), Overlap (one user
    with two valid credentials), or Unknown."""

    timeout: Annotated[str, Duration("1s", "24h")] = "15m"
    """How long a rotation may take from its start until AWS promotes the new version; after that the run fails. For example 15m."""
