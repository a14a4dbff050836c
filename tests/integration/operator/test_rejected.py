"""A version that cannot become the Secret's content: said everywhere, ended in time, and mended by whatever mends it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.kube import Object, condition
from tests.support.rollouts import ended
from tests.support.shop import Shop, steps

NEEDED: dict[str, Any] = {"target": {"require": ["host"]}}


@pytest.fixture
def rejected(shop: Shop) -> Shop:
    """A tenant whose pods run on the first version, and whose second one lacks a required field."""
    begin(shop, timeout="3s")
    return shop


def begin(shop: Shop, *, timeout: str, **spec: Any) -> Object:
    """The second version's run, once it says that this cannot become the content."""
    before = shop.put("db", host="db.example")
    shop.rotating_secret("db", rollout={"timeout": timeout}, **NEEDED, **spec)
    shop.deployment("web")
    shop.adopted("db", version=before)
    shop.promote("db")
    assert 'lacks "host"' in shop.stalled("ContentInvalid")
    return shop.first_run("Observed")


def test_the_run_says_what_to_do_until_its_time_is_over_and_the_secret_keeps_the_last_good_content(shop: Shop) -> None:
    name = begin(shop, timeout="8s")["metadata"]["name"]
    good = shop.data("db")
    shop.step_is(name, "Mirror", "Waiting", saying="edit spec.target")
    run = shop.over(name)
    assert (ended(run), steps(run)["Mirror"]["state"]) == ("ContentInvalid", "Failed")
    assert 'lacks "host"' in condition(run, "Failed")["message"]
    assert "put-secret-value" in shop.stalled("ContentInvalid")
    assert (shop.data("db"), good["host"]) == (good, "db.example")
    shop.says("Mirrored", "True", "Written")


def test_a_person_s_rotation_after_it_fails_at_once_with_the_reason_and_an_urgent_one_takes_the_risk(rejected: Shop) -> None:
    rejected.over(rejected.first_run("Observed")["metadata"]["name"])
    current = rejected.current("db")
    rejected.run("now")
    run = rejected.over("now")
    assert ended(run) == "ContentInvalid"
    assert "keyturn rotate db -n" in condition(run, "Failed")["message"]
    assert rejected.current("db") == current
    rejected.says("RotationOnTime", "False", "ContentInvalid")
    rejected.run("urgent", urgent=True)
    assert rejected.over("urgent")["status"]["versions"]["from"] == current  # what it rotates to lacks the field too
    assert rejected.current("db") != current
    assert [run["spec"]["trigger"] for run in rejected.runs()].count("Observed") == 1


def test_a_person_s_rotation_does_not_wait_and_rotates_on_where_the_pods_have_lost_their_password_anyway(shop: Shop) -> None:
    blocked = begin(shop, timeout="10m", rotation={"strategy": "SingleUser"})["metadata"]["name"]
    bad = shop.current("db")
    shop.run("now")
    shop.step_is("now", "Rotate", "Succeeded")
    assert ended(shop.over(blocked)) == "ContentInvalid"
    assert shop.current("db") != bad


@pytest.mark.parametrize("mend", ["a good version", "an edit"])
def test_a_good_version_or_an_edit_mends_it_after_its_run_is_over(rejected: Shop, mend: str) -> None:
    rejected.over(rejected.first_run("Observed")["metadata"]["name"])
    if mend == "a good version":
        rejected.promote("db", host="db2.example")
        spec = NEEDED
    else:
        spec = {}
    rejected.rotating_secret("db", rollout={"timeout": "60s"}, **spec)
    seen = rejected.adopted("db", version=rejected.current("db"), timeout=60)
    assert "rejected" not in seen["status"]
    assert rejected.data("db") == rejected.value("db")
