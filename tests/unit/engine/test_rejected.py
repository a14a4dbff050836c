"""A version that cannot become the content, over the whole engine: it is tried once, and nothing goes round in circles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.support.kstatus import check_conditions
from tests.support.observed import workload
from tests.support.process import Cosmos, Process

NAMESPACE, NAME = "shop", "orders-db"
BAD = '{"username": "app"}'
GOOD = '{"username": "app", "password": "canary-good"}'
DAILY = {"schedule": {"every": "1d", "window": "0s"}}


async def after_a_bad_version(**spec: Any) -> tuple[Cosmos, Process]:
    """v2, which lacks the password, was promoted by somebody, and its run is over."""
    cosmos = Cosmos()
    cosmos.aws.last_rotated = cosmos.outside.now
    body = {"secretId": cosmos.aws.name, "target": {"require": ["password"]}, **spec}
    cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, body)
    cosmos.workloads.add(workload("api"))
    process = Process(cosmos)
    await process.run()
    cosmos.outside.now += timedelta(hours=1)
    cosmos.aws.promote("v2", BAD)
    await process.run()
    return cosmos, process


def ends(cosmos: Cosmos) -> list[tuple[str, str]]:
    runs = sorted(cosmos.objects.all("RotationRun"), key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))
    return [(run["spec"]["trigger"], run["status"]["summary"]["step"]) for run in runs]


def ready(cosmos: Cosmos) -> tuple[str, str]:
    (secret,) = cosmos.objects.all("RotatingSecret")
    (found,) = [one for one in secret["status"]["conditions"] if one["type"] == "Ready"]
    return found["status"], found["reason"]


def writes(cosmos: Cosmos) -> list[str]:
    """All but the status of the connection, which says each hour that it is well."""
    return [write for write in cosmos.outside.writes if write != "status ClusterAWSConnection"]


def rotate(cosmos: Cosmos, name: str, **spec: Any) -> None:
    cosmos.objects.add("RotationRun", NAMESPACE, name, {"secretRef": {"name": NAME}, "action": "Rotate", "trigger": "Manual", **spec})


async def test_its_run_fails_in_the_end_no_other_is_made_of_it_and_the_last_good_content_stays() -> None:
    cosmos, process = await after_a_bad_version()
    before = writes(cosmos)
    assert await process.run_until(cosmos.outside.now + timedelta(days=2)) < 5
    assert (ends(cosmos), ready(cosmos)) == ([("Observed", "ContentInvalid")], ("False", "ContentInvalid"))
    assert cosmos.secrets.values(NAMESPACE, NAME)["password"] == "canary"
    assert writes(cosmos) == before
    await Process(cosmos).run_until(cosmos.outside.now + timedelta(days=2))
    assert (ends(cosmos), writes(cosmos)) == ([("Observed", "ContentInvalid")], before)
    assert [text for kind in ("RotatingSecret", "RotationRun") for raw in cosmos.objects.all(kind) for text in check_conditions(raw)] == []


async def test_a_good_version_mends_it() -> None:
    cosmos, process = await after_a_bad_version()
    cosmos.aws.promote("v3", GOOD)
    await process.run()
    assert (ends(cosmos)[-1], ready(cosmos)) == (("Observed", "Adopted"), ("True", "Mirrored"))
    assert cosmos.secrets.values(NAMESPACE, NAME)["password"] == "canary-good"
    assert cosmos.workloads.restarts == {("Deployment", "api"): 1}


async def test_an_edit_mends_it() -> None:
    cosmos, process = await after_a_bad_version()
    cosmos.objects.edit("RotatingSecret", NAMESPACE, NAME, {"target": {"require": ["username"]}})
    await process.run()
    assert (ends(cosmos)[-1], ready(cosmos)) == (("Observed", "Adopted"), ("True", "Mirrored"))


async def test_a_person_s_rotation_is_refused_with_an_answer_and_does_not_wait_for_ever() -> None:
    cosmos, process = await after_a_bad_version()
    rotate(cosmos, "now")
    await process.run()
    assert sorted(ends(cosmos)) == [("Manual", "ContentInvalid"), ("Observed", "ContentInvalid")]
    assert cosmos.aws.started == []


@pytest.mark.parametrize(("spec", "urgent"), [({"rotation": {"strategy": "SingleUser"}}, False), ({}, True)], ids=["SingleUser", "urgent"])
async def test_a_person_s_rotation_mends_it_where_nothing_is_left_to_lose_or_he_says_so(spec: dict[str, Any], urgent: bool) -> None:
    cosmos, process = await after_a_bad_version(**spec)
    cosmos.aws.values["v2"] = BAD.replace("}", ', "password": "canary-new"}')  # what the next rotation makes of it
    rotate(cosmos, "now", urgent=urgent)
    await process.run()
    assert (sorted(ends(cosmos)), ready(cosmos)) == ([("Manual", "Adopted"), ("Observed", "ContentInvalid")], ("True", "Mirrored"))
    assert len(cosmos.aws.started) == 1


async def test_a_person_s_rotation_does_not_wait_for_the_time_of_the_run_that_is_blocked() -> None:
    cosmos = Cosmos()
    cosmos.objects.add("RotatingSecret", NAMESPACE, NAME, {"secretId": cosmos.aws.name, "target": {"require": ["password"]}})
    process = Process(cosmos)
    await process.run()
    cosmos.aws.promote("v2", BAD)
    await process.run(patience=timedelta(minutes=1))
    assert ends(cosmos) == [("Observed", "Mirror: ContentInvalid")]
    rotate(cosmos, "now")
    await process.run(patience=timedelta(minutes=1))
    assert sorted(ends(cosmos)) == [("Manual", "ContentInvalid"), ("Observed", "ContentInvalid")]


async def test_the_schedule_backs_off_and_rotates_nothing_while_the_pods_may_lose_their_credential() -> None:
    cosmos, process = await after_a_bad_version(rotation=DAILY)
    await process.run_until(cosmos.outside.now + timedelta(days=1, hours=5))
    assert cosmos.aws.started == []
    assert [end for end in ends(cosmos) if end[0] == "Schedule"] == 3 * [("Schedule", "ContentInvalid")]  # each a tenth of a day later
    cosmos.aws.promote("v3", GOOD)
    await process.run_until(cosmos.outside.now + timedelta(hours=12))
    assert (ends(cosmos)[-1], ready(cosmos)) == (("Observed", "Adopted"), ("True", "Mirrored"))
