"""Which changes of a status are worth an event: typed, and never the same one twice."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.observed import NOON, mirror, workload_status

from keyturn.api import RotatingSecretStatus, RotationRunStatus, Step, StepName, StepState, WorkloadState
from keyturn.domain import conditions as cond
from keyturn.domain.announce import of_run, of_secret
from keyturn.domain.consumers import with_missing


def run(state: StepState, **told: Any) -> RotationRunStatus:
    return RotationRunStatus(steps=[Step(name=StepName.ROTATE, state=state, message="m")], **told)


def secret(verdicts: dict[str, cond.Verdict] | None = None, **told: Any) -> RotatingSecretStatus:
    found = cond.merge([], verdicts or {}, generation=1, now=NOON)
    return RotatingSecretStatus(observed_generation=1, conditions=found, **told)


def test_a_step_that_moves_is_one_event_and_a_step_that_stays_is_none() -> None:
    (event,) = of_run(run(StepState.RUNNING), run(StepState.FAILED))
    assert (event.reason, event.message, event.warning) == ("RotationFailed", "m", True)
    assert of_run(run(StepState.FAILED), run(StepState.FAILED)) == []


@pytest.mark.parametrize("state", [StepState.SUCCEEDED, StepState.SKIPPED])
def test_a_workload_that_was_not_there_is_told_once_when_the_rollout_is_over(state: StepState) -> None:
    def rollout(state: StepState, *names: str) -> RotationRunStatus:
        return RotationRunStatus(steps=[Step(name=StepName.ROLLOUT, state=state, message=with_missing("m", names))])

    before, after = rollout(StepState.RUNNING), rollout(state, "Deployment api")
    (event,) = (event for event in of_run(before, after) if event.reason == "WorkloadsMissing")
    assert event.warning
    assert "Deployment api" in event.message
    assert of_run(after, after) == []
    assert "WorkloadsMissing" not in {event.reason for event in of_run(before, rollout(state))}


def test_a_reverted_workload_is_told_once() -> None:
    reverted = run(StepState.SUCCEEDED, workloads=[workload_status(state=WorkloadState.REVERTED, message="taken away")])
    assert [event.reason for event in of_run(run(StepState.SUCCEEDED), reverted)] == ["RestartReverted"]
    assert of_run(reverted, reverted) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"resource_version": "200"}, ["SecretRepaired"]),
        ({"resource_version": "200", "shaped": "edited"}, []),
        ({"resource_version": "200", "version": "v2"}, []),
        ({}, []),
    ],
    ids=["repaired", "edited by its owner", "another version", "as it was"],
)
def test_only_a_repair_is_told_as_one(change: dict[str, Any], expected: list[str]) -> None:
    assert [event.reason for event in of_secret(secret(mirror=mirror()), secret(mirror=mirror(**change)))] == expected


def test_what_stands_in_the_way_is_told_when_it_comes_when_it_changes_and_when_it_goes() -> None:
    one, other, fine = secret(cond.stalled("SourceDeleted", "m")), secret(cond.stalled("NotAllowed", "m")), secret()
    assert [event.reason for event in of_secret(fine, one)] == ["SourceDeleted"]
    assert [event.reason for event in of_secret(one, other)] == ["NotAllowed"]
    assert of_secret(one, one) == []
    assert [event.reason for event in of_secret(one, fine)] == ["Resumed"]
