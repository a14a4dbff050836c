"""Each row of the table of rotations that do not go well, and the instants at which one row becomes the next."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.versions import Awaited, Labels, Patience, Phase, RotationState, VersionId, classify

V1, V2, V3, V4 = (VersionId(f"v{number}") for number in range(1, 5))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = Patience(timeout=timedelta(minutes=15), grace=timedelta(minutes=5))
DEADLINE = START + PATIENCE.timeout
INSTANT = timedelta(microseconds=1)
RUN = Awaited(token=V2, started_at=START, expected_from=V1, seen=True)
IN_FLIGHT = Labels(current=V1, pending=V2)


def state(labels: Labels, awaited: Awaited | None = RUN, *, at: datetime = START, has_value: bool | None = None) -> RotationState:
    return classify(labels, awaited, now=at, patience=PATIENCE, pending_has_value=has_value)


def test_labels_are_read_from_what_describe_secret_answers() -> None:
    stages = {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT", "mine"], "v3": ["AWSPENDING"]}
    assert Labels.from_stages(stages) == Labels(current=V2, previous=V1, pending=V3)


@pytest.mark.parametrize("stages", [{}, {"v1": ["AWSPENDING"]}, {"v1": []}])
def test_a_secret_without_a_current_version_has_no_labels_to_speak_of(stages: dict[str, list[str]]) -> None:
    assert Labels.from_stages(stages) is None


@pytest.mark.parametrize(("pending", "rotating"), [(None, False), (V1, False), (V2, True)])
def test_pending_on_the_current_version_is_no_rotation_in_progress(pending: VersionId | None, rotating: bool) -> None:
    assert Labels(current=V1, pending=pending).rotating is rotating


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (Labels(current=V1), RotationState(phase=Phase.IDLE)),
        (Labels(current=V1, pending=V1), RotationState(phase=Phase.IDLE)),
        (Labels(current=V1, pending=V3), RotationState(phase=Phase.FOREIGN, version=V3)),
    ],
)
def test_without_a_run_there_is_idleness_or_somebody_elses_rotation(labels: Labels, expected: RotationState) -> None:
    assert state(labels, None) == expected


@pytest.mark.parametrize(
    ("labels", "phase"),
    [
        (Labels(current=V1), Phase.NOT_STARTED),
        (Labels(current=V1, pending=V1), Phase.NOT_STARTED),
        (Labels(current=V1, pending=V3), Phase.FOREIGN),
        (IN_FLIGHT, Phase.RUNNING),
        (Labels(current=V2, previous=V1), Phase.PROMOTED),
        (Labels(current=V3, previous=V2), Phase.SUPERSEDED),
    ],
)
def test_a_run_that_has_not_written_down_its_start_learns_from_the_labels_whether_it_called(labels: Labels, phase: Phase) -> None:
    assert state(labels, Awaited(token=V2)).phase is phase


def test_a_run_that_has_not_started_is_not_superseded_by_the_rotation_that_it_waited_for() -> None:
    assert state(Labels(current=V3, previous=V1), Awaited(token=V2, expected_from=V1)).phase is Phase.NOT_STARTED


@pytest.mark.parametrize("has_value", [None, False, True])
def test_pending_on_our_token_within_the_timeout_is_running_until_the_timeout(has_value: bool | None) -> None:
    expected = RotationState(phase=Phase.RUNNING, version=V2, look_again_at=DEADLINE)
    assert state(IN_FLIGHT, at=DEADLINE - INSTANT, has_value=has_value) == expected


def test_past_the_timeout_it_must_be_asked_whether_the_pending_version_has_a_value() -> None:
    assert state(IN_FLIGHT, at=DEADLINE) == RotationState(phase=Phase.OVERDUE, version=V2)


def test_a_pending_version_with_a_value_is_stuck_at_the_timeout() -> None:
    assert state(IN_FLIGHT, at=DEADLINE, has_value=True) == RotationState(phase=Phase.STUCK_WITH_VALUE, version=V2)


@pytest.mark.parametrize("at", [DEADLINE, DEADLINE + PATIENCE.grace - INSTANT])
def test_an_empty_pending_version_is_given_a_grace_after_the_timeout(at: datetime) -> None:
    expected = RotationState(phase=Phase.RUNNING, version=V2, look_again_at=DEADLINE + PATIENCE.grace)
    assert state(IN_FLIGHT, at=at, has_value=False) == expected


def test_an_empty_pending_version_is_stuck_when_the_grace_is_over() -> None:
    expected = RotationState(phase=Phase.STUCK_EMPTY, version=V2)
    assert state(IN_FLIGHT, at=DEADLINE + PATIENCE.grace, has_value=False) == expected


@pytest.mark.parametrize("labels", [Labels(current=V1, pending=V3), Labels(current=V1, previous=V4, pending=V3)])
def test_pending_on_another_version_is_a_foreign_rotation_even_after_ours_had_begun(labels: Labels) -> None:
    assert state(labels) == RotationState(phase=Phase.FOREIGN, version=V3)


@pytest.mark.parametrize(
    "labels", [Labels(current=V2, previous=V1), Labels(current=V2, pending=V2, previous=V1), Labels(current=V2, pending=V3, previous=V1)]
)
@pytest.mark.parametrize("at", [START, DEADLINE, DEADLINE + timedelta(days=9)])
def test_our_token_being_current_is_a_promotion_however_late_it_is_noticed(labels: Labels, at: datetime) -> None:
    assert state(labels, at=at) == RotationState(phase=Phase.PROMOTED, version=V2)


def test_a_promotion_after_the_run_had_failed_is_a_late_success() -> None:
    given_up = Awaited(token=V2, started_at=START, expected_from=V1, seen=True, given_up=True)
    assert state(Labels(current=V2, previous=V1), given_up, at=DEADLINE) == RotationState(phase=Phase.LATE_SUCCESS, version=V2)


@pytest.mark.parametrize(
    "labels",
    [
        Labels(current=V3, previous=V1),  # somebody put a value
        Labels(current=V3, previous=V1, pending=V2),  # somebody moved AWSCURRENT and left our label
        Labels(current=V3, previous=V2),  # promoted, and rotated once more before we looked
        Labels(current=V4, previous=V3),  # rotated twice more
        Labels(current=V1, previous=V2),  # promoted, and taken back by hand
        Labels(current=V3, previous=V2, pending=V4),  # promoted, rotated, and rotating again
    ],
)
def test_current_on_a_version_that_the_run_does_not_wait_for_supersedes_it(labels: Labels) -> None:
    assert state(labels) == RotationState(phase=Phase.SUPERSEDED, version=labels.current)


def test_a_start_of_which_nothing_was_ever_seen_is_to_be_repeated_with_the_same_token() -> None:
    called = Awaited(token=V2, started_at=START, expected_from=V1)
    assert state(Labels(current=V1), called, at=DEADLINE) == RotationState(phase=Phase.NOT_STARTED, version=V2)


def test_a_label_that_was_seen_and_is_missing_may_be_a_stale_answer_for_a_grace() -> None:
    expected = RotationState(phase=Phase.RUNNING, version=V2, look_again_at=START + PATIENCE.grace)
    assert state(Labels(current=V1), at=START + PATIENCE.grace - INSTANT) == expected


def test_a_label_that_was_seen_and_stays_away_was_taken_off_by_somebody() -> None:
    assert state(Labels(current=V1), at=START + PATIENCE.grace) == RotationState(phase=Phase.ABANDONED, version=V2)


WAITS = Awaited(token=V2, behind=V3, behind_since=START)
BEHIND = Labels(current=V1, pending=V3)
STUCK = DEADLINE + PATIENCE.grace


@pytest.mark.parametrize(
    ("at", "has_value", "expected"),
    [
        (STUCK - INSTANT, True, RotationState(phase=Phase.FOREIGN, version=V3, look_again_at=STUCK)),
        (STUCK, None, RotationState(phase=Phase.FOREIGN, version=V3)),
        (STUCK, True, RotationState(phase=Phase.STUCK_WITH_VALUE, version=V3)),
        (STUCK, False, RotationState(phase=Phase.STUCK_EMPTY, version=V3)),
        (STUCK + PATIENCE.grace, None, RotationState(phase=Phase.STUCK_WITH_VALUE, version=V3)),
    ],
)
def test_a_foreign_rotation_is_stuck_when_it_was_seen_for_the_timeout_and_the_grace(
    at: datetime, has_value: bool | None, expected: RotationState
) -> None:
    assert state(BEHIND, WAITS, at=at, has_value=has_value) == expected


def test_another_foreign_rotation_than_the_one_that_was_seen_is_not_stuck() -> None:
    assert state(Labels(current=V1, pending=V4), WAITS, at=STUCK, has_value=True) == RotationState(phase=Phase.FOREIGN, version=V4)


def test_a_pending_version_of_which_it_cannot_be_known_whether_it_has_a_value_is_taken_to_have_one_in_the_end() -> None:
    at = DEADLINE + 2 * PATIENCE.grace
    assert state(IN_FLIGHT, at=at - INSTANT) == RotationState(phase=Phase.OVERDUE, version=V2)
    assert state(IN_FLIGHT, at=at) == RotationState(phase=Phase.STUCK_WITH_VALUE, version=V2)
