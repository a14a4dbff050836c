"""What the runs' records come to in the metrics: each rotation and each rollout once, with the reason of its end."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.support.observed import NOON, OBSERVED_V2, mirror, observed_run, rotation_run, written_run

from keyturn.api import RotationRun, RotationRunStatus, StepName, StepState
from keyturn.domain.run_record import Record
from keyturn.engine.keys import Key, Kind
from keyturn.telemetry.metrics import OTHER, ROLLOUT_RESULTS, ROTATION_RESULTS, Metrics
from keyturn.telemetry.observer import MetricsObserver

KEY = Key(Kind.RUN, "shop", "run")
Moves = Callable[[Record], Record]


def rotating(record: Record) -> Record:
    return record.step(StepName.ROTATE, StepState.RUNNING, "m")


def rotated(record: Record) -> Record:
    return record.step(StepName.ROTATE, StepState.SUCCEEDED, "m").begun(StepName.MIRROR)


def rolling(record: Record) -> Record:
    done = rotated(record).mirrored(mirror("v2")).step(StepName.MIRROR, StepState.SUCCEEDED, "m")
    return done.step(StepName.ROLLOUT, StepState.RUNNING, "m")


def rolled_out(record: Record) -> Record:
    return record.step(StepName.ROLLOUT, StepState.SUCCEEDED, "m").complete(None)


def fails(reason: str) -> Moves:
    return lambda record: record.failed(reason, "m")


def counted(*moves: Moves, run: RotationRun | None = None) -> dict[str, float]:
    """The series that are not 0 after passes that moved a run so; each pass is followed by one that moves nothing."""
    metrics = Metrics(version="1")
    observer, run = MetricsObserver(metrics), run or rotation_run()
    for move in moves:
        after: RotationRunStatus = move(Record.of(run, NOON)).status()
        for status in (after, after):
            observer.run(KEY, run, status, observed_run(run=run))
            run = written_run(run, status)
    found = re.findall(r'^keyturn_(rotations|rollouts)_total\{result="(\w+)"\} (\S+)$', metrics.render().decode(), re.MULTILINE)
    return {f"{name} {result}": float(count) for name, result, count in found if float(count)}


def test_a_run_that_goes_well_is_one_rotation_and_one_rollout() -> None:
    assert counted(rotating, rotated, rolling, rolled_out) == {"rotations Succeeded": 1, "rollouts Succeeded": 1}


@pytest.mark.parametrize("reason", [known for known in ROTATION_RESULTS if known not in {"Succeeded", "Superseded"}])
def test_a_rotation_that_fails_is_counted_with_the_reason_of_its_end(reason: str) -> None:
    assert counted(rotating, fails(reason)) == {f"rotations {reason}": 1}


def test_a_rotation_that_is_overtaken_is_superseded() -> None:
    assert counted(rotating, lambda record: record.superseded("m")) == {"rotations Superseded": 1}


def test_a_reason_that_has_no_series_of_its_own_is_another() -> None:
    assert counted(rotating, fails("QuotaExceeded")) == {f"rotations {OTHER}": 1}
    assert counted(rolling, fails("QuotaExceeded")) == {"rotations Succeeded": 1, f"rollouts {OTHER}": 1}


@pytest.mark.parametrize("reason", ["Held", "SecretDeleted"])
def test_a_rollout_that_ends_badly_is_counted_with_the_reason(reason: str) -> None:
    assert counted(rolling, fails(reason)) == {"rotations Succeeded": 1, f"rollouts {reason}": 1}


def test_a_rollout_that_is_overtaken_is_superseded() -> None:
    assert counted(rolling, lambda record: record.superseded("m")) == {"rotations Succeeded": 1, "rollouts Superseded": 1}


def test_a_run_that_ends_before_the_secret_is_written_is_no_rollout() -> None:
    assert counted(rotated, fails("NotAllowed")) == {"rotations Succeeded": 1}


def test_a_run_that_follows_somebody_elses_promotion_is_no_rotation_however_it_ends() -> None:
    def follows(record: Record) -> Record:
        return record.step(StepName.ROTATE, StepState.SKIPPED, "m").begun(StepName.MIRROR)

    assert counted(follows, lambda record: record.superseded("m"), run=rotation_run(OBSERVED_V2)) == {}
    assert counted(lambda record: record.superseded("m"), run=rotation_run(OBSERVED_V2)) == {}


def test_a_run_with_nobody_to_restart_is_no_rollout() -> None:
    def alone(record: Record) -> Record:
        return rolling(record).step(StepName.ROLLOUT, StepState.SKIPPED, "m").complete(None)

    assert counted(alone) == {"rotations Succeeded": 1}


def test_every_result_is_there_before_it_ever_happens() -> None:
    text = Metrics(version="1").render().decode()
    for name, results in (("rotations", ROTATION_RESULTS), ("rollouts", ROLLOUT_RESULTS)):
        assert set(re.findall(rf'^keyturn_{name}_total\{{result="(\w+)"\}} 0\.0$', text, re.MULTILINE)) == {*results, OTHER}
