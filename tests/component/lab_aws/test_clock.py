"""AWS's own schedules on the lab's clock, which tests move (reference page, section 2). A lab of its own: the clock is everybody's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyturn_lab.aws import Aws, LabError

from .conftest import install_rotator
from .support import eventually, make, put, stages, token


@pytest.fixture(scope="module")
def clocked() -> Iterator[Aws]:
    with Aws() as running:
        yield running


@pytest.fixture(scope="module")
def function(clocked: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    return install_rotator(clocked, tmp_path_factory.mktemp("rotator"), "rotator")


def describe(aws: Aws, name: str) -> Any:
    return aws.client("secretsmanager").describe_secret(SecretId=name)


def scheduled(aws: Aws, name: str, function: str, **rules: Any) -> str:
    """A secret that has been rotated once and has a schedule; its current version."""
    make(aws, name)
    options: Any = {"RotationLambdaARN": function, "RotationRules": rules, "ClientRequestToken": token()}
    version = aws.client("secretsmanager").rotate_secret(SecretId=name, **options)["VersionId"]
    eventually(lambda: "LastRotatedDate" in describe(aws, name))
    return version


def current(aws: Aws, name: str) -> str:
    return next(version for version, labels in stages(aws, name).items() if "AWSCURRENT" in labels)


def midnight_in(aws: Aws, days: int) -> datetime:
    today = aws.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


def test_the_clock_moves_forward_only(clocked: Aws) -> None:
    before = clocked.now()
    clocked.advance(timedelta(minutes=5))
    assert clocked.now() - before >= timedelta(minutes=5)
    with pytest.raises(LabError, match="does not go back"):
        clocked.advance(timedelta(minutes=-5))


def test_dates_follow_the_clock(clocked: Aws, name: str) -> None:
    clocked.advance(timedelta(days=2))
    make(clocked, name)
    assert abs(describe(clocked, name)["CreatedDate"] - clocked.now()) < timedelta(seconds=30)


@pytest.mark.parametrize("rules", [{"AutomaticallyAfterDays": 10}, {"ScheduleExpression": "rate(10 days)"}])
def test_a_rate_in_days_is_due_on_its_day_and_shown_as_the_end_of_that_day(
    clocked: Aws, function: str, name: str, rules: dict[str, Any]
) -> None:
    """Row 8; NextRotationDate in API_DescribeSecret."""
    first = scheduled(clocked, name, function, **rules)
    due = midnight_in(clocked, 10)
    assert describe(clocked, name)["NextRotationDate"] == due + timedelta(days=1, seconds=-1)
    clocked.advance(due - clocked.now() - timedelta(minutes=1))
    assert current(clocked, name) == first
    clocked.advance(timedelta(minutes=2))
    eventually(lambda: current(clocked, name) != first)
    eventually(lambda: describe(clocked, name)["NextRotationDate"] == due + timedelta(days=11, seconds=-1))


def test_a_cron_schedule_rotates_when_its_window_opens(clocked: Aws, function: str, name: str) -> None:
    """Row 7."""
    first = scheduled(clocked, name, function, ScheduleExpression="cron(0 3 * * ? *)", Duration="2h")
    described = describe(clocked, name)
    assert described["RotationRules"] == {"ScheduleExpression": "cron(0 3 * * ? *)", "Duration": "2h", "AutomaticallyAfterDays": 1}
    closes = described["NextRotationDate"] + timedelta(seconds=1)
    assert closes.astimezone(UTC).hour == 5
    clocked.advance(closes - timedelta(hours=2) - clocked.now() + timedelta(seconds=1))
    eventually(lambda: current(clocked, name) != first)


def test_nobody_need_move_the_clock_for_a_rotation_that_is_due(clocked: Aws, function: str, name: str) -> None:
    """The lab looks by itself, as AWS does."""
    first = scheduled(clocked, name, function, ScheduleExpression="rate(4 hours)")
    opens = describe(clocked, name)["NextRotationDate"] - timedelta(hours=1, seconds=-1)
    clocked.advance(opens - clocked.now() - timedelta(seconds=0.7))
    eventually(lambda: current(clocked, name) != first)


def test_a_value_stored_by_hand_counts_as_a_rotation_for_the_schedule(clocked: Aws, function: str, name: str) -> None:
    """RotationRules in API_RotateSecret."""
    scheduled(clocked, name, function, AutomaticallyAfterDays=10)
    before = describe(clocked, name)
    clocked.advance(timedelta(days=4))
    put(clocked, name, "by hand")
    after = describe(clocked, name)
    assert after["NextRotationDate"] - before["NextRotationDate"] == timedelta(days=4)
    assert after["LastRotatedDate"] == before["LastRotatedDate"]


def test_a_rotation_that_failed_leaves_the_next_date_in_the_past_and_is_attempted_again_with_its_version(
    clocked: Aws, function: str, name: str
) -> None:
    """NextRotationDate after failures: reference page, section 2; "That rotation will be reattempted"."""
    first = scheduled(clocked, name, function, ScheduleExpression="rate(4 hours)")
    promised = describe(clocked, name)["NextRotationDate"]
    with clocked.faults.on("lambda-fail", step="testSecret"):
        clocked.advance(timedelta(hours=4))
        stuck = eventually(lambda: [version for version, labels in stages(clocked, name).items() if labels == ["AWSPENDING"]])[0]
        eventually(lambda: len([call for call in clocked.invocations() if call.error_type == "InjectedFault"]) >= 3)
    assert describe(clocked, name)["NextRotationDate"] == promised
    clocked.advance(timedelta(hours=5))
    eventually(lambda: current(clocked, name) != first)
    assert current(clocked, name) == stuck


def test_no_rotation_is_due_once_rotation_is_off(clocked: Aws, function: str, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_cancel.html"""
    first = scheduled(clocked, name, function, ScheduleExpression="rate(1 day)")
    clocked.client("secretsmanager").cancel_rotate_secret(SecretId=name)
    arn = describe(clocked, name)["ARN"]
    assert arn not in clocked.advance(timedelta(days=3))
    assert current(clocked, name) == first


