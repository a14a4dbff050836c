"""What a catalog remembers while a sweep goes on."""

from datetime import UTC, datetime

from keyturn.adapters.aws.known import Heard, Known
from keyturn.domain.observed import SourceView
from keyturn.domain.versions import Labels, VersionId

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/s-AbCdEf"


def heard(version: str = "v1") -> Heard:
    view = SourceView(name="shop/s", arn=ARN, labels=Labels(current=VersionId(version)), created=datetime(2026, 1, 1, tzinfo=UTC))
    return Heard("shop/s", ARN, view)


def sweep(known: Known, *entries: Heard, at: float, complete: bool = True) -> None:
    known.begin_sweep()
    known.page(entries, at)
    known.end_sweep(at, complete=complete)


def test_a_secret_followed_after_its_page_has_passed_is_not_taken_for_gone() -> None:
    changes: list[str] = []
    known = Known(changes.append)
    sweep(known, heard(), at=1.0)
    known.begin_sweep()
    known.page([heard()], 60.0)
    known.follow("shop/s", now=60.0)
    known.end_sweep(60.0, complete=True)
    assert known.view("shop/s", now=61.0) is not None
    assert changes == []


def test_a_change_between_the_sweep_before_and_the_first_after_following_is_told() -> None:
    changes: list[str] = []
    known = Known(changes.append)
    sweep(known, heard("v1"), at=1.0)
    known.follow(ARN, now=2.0)
    sweep(known, heard("v2"), at=600.0)
    assert changes == [ARN]


def test_a_sweep_that_was_given_up_takes_nothing_for_gone() -> None:
    changes: list[str] = []
    known = Known(changes.append)
    known.follow("shop/s", now=0.0)
    sweep(known, heard(), at=1.0)
    sweep(known, at=60.0, complete=False)
    assert known.view("shop/s", now=61.0) is not None
    assert changes == []


def test_what_nobody_follows_is_not_believed_for_long() -> None:
    known = Known(lambda _: None)
    sweep(known, heard(), at=1.0)
    assert known.view("shop/s", now=200.0) is not None
    assert known.view("shop/s", now=400.0) is None
    assert known.blank("shop/s", now=400.0)


def test_what_was_described_and_is_not_followed_is_forgotten_in_time() -> None:
    known = Known(lambda _: None)
    known.describe("other", heard().view, 0.0)
    sweep(known, at=60.0)
    assert not known.blank("other", now=60.0)
    sweep(known, at=600.0)
    assert known.blank("other", now=600.0)
