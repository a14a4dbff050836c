"""What is remembered of one secret, and which of two answers about it is believed. Pure: the clock is an argument.

ListSecrets may lag by five minutes, and each of its pages on its own; DescribeSecret is fresher. So a sweep may know more than the last
DescribeSecret (somebody promoted a version since) or less (it does not know yet what DescribeSecret has told us), and must not undo it.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html

The rule, for what a sweep says against what we hold:
1. the same as we hold: nothing happens;
2. asked before the DescribeSecret that we hold: void;
3. a secret that is there after all, or whose deletion was scheduled or undone: believed;
4. within LAG of that DescribeSecret: believed if it is newer by LastChangedDate, not if it is older; where the dates do not tell, only
   if it is news, that is, differs from what the sweep before it said;
5. past LAG: believed, but the same answer only once, so that a sweep that keeps contradicting DescribeSecret is no endless alarm.
What is believed is a suspicion: `fresh` is False, and whoever needs to be sure asks DescribeSecret. None means "not there, or no value".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from keyturn.domain.observed import SourceView

LAG: Final = 300.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One secret. Times are monotonic seconds, of the moment when the question was asked."""

    view: SourceView | None = None  # what is believed; None: not there, no value, or never asked
    described_at: float | None = None  # when DescribeSecret told `view` (or that there is none); None: only sweeps did
    swept: SourceView | None = None  # what the last sweep said
    was_swept: bool = False
    acted: bool = False  # what the last sweep said has been believed once

    @property
    def blank(self) -> bool:
        """Nobody has told anything of it yet."""
        return self.view is None and self.described_at is None and not self.was_swept


BLANK: Final = Memory()


def hear_sweep(memory: Memory, heard: SourceView | None, *, at: float) -> tuple[Memory, bool]:
    """Weigh a sweep's answer; the second half says whether somebody should look."""
    agrees, repeats = _same(heard, memory.view), memory.was_swept and _same(heard, memory.swept)
    if repeats and (agrees or memory.acted):
        return memory, False
    noted = replace(memory, swept=memory.view if agrees else memory.swept if repeats else heard, was_swept=True, acted=False)
    if memory.blank:
        return replace(noted, view=heard, swept=heard), False
    if agrees:
        return noted, False
    if not _believable(memory, heard, at=at):
        return noted, False
    return replace(noted, view=heard, described_at=None, acted=True), True


def hear_description(memory: Memory, told: SourceView | None, *, at: float) -> tuple[Memory, bool]:
    """Take DescribeSecret's answer; the second half says whether those who did not ask for it should look."""
    if memory.described_at is not None and at < memory.described_at:
        return memory, False
    changed = not memory.blank and not _same(told, memory.view)
    return replace(memory, view=told, described_at=at), changed


def _believable(memory: Memory, heard: SourceView | None, *, at: float) -> bool:
    if memory.described_at is None:
        return True
    if at < memory.described_at:
        return False
    if memory.view is None or (heard is not None and heard.deleted is not memory.view.deleted):
        return True  # somebody waits for a secret that comes or goes, and no date tells of it
    if at - memory.described_at >= LAG:
        return True
    theirs, ours = _changed(heard), _changed(memory.view)
    if theirs is not None and ours is not None and theirs != ours:
        return theirs > ours
    return memory.was_swept and not _same(heard, memory.swept)


def _changed(view: SourceView | None) -> datetime | None:
    """LastChangedDate moves with every change of labels, rotation or metadata, and only forward."""
    return view.last_changed if view else None


def _same(one: SourceView | None, other: SourceView | None) -> bool:
    """Equal but for who told it."""
    if one is None or other is None:
        return one is other
    return one is other or replace(one, fresh=other.fresh) == other