def test_a_new_schedule_without_a_rotation_replaces_the_old_one(clocked: Aws, function: str, name: str) -> None:
    """RotateImmediately=false in API_RotateSecret."""
    first = scheduled(clocked, name, function, AutomaticallyAfterDays=10)
    clocked.client("secretsmanager").rotate_secret(SecretId=name, RotationRules={"AutomaticallyAfterDays": 30}, RotateImmediately=False)
    eventually(lambda: set(stages(clocked, name)) == {first, *_previous(clocked, name)})
    assert describe(clocked, name)["NextRotationDate"] == midnight_in(clocked, 31) - timedelta(seconds=1)
    assert current(clocked, name) == first


def _previous(aws: Aws, name: str) -> list[str]:
    return [version for version, labels in stages(aws, name).items() if "AWSPREVIOUS" in labels]


def test_a_backdated_secret_is_older_in_every_date(clocked: Aws, function: str, name: str) -> None:
    scheduled(clocked, name, function, AutomaticallyAfterDays=100)
    before = describe(clocked, name)
    versions = clocked.client("secretsmanager").list_secret_version_ids(SecretId=name)["Versions"]
    clocked.backdate(name, days=40, hours=1)
    after = describe(clocked, name)
    step = timedelta(days=40, hours=1)
    for field in ("CreatedDate", "LastChangedDate", "LastRotatedDate"):
        assert before[field] - after[field] == step
    older = clocked.client("secretsmanager").list_secret_version_ids(SecretId=name)["Versions"]
    assert [old["CreatedDate"] + step for old in older] == [version["CreatedDate"] for version in versions]
    assert before["NextRotationDate"] - after["NextRotationDate"] in (timedelta(days=40), timedelta(days=41))


def test_backdating_nobody_is_an_error(clocked: Aws) -> None:
    with pytest.raises(LabError, match="no secret nobody"):
        clocked.backdate("nobody", days=1)


def test_a_deleted_secret_is_not_rotated(clocked: Aws, tmp_path: Path, name: str) -> None:
    function_name = f"unused-{token()}"
    scheduled(clocked, name, install_rotator(clocked, tmp_path, function_name), ScheduleExpression="rate(1 day)")
    clocked.client("secretsmanager").delete_secret(SecretId=name)
    assert describe(clocked, name)["ARN"] not in clocked.advance(timedelta(days=3))
