"""A rotation that somebody else started and that comes to nothing: no run of ours waits for it for ever, or fails of it."""

from __future__ import annotations

from typing import Any

from tests.support.eventually import wait_until
from tests.support.kube import Object, condition
from tests.support.rollouts import ended
from tests.support.shop import Shop

ATTEMPTS = 3  # of the lab's AWS for one rotation


def dead(own: Shop, step: str) -> str:
    """Somebody else's rotation has died in that step, for good; answers the version on which it left AWSPENDING."""
    own.put("db")
    own.rotating_secret("db", rotation={"timeout": "2s"})
    own.ready("db")
    own.aws.faults.set("lambda-fail", action=own.namespace, step=step, calls=ATTEMPTS)
    version = own.rotate("db")
    wait_until(lambda: _failures(own) == ATTEMPTS, what="the end of somebody else's rotation")
    return version


def _failures(own: Shop) -> int:
    return sum(call.failed for call in own.aws.invocations(own.namespace))


def rotation_is_stuck(own: Shop, run: str) -> Object:
    seen = own.over(run)
    assert ended(seen) == "RotationStuck"
    return seen


def test_a_manual_run_behind_a_dead_rotation_that_has_a_value_fails_with_both_ways_out_and_the_next_one_works(own: Shop) -> None:
    theirs = dead(own, "setSecret")
    before = own.current("db")
    own.run("now")
    message = condition(rotation_is_stuck(own, "now"), "Failed")["message"]
    assert "from a rotation that somebody else started" in message
    assert f"--version-stage AWSCURRENT --move-to-version-id {theirs} --remove-from-version-id {before}" in message
    assert f"--version-stage AWSPENDING --remove-from-version-id {theirs}" in message
    own.says("RotationOnTime", "False", "RotationStuck")
    own.aws.client("secretsmanager").update_secret_version_stage(
        SecretId=own.secret_id("db"), VersionStage="AWSPENDING", RemoveFromVersionId=theirs
    )
    own.run("again")
    assert ended(own.over("again")) == "Adopted"


def test_a_manual_run_behind_a_dead_rotation_without_a_value_takes_its_label_off_and_rotates(own: Shop) -> None:
    theirs = dead(own, "createSecret")
    own.run("now")
    run = own.over("now")
    assert ended(run) == "Adopted"
    assert run["status"]["versions"]["to"] not in (theirs, None)
    assert "foreignRotation" not in run["status"]
    own.settled("db", version=run["status"]["versions"]["to"])


def test_a_scheduled_run_that_comes_upon_aws_s_test_of_the_function_rotates_when_that_is_over(own: Shop) -> None:
    own.put_long_ago("db", days=1)
    own.rotating_secret("db")
    own.ready("db")
    own.aws.faults.set("lambda-hang", action=own.namespace, step="testSecret", seconds=5, calls=1)
    rules: Any = {"AutomaticallyAfterDays": 800}
    own.aws.client("secretsmanager").rotate_secret(SecretId=own.secret_id("db"), RotationRules=rules, RotateImmediately=False)
    tested = own.stages("db")["AWSPENDING"]
    own.rotating_secret("db", rotation={"schedule": {"every": "4h", "window": "0s"}})
    run = own.first_run("Schedule")["metadata"]["name"]
    own.step_is(run, "Rotate", "Running", saying=f"joined a rotation to {tested}")
    seen = own.over(run)
    assert (ended(seen), seen["status"]["versions"]["to"]) == ("Adopted", own.current("db"))
    assert own.current("db") != tested
    assert len(own.runs()) == 1
