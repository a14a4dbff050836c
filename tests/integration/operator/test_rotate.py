"""Rotations: on demand, by schedule, by AWS or a person; their record; and everything that does not go well with them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from tests.support.eventually import wait_until
from tests.support.kube import Object, condition, moment
from tests.support.operator import Operator
from tests.support.rollouts import adoption
from tests.support.shop import Shop, steps

RETIRED = "not asked for; the old credential works until the next rotation"
MONTHLY = {"schedule": {"every": "30d", "window": "0s"}}


def breaks(own: Shop, kind: Any, step: str, **options: Any) -> None:
    """Make the tenant's rotation function fail or hang in a step."""
    own.aws.faults.set(kind, action=own.namespace, step=step, **options)


def ended_as(run: Object) -> tuple[str, str]:
    """The condition with which a run ended, and its reason."""
    end = condition(run, "Complete") or condition(run, "Failed")
    return end["type"], end["reason"]


# --- on demand -------------------------------------------------------------------------------------------------------


def test_a_run_rotates_now_and_brings_the_new_version_to_every_pod(shop: Shop) -> None:
    before = shop.put("db")
    shop.rotating_secret("db", rotation={"strategy": "AlternatingUsers"})
    shop.deployment("web", replicas=2)
    shop.adopted("db", version=before)
    shop.run("now", reason="laptop lost")
    run = shop.over("now")
    after = shop.current("db")
    assert ended_as(run) == ("Complete", "Adopted")
    assert run["status"]["versions"] == {"from": before, "to": after}
    assert shop.data("db")["password"] == shop.value()["password"]
    seen = shop.adopted("db", version=after)
    assert adoption(seen) == (2, 2, 1)


def test_the_steps_of_a_run_record_their_states_times_and_messages(shop: Shop) -> None:
    before = shop.put("db")
    shop.rotating_secret("db", rotation={"strategy": "AlternatingUsers"})
    shop.deployment("web")
    shop.adopted("db", version=before)
    shop.run("now")
    run = shop.over("now")
    record = steps(run)
    assert {name: step["state"] for name, step in record.items()} == {
        "Rotate": "Succeeded",
        "Mirror": "Succeeded",
        "Rollout": "Succeeded",
        "Retire": "Unsupported",
    }
    times = [moment(record[name][at]) for name in ("Rotate", "Mirror", "Rollout") for at in ("startTime", "endTime")]
    assert times == sorted(times)
    assert moment(run["status"]["completionTime"]) >= times[-1]
    assert record["Rotate"]["message"] == f"AWS promoted {shop.current('db')}"
    assert record["Mirror"]["message"] == "the Secret holds the new content"
    assert record["Rollout"]["message"] == "1 of 1 pods in 1 workloads run on the new content"
    assert record["Retire"]["message"] == RETIRED
    assert run["status"]["summary"]["step"] == "Adopted"
    assert run["status"]["summary"]["adopted"] == "1/1"


