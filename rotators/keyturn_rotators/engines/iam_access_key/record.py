"""What a rotator notes at a user before it makes a key there, so that it knows its own when the answer is lost.

Access keys carry no label, and CreateAccessKey cannot be repeated. So the user gets a tag: since when a key is being made for this secret,
and which keys were the secret's before. A key that was made within seconds of that moment, while the user had room for one, is the one.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EARLIER, LATER = timedelta(seconds=5), timedelta(seconds=30)  # IAM's clocks among themselves; the call's own limit, and some
MOST_IDS = 9  # what a tag's 256 characters hold


def tag_name(secret: str) -> str:
    return f"keyturn:{hashlib.sha256(secret.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The tag's value."""

    since: datetime
    ids: tuple[str, ...]

    @classmethod
    def parse(cls, value: str) -> "Record | None":
        """None where it is not ours to read."""
        since, *ids = value.split(" ")
        try:
            return cls(since=datetime.fromisoformat(since).astimezone(UTC), ids=tuple(ids))
        except ValueError:
            return None

    def __str__(self) -> str:
        return " ".join((self.since.isoformat(timespec="seconds"), *self.ids[:MOST_IDS]))

    def knows(self, key_id: str) -> bool:
        """Whether it was the secret's once."""
        return key_id in self.ids

    def made(self, created: datetime) -> bool:
        """Whether a key of that moment is the one that was being made."""
        return self.since - EARLIER <= created <= self.since + LATER
