"""What a catalog remembers of all its secrets, and who is to be told when it changes. No I/O.

Ids are kept as the user wrote them, name or full ARN. Secrets that nobody follows are kept from the last sweep for a while, so that an
object that is created next finds its secret known; of each no more than a `SourceView`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from keyturn.adapters.aws.memory import BLANK, LAG, Memory, hear_description, hear_sweep
from keyturn.domain.observed import SourceView

BYSTANDERS: Final = 10_000  # secrets kept that nobody follows


@dataclass(frozen=True, slots=True)
class Heard:
    """One secret in a page of a sweep; without a view where no version of it is current."""

    name: str
    arn: str
    view: SourceView | None


class Known:
    """The memories of a catalog. `on_change` hears each followed id that somebody should look at."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._follows: dict[str, int] = {}
        self._memories: dict[str, Memory] = {}
        self._bystanders: dict[str, SourceView] = {}
        self._bystanders_at = 0.0
        self._sweeping: dict[str, SourceView] = {}  # the bystanders of the sweep that is going on
        self._expected: set[str] = set()  # ids that were followed when it began
        self._met: set[str] = set()  # ids that it has met

    @property
    def followed(self) -> list[str]:
        """The ids that are worth a look at every interval."""
        return list(self._follows)

    def follow(self, secret_id: str, *, now: float) -> None:
        """Once more; as many unfollows undo it."""
        self._follows[secret_id] = self._follows.get(secret_id, 0) + 1
        memory = self._memory(secret_id, now=now)
        if not memory.blank:
            self._memories[secret_id] = memory  # the next sweep is compared with what a bystander was known for

    def unfollow(self, secret_id: str) -> None:
        """Once less; the last one forgets the secret."""
        left = self._follows.pop(secret_id, 0) - 1
        if left > 0:
            self._follows[secret_id] = left
        else:
            self._memories.pop(secret_id, None)

    def view(self, secret_id: str, *, now: float) -> SourceView | None:
        """What is believed of a secret."""
        memory = self._memory(secret_id, now=now)
        return memory.view

    def blank(self, secret_id: str, *, now: float) -> bool:
        """Nothing has been heard of it, not even that it is not there."""
        return self._memory(secret_id, now=now).blank

    def describe(self, secret_id: str, told: SourceView | None, at: float) -> None:
        """DescribeSecret has answered, or said that the secret is not there."""
        memory, changed = hear_description(self._memory(secret_id, now=at), told, at=at)
        self._remember(secret_id, memory, changed=changed)

    def begin_sweep(self) -> None:
        """The first page is about to come."""
        self._sweeping, self._expected, self._met = {}, set(self._follows), set()

    def page(self, entries: Iterable[Heard], at: float) -> None:
        """One page of a sweep."""
        for heard in entries:
            ids = [secret_id for secret_id in (heard.name, heard.arn) if secret_id in self._follows or secret_id in self._memories]
            for secret_id in ids:
                self._met.add(secret_id)
                self._hear(secret_id, heard.view, at)
            if not ids and heard.view is not None and len(self._sweeping) < BYSTANDERS:
                self._sweeping[heard.name] = heard.view

    def end_sweep(self, at: float, *, complete: bool) -> None:
        """No more pages; after a complete sweep, what it has not met is not there."""
        self._bystanders = self._sweeping if complete else self._bystanders | self._sweeping
        self._bystanders_at = at
        self._sweeping = {}
        self._forget_the_unfollowed(at)
        if complete:
            for secret_id in self._expected & self._follows.keys() - self._met:
                self._hear(secret_id, None, at)
        self._expected, self._met = set(), set()

    def _hear(self, secret_id: str, heard: SourceView | None, at: float) -> None:
        memory, changed = hear_sweep(self._memories.get(secret_id, BLANK), heard, at=at)
        self._remember(secret_id, memory, changed=changed)

    def _remember(self, secret_id: str, memory: Memory, *, changed: bool) -> None:
        self._memories[secret_id] = memory
        if changed and secret_id in self._follows:
            self._on_change(secret_id)

    def _memory(self, secret_id: str, *, now: float) -> Memory:
        memory = self._memories.get(secret_id)
        if memory is not None:
            return memory
        heard = self._sweeping.get(_name(secret_id))
        if heard is None and now - self._bystanders_at < LAG:
            heard = self._bystanders.get(_name(secret_id))
        if heard is None or secret_id not in (heard.name, heard.arn):
            return BLANK
        return Memory(view=heard, swept=heard, was_swept=True)

    def _forget_the_unfollowed(self, now: float) -> None:
        stale = [
            secret_id
            for secret_id, memory in self._memories.items()
            if secret_id not in self._follows and (memory.described_at is None or now - memory.described_at >= LAG)
        ]
        for secret_id in stale:
            del self._memories[secret_id]


def _name(secret_id: str) -> str:
    """The name in a full ARN, which ends in a hyphen and six characters of AWS's own; a name as it is."""
    return secret_id.split(":secret:", 1)[1][:-7] if secret_id.startswith("arn:") and ":secret:" in secret_id else secret_id