def test_a_rotation_is_told_in_events_of_typed_reasons_of_which_none_repeats(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    shop.run("now")
    shop.over("now")
    wait_until(lambda: len(shop.events("now")) >= 3, what="the events of the run")
    told = [(event["type"], event["reason"], event.get("series")) for event in shop.events("now")]
    assert told == [("Normal", reason, None) for reason in ("RotationStarted", "RotationSucceeded", "SecretMirrored")]
    described = shop.plane.kubectl("describe", "rotationrun", "now", "-n", shop.namespace).stdout
    assert re.search(r"Normal\s+RotationSucceeded\s.*keyturn.*AWS promoted", described)


def test_a_run_that_a_person_creates_comes_to_belong_to_its_rotating_secret(shop: Shop) -> None:
    shop.put("db")
    parent = shop.rotating_secret("db")
    shop.ready("db")
    shop.run("now")
    run = shop.over("now")
    assert [owner["uid"] for owner in run["metadata"]["ownerReferences"]] == [parent["metadata"]["uid"]]


def test_two_runs_created_together_act_one_after_the_other(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    shop.run("first")
    shop.run("second")
    runs = [shop.over("first"), shop.over("second")]
    runs.sort(key=lambda run: str(steps(run)["Rotate"]["startTime"]))
    assert runs[0]["status"]["versions"]["to"] == runs[1]["status"]["versions"]["from"]
    assert runs[0]["status"]["completionTime"] <= steps(runs[1])["Rotate"]["startTime"]


def test_a_run_for_a_secret_that_has_no_rotation_in_aws_fails_with_the_command(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db")
    shop.ready("db")
    shop.run("now")
    run = shop.over("now")
    assert ended_as(run) == ("Failed", "RotationNotConfigured")
    assert f"aws secretsmanager rotate-secret --secret-id {shop.secret_id()}" in condition(run, "Failed")["message"]


def test_finished_runs_beyond_the_history_limit_go_the_oldest_first(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db", historyLimit=1)
    shop.ready("db")
    for name in ("first", "second"):
        shop.run(name)
        shop.over(name)
    shop.kube.wait_gone("RotationRun", "first")
    assert [run["metadata"]["name"] for run in shop.runs()] == ["second"]


def test_a_connection_starts_no_more_rotations_at_once_than_it_allows(own: Shop) -> None:
    connection = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ClusterAWSConnection",
        "metadata": {"name": own.namespace},
        "spec": {
            "region": "eu-west-1",
            "maxRotations": 1,
            "allow": [{"namespaces": {"names": [own.namespace]}, "secrets": ["{namespace}/*"], "verbs": ["Mirror", "Rotate"]}],
        },
    }
    own.kube.apply(connection)
    breaks(own, "lambda-hang", "createSecret", seconds=3, calls=1)
    for name in ("one", "two"):
        own.put(name)
        own.rotating_secret(name, connectionRef={"name": own.namespace})
        own.ready(name)
    own.run("run-one", of="one")
    own.step_is("run-one", "Rotate", "Running", saying="AWS rotates")
    own.run("run-two", of="two")
    own.step_is("run-two", "Rotate", "Waiting", saying="maxRotations")
    first, second = (steps(own.over(name))["Rotate"] for name in ("run-one", "run-two"))
    assert (first["state"], second["state"]) == ("Succeeded", "Succeeded")
    assert first["endTime"] <= second["startTime"]
    own.kube.delete("ClusterAWSConnection", own.namespace)


def test_while_a_run_waits_for_its_turn_to_rotate_what_others_promote_is_mirrored(own: Shop) -> None:
    own.put("db")
    own.rotating_secret("db", rotation={"timeout": "1m"})
    own.ready("db")
    breaks(own, "lambda-hang", "createSecret", seconds=15, calls=1)
    own.rotate("db")
    own.run("now")
    own.step_is("now", "Rotate", "Waiting", saying="somebody else")
    own.kube.patch("Secret", "db", {"data": {"foreign": "eA=="}})
    wait_until(lambda: "foreign" not in own.data("db"), what="the repair")
    version = own.promote("db")
    own.ready("db", version=version)
    own.aws.faults.clear()
    assert own.over("now")["status"]["versions"]["from"] == version
    assert ended_as(own.first_run("Observed")) == ("Complete", "Adopted")


# --- by schedule -----------------------------------------------------------------------------------------------------


def test_an_overdue_secret_is_rotated_by_schedule_once_and_counts_from_then(shop: Shop) -> None:
    shop.put_long_ago("db", days=40)
    shop.rotating_secret("db", rotation=MONTHLY)
    run = shop.first_run("Schedule")
    assert ended_as(shop.over(run["metadata"]["name"])) == ("Complete", "Adopted")
    seen = shop.settled("db", version=shop.current("db"))
    times = seen["status"]["rotation"]
    assert times["lastScheduleTime"] == run["spec"]["slot"]
    assert (moment(times["nextTime"]) - moment(times["lastTime"])).days == 30
    assert condition(seen, "RotationOnTime")["reason"] == "Scheduled"
    assert len(shop.runs()) == 1


def test_while_rotations_are_suspended_none_starts_by_schedule_but_a_person_may_rotate(shop: Shop) -> None:
    shop.put_long_ago("db", days=40)
    shop.rotating_secret("db", suspend="Rotations", rotation=MONTHLY)
    seen = shop.ready("db")
    assert moment(seen["status"]["rotation"]["nextTime"]) <= datetime.now(UTC)
    shop.run("now")
    assert ended_as(shop.over("now")) == ("Complete", "Adopted")
    assert [run["spec"]["trigger"] for run in shop.runs()] == ["Manual"]


def test_a_suspension_that_ends_lets_the_overdue_rotation_start(shop: Shop) -> None:
    shop.put_long_ago("db", days=40)
    shop.rotating_secret("db", suspend="Rotations", rotation=MONTHLY)
    shop.ready("db")
    assert shop.runs() == []
    shop.rotating_secret("db", rotation=MONTHLY)
    shop.over(shop.first_run("Schedule")["metadata"]["name"])


def test_a_schedule_without_a_rotation_in_aws_says_how_to_configure_it_and_still_mirrors(shop: Shop) -> None:
    shop.put_long_ago("db", days=40, rotation=False)
    shop.rotating_secret("db", rotation=MONTHLY)
    message = shop.says("RotationOnTime", "False", "RotationNotConfigured")
    assert f"aws secretsmanager rotate-secret --secret-id {shop.secret_id()}" in message
    shop.ready("db")
    assert shop.data("db") == shop.value("db")
    assert shop.runs() == []


# --- somebody else ---------------------------------------------------------------------------------------------------


def test_a_rotation_that_a_person_starts_gets_an_observed_run(shop: Shop) -> None:
    before = shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    after = shop.rotate("db")
    run = shop.over(shop.first_run("Observed")["metadata"]["name"])
    assert (run["spec"]["versionId"], run["status"]["versions"]) == (after, {"from": before, "to": after})
    assert steps(run)["Rotate"]["state"] == "Skipped"
    shop.settled("db", version=after)


def test_a_scheduled_run_joins_the_rotation_that_somebody_else_has_in_flight(own: Shop) -> None:
    own.put_long_ago("db", days=1)
    own.rotating_secret("db")
    own.ready("db")
    breaks(own, "lambda-hang", "createSecret", seconds=4, calls=1)
    theirs = own.rotate("db")
    own.rotating_secret("db", rotation={"schedule": {"every": "4h", "window": "0s"}})
    run = own.first_run("Schedule")["metadata"]["name"]
    own.step_is(run, "Rotate", "Running", saying="joined")
    assert own.over(run)["status"]["versions"]["to"] == theirs
    own.settled("db", version=theirs)
    assert len(own.runs()) == 1


def test_a_manual_run_waits_for_the_rotation_that_somebody_else_has_in_flight_and_then_rotates_itself(own: Shop) -> None:
    own.put("db")
    own.rotating_secret("db")
    own.ready("db")
    breaks(own, "lambda-hang", "createSecret", seconds=3, calls=1)
    theirs = own.rotate("db")
    own.run("now")
    own.step_is("now", "Rotate", "Waiting", saying=theirs)
    run = own.over("now")
    assert run["status"]["versions"]["from"] == theirs
    own.settled("db", version=run["status"]["versions"]["to"])


# --- what does not go well -------------------------------------------------------------------------------------------


def test_a_rotation_that_dies_without_a_value_fails_and_its_label_is_removed(own: Shop) -> None:
    before = own.put("db")
    own.rotating_secret("db", rotation={"timeout": "2s"})
    own.ready("db")
    breaks(own, "lambda-fail", "createSecret")
    own.run("now")
    run = own.over("now")
    assert ended_as(run) == ("Failed", "RotationFailed")
    assert "died in createSecret" in condition(run, "Failed")["message"]
    assert own.stages("db").get("AWSPENDING") in (None, before)
    assert own.says("RotationOnTime", "False", "RotationFailed").startswith("RotationRun now: ")
    assert own.ready("db")["status"]["mirror"]["versionId"] == before


def test_after_a_rotation_that_died_without_a_value_the_next_one_works(own: Shop) -> None:
    own.put("db")
    own.rotating_secret("db", rotation={"timeout": "2s"})
    own.ready("db")
    breaks(own, "lambda-fail", "createSecret", calls=3)
    own.run("fails")
    own.over("fails")
    own.run("works")
    assert ended_as(own.over("works")) == ("Complete", "Adopted")
    own.says("RotationOnTime", "True", "ScheduledByAWS")


def test_a_rotation_that_dies_with_a_value_is_stuck_and_names_both_ways_out(own: Shop) -> None:
    before = own.put("db")
    own.rotating_secret("db", rotation={"timeout": "2s"})
    own.ready("db")
    breaks(own, "lambda-fail", "setSecret")
    own.run("now")
    run = own.over("now")
    pending = own.stages("db")["AWSPENDING"]
    assert ended_as(run) == ("Failed", "RotationStuck")
    message = condition(run, "Failed")["message"]
    assert f"--version-stage AWSCURRENT --move-to-version-id {pending} --remove-from-version-id {before}" in message
    assert f"--version-stage AWSPENDING --remove-from-version-id {pending}" in message
    own.says("RotationOnTime", "False", "RotationStuck")


def test_a_rotation_that_succeeds_after_its_time_gets_an_observed_run(own: Shop) -> None:
    own.put("db")
    own.rotating_secret("db", rotation={"timeout": "1s"})
    own.ready("db")
    breaks(own, "lambda-hang", "finishSecret", seconds=4, calls=1)
    own.run("now")
    late = own.over("now")
    assert ended_as(late) == ("Failed", "RotationStuck")
    run = own.over(own.first_run("Observed")["metadata"]["name"])
    assert run["spec"]["versionId"] == late["status"]["versions"]["to"]
    seen = own.settled("db", version=run["spec"]["versionId"])
    assert condition(seen, "RotationOnTime")["status"] == "True"


def test_a_run_whose_rotation_is_overtaken_by_a_promotion_ends_superseded(own: Shop) -> None:
    own.put("db")
    own.rotating_secret("db")
    own.ready("db")
    breaks(own, "lambda-hang", "createSecret", seconds=6, calls=1)
    own.run("now")
    own.step_is("now", "Rotate", "Running", saying="AWS rotates")
    version = own.promote("db")
    assert ended_as(own.over("now")) == ("Complete", "Superseded")
    observed = own.first_run("Observed")
    assert observed["spec"]["versionId"] == version
    own.settled("db", version=version)


def test_a_third_version_before_the_second_is_rolled_out_supersedes_it_and_alone_is_settled(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db", rollout={"soak": "60s"})
    shop.deployment("web")
    shop.adopted("db")
    shop.run("second")
    shop.step_is("second", "Rollout", "Running", saying="must stay so")
    third = shop.promote("db")
    assert ended_as(shop.over("second")) == ("Complete", "Superseded")
    run = shop.first_run("Observed")
    shop.step_is(run["metadata"]["name"], "Rollout", "Running", saying="must stay so")
    shop.rotating_secret("db", rollout={"soak": "0s"})
    assert ended_as(shop.over(run["metadata"]["name"])) == ("Complete", "Adopted")
    assert shop.adopted("db", version=third)["status"]["settled"]["versionId"] == third
    assert sorted(run["spec"]["trigger"] for run in shop.runs()) == ["Manual", "Observed"]


def test_of_several_versions_that_nobody_saw_only_the_last_gets_a_run(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    shop.promote("db")
    shop.promote("db")
    last = shop.promote("db")
    shop.settled("db", version=last)
    assert [run["spec"]["versionId"] for run in shop.runs()] == [last]


def test_what_aws_promotes_while_the_operator_is_down_is_mirrored_when_it_is_back(shop: Shop, operator: Operator) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    assert operator.stop() == 0
    version = shop.promote("db")
    operator.start()
    shop.settled("db", version=version)
    (run,) = shop.runs()
    assert (run["spec"]["trigger"], ended_as(run)) == ("Observed", ("Complete", "Adopted"))
