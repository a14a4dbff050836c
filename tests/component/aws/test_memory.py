"""Which of two answers about a secret is believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.adapters.aws.memory import BLANK, LAG, Memory, hear_description, hear_sweep
from keyturn.domain.observed import SourceView
from keyturn.domain.versions import Labels, VersionId

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def view(version: int, *, fresh: bool = False, dated: bool = True) -> SourceView:
    """The secret when this version was current; each changed a minute after the one before."""
    changed = NOON + timedelta(minutes=version) if dated else None
    return SourceView(
        name="s", arn="arn:s", labels=Labels(current=VersionId(f"v{version}")), created=NOON, last_changed=changed, fresh=fresh
    )


def described(version: int | None, *, at: float, swept: int | None = None) -> Memory:
    """A secret of which DescribeSecret told one version, after a sweep had told another."""
    memory = BLANK if swept is None else hear_sweep(BLANK, view(swept), at=at - 60)[0]
    return hear_description(memory, None if version is None else view(version, fresh=True), at=at)[0]


def current(memory: Memory) -> str | None:
    return memory.view.labels.current if memory.view else None


@pytest.mark.parametrize(
    ("case", "before", "heard", "at", "believed", "look"),
    [
        ("the first sweep is taken as it is", BLANK, view(1), 0.0, "v1", False),
        ("a sweep that says what is known says nothing", described(1, at=0.0), view(1), 10.0, "v1", False),
        ("a promotion that only sweeps have told of", hear_sweep(BLANK, view(1), at=0.0)[0], view(2), 60.0, "v2", True),
        ("news after a description", described(1, at=0.0, swept=1), view(2), 60.0, "v2", True),
        ("a sweep that still says what it said before", described(2, at=0.0, swept=1), view(1), 60.0, "v2", False),
        ("a sweep that has moved on, but not as far", described(3, at=0.0, swept=1), view(2), 60.0, "v3", False),
        ("a first sweep soon after the description", described(2, at=0.0), view(1, dated=False), 60.0, "v2", False),
        ("a first sweep that knows more than the description", described(1, at=0.0), view(2), 60.0, "v2", True),
        ("news without a date", described(1, at=0.0, swept=1), view(2, dated=False), 60.0, "v2", True),
        ("a page that was asked for before", described(2, at=100.0, swept=1), view(3), 99.0, "v2", False),
        ("a sweep that insists past the lag", described(2, at=0.0, swept=1), view(1), LAG, "v1", True),
        ("a new secret that is not listed yet", described(1, at=0.0), None, 60.0, "v1", False),
        ("a secret that has gone from the list", described(1, at=0.0, swept=1), None, 60.0, None, True),
        ("a secret that is there again", described(None, at=0.0, swept=None), view(1), LAG, "v1", True),
        ("a secret that was not there a moment ago", described(None, at=0.0), view(1), 10.0, "v1", True),
        ("a deletion, which moves no date", described(1, at=0.0), replace(view(1), deleted=True), 10.0, "v1", True),
    ],
)
def test_what_a_sweep_says_is_weighed(
    case: str, before: Memory, heard: SourceView | None, at: float, believed: str | None, look: bool
) -> None:
    after, changed = hear_sweep(before, heard, at=at)
    assert (current(after), changed) == (believed, look), case


def test_a_suspicion_is_not_fresh_and_a_description_is() -> None:
    memory = described(1, at=0.0, swept=1)
    assert memory.view is not None
    assert memory.view.fresh
    after, _ = hear_sweep(memory, view(2), at=60.0)
    assert after.view is not None
    assert not after.view.fresh


def test_a_sweep_that_keeps_contradicting_is_heard_once() -> None:
    memory, looks, at = described(2, at=0.0, swept=1), 0, 0.0
    for _ in range(30):
        at += 60.0
        memory, look = hear_sweep(memory, view(1), at=at)
        if look:
            looks += 1
            memory, _ = hear_description(memory, view(2, fresh=True), at=at)
    assert looks == 1
    assert current(memory) == "v2"


def test_after_a_false_alarm_true_news_are_believed_again() -> None:
    memory, _ = hear_sweep(described(2, at=0.0, swept=1), view(1), at=LAG)
    memory, _ = hear_description(memory, view(2, fresh=True), at=LAG + 1)
    memory, look = hear_sweep(memory, view(3), at=LAG + 60)
    assert (current(memory), look) == ("v3", True)


def test_a_description_that_says_something_new_is_worth_a_look_of_the_others() -> None:
    memory, look = hear_description(described(1, at=0.0), view(2, fresh=True), at=5.0)
    assert (current(memory), look) == ("v2", True)


def test_a_description_that_was_asked_for_earlier_does_not_undo_a_later_one() -> None:
    memory, look = hear_description(described(2, at=10.0), view(1, fresh=True), at=9.0)
    assert (current(memory), look) == ("v2", False)


def test_the_first_description_is_no_change() -> None:
    assert hear_description(BLANK, view(1, fresh=True), at=0.0)[1] is False


def test_an_equal_answer_is_kept_as_one_object() -> None:
    memory, _ = hear_sweep(described(1, at=0.0), view(1), at=10.0)
    assert memory.swept is memory.view
