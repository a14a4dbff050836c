"""Which workloads count as users of the Secret: those whose pod template names it, or those that the spec names."""

from __future__ import annotations

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Object, condition
from tests.support.rollouts import adoption, begin, change
from tests.support.shop import SLEEPER, Shop, steps
from tests.support.workloads import ENV_FROM, app, pod_spec

MOUNT = {"volumeMounts": [{"name": "secret", "mountPath": "/run/db"}]}
WAYS = {
    "env": pod_spec(container={"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}),
    "envFrom": pod_spec(),
    "volume": pod_spec(container=MOUNT, volumes=[{"name": "secret", "secret": {"secretName": "db"}}]),
    "projected": pod_spec(container=MOUNT, volumes=[{"name": "secret", "projected": {"sources": [{"secret": {"name": "db"}}]}}]),
    "init only": pod_spec(container={}, initContainers=[{"name": "init", "image": "sh", "args": ["true"], **ENV_FROM}]),
}
NO_REFERENCE = pod_spec(container={})
TYPO: list[Object] = [{"kind": "Deployment", "name": "wbe"}]


@pytest.mark.parametrize("pod", WAYS.values(), ids=WAYS.keys())
def test_a_workload_that_names_the_secret_in_its_template_is_a_consumer(shop: Shop, pod: Object) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db")
    shop.kube.apply(app("Deployment", pod=pod))
    seen = shop.adopted("db")
    assert adoption(seen) == (1, 1, 1)
    assert seen["status"]["summary"]["adopted"] == "1/1"


def test_a_secret_that_only_pulls_images_has_no_consumer(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.kube.apply(app("Deployment", pod=pod_spec(SLEEPER, container={}, imagePullSecrets=[{"name": "db"}])))
    shop.kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 1)
    shop.rotating_secret("db")
    assert "no workload" in shop.says("Adopted", "Unknown", "NoConsumer")


def test_without_any_consumer_adoption_is_unknown_and_the_column_is_empty(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db")
    shop.says("Adopted", "Unknown", "NoConsumer")
    assert "adopted" not in shop.kube.get("RotatingSecret", "db")["status"]["summary"]


def test_without_discovery_a_named_workload_is_a_consumer_and_needs_no_reference(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.kube.apply(app("Deployment", pod=NO_REFERENCE))
    shop.kube.apply(app("Deployment", "other", pod=NO_REFERENCE))
    shop.rotating_secret("db", rollout={"discovery": "None", "workloads": [{"kind": "Deployment", "name": "web"}]})
    seen = shop.wait("RotatingSecret", "db", lambda seen: adoption(seen)[1:] == (1, 1))
    assert condition(seen, "Adopted")["status"] in ("True", "False")


def test_workloads_that_are_left_out_make_adoption_unknown(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db", rollout={"discovery": "None", "workloads": [{"kind": "Deployment", "name": "web"}]})
    shop.ready("db")
    shop.kube.apply(app("Deployment", "web"))
    shop.kube.apply(app("Deployment", "left-out"))
    message = shop.says("Adopted", "Unknown", "WorkloadsExcluded")
    assert message.startswith("1 workloads that use the Secret are left out")


def test_a_run_that_leaves_workloads_out_says_so_and_does_not_touch_them(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db", rollout={"discovery": "None"})
    shop.ready("db")
    before = shop.kube.apply(app("Deployment", "left-out"))[0]
    shop.rotating_secret("db", rollout={"discovery": "None"}, target={"template": {"EDITED": "yes"}})
    run = shop.over(shop.first_run("Edited")["metadata"]["name"])
    (rollout,) = (step for step in run["status"]["steps"] if step["name"] == "Rollout")
    assert "1 workloads" in rollout["message"]
    assert shop.kube.get("Deployment", "left-out")["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_workload_that_is_named_and_not_there_is_said_by_the_object_and_its_run_and_told_once(shop: Shop) -> None:
    begin(shop, app("Deployment", "web"), rollout={"workloads": TYPO})
    assert "Deployment wbe" in condition(shop.kube.get("RotatingSecret", "db"), "Adopted")["message"]
    run = change(shop, rollout={"workloads": TYPO})
    seen = shop.over(run)
    assert condition(seen, "Complete")["reason"] == "Adopted"
    assert "Deployment wbe" in steps(seen)["Rollout"]["message"]
    wait_until(lambda: told(shop, run, "WorkloadsMissing"), what="the event")
    (event,) = told(shop, run, "WorkloadsMissing")
    assert event["type"] == "Warning"
    shop.kube.apply(app("Deployment", "wbe"))
    shop.wait("RotatingSecret", "db", lambda seen: "wbe" not in condition(seen, "Adopted")["message"])


def told(shop: Shop, run: str, reason: str) -> list[Object]:
    """The events of a run with that reason."""
    return [event for event in shop.events(run) if event["reason"] == reason]


def test_a_named_workload_that_is_taken_away_is_said_and_an_edit_that_drops_the_name_ends_it(shop: Shop) -> None:
    begin(
        shop, app("Deployment", "web"), app("Deployment", "api"), rollout={"workloads": [{"kind": "Deployment", "name": "api", "wave": 1}]}
    )
    shop.kube.delete("Deployment", "api")
    shop.wait("RotatingSecret", "db", lambda seen: "Deployment api" in condition(seen, "Adopted")["message"])
    shop.rotating_secret("db")
    shop.wait("RotatingSecret", "db", lambda seen: "Deployment api" not in condition(seen, "Adopted")["message"])
