"""Rollouts of Argo under their real controller: restarted by the annotation, waited for, in waves, paused, and aborted.

The controller's build takes minutes once, so this is no part of `make test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object, condition
from tests.support.lab import fresh_namespace, running_node
from tests.support.operator import install, running_operator
from tests.support.rollouts import adoption, begin, change, ended, pods, state_is
from tests.support.shop import Shop
from tests.support.workloads import app, mark, row, template

from keyturn_lab.argo_rollouts import ArgoRollouts
from keyturn_lab.aws import Aws
from keyturn_lab.controlplane import ControlPlane

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]  # the first one builds the controller, where make has not

SLOW: dict[str, Any] = {"minReadySeconds": 3}
"""Old pods stand long enough for a test to see them."""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane with our kinds, and Argo's with their controller."""
    with ControlPlane() as running:
        install(running)
        with ArgoRollouts(running):
            yield running


@pytest.fixture(scope="module")
def own_aws(plane: ControlPlane) -> Iterator[Aws]:
    """AWS, a node and the operator."""
    with Aws(region="eu-west-1") as aws, running_node(plane), running_operator(plane, aws.environment):
        yield aws


@pytest.fixture
def shop(plane: ControlPlane, own_aws: Aws) -> Iterator[Shop]:
    """A tenant."""
    with fresh_namespace(plane) as namespace:
        made = Shop(plane=plane, kube=Kube(plane.client, namespace), aws=own_aws, namespace=namespace, function="")
        yield made
        assert made.complaints() == []


def rollout(name: str = "web", *, steps: list[Object] | None = None, **spec: Any) -> Object:
    """A Rollout by canary whose pods read the Secret `db`."""
    strategy = {"canary": {"steps": steps or []}}
    body = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template(name), "strategy": strategy}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": body | spec}


def healthy(shop: Shop, name: str = "web") -> Object:
    """The Rollout, once its controller says that it is Healthy."""
    return shop.kube.wait_for("Rollout", name, lambda seen: seen["status"]["phase"] == "Healthy", timeout=60)


def test_a_rollout_is_found_by_its_template_restarted_and_adopted_when_its_controller_is_through(shop: Shop) -> None:
    begin(shop, rollout())
    before = pods(shop)
    over = shop.over(change(shop), timeout=120)
    assert ended(over) == "Adopted"
    assert (row(over, "Rollout", "web")["state"], row(over, "Rollout", "web")["podsOnVersion"]) == ("Adopted", 2)
    assert not set(before.values()) & set(pods(shop).values())
    assert mark(healthy(shop))
    assert adoption(shop.adopted()) == (2, 2, 1)


def test_a_blue_green_rollout_is_adopted_when_its_old_pods_are_gone(shop: Shop) -> None:
    shop.kube.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    )
    begin(shop, rollout(strategy={"blueGreen": {"activeService": "web", "scaleDownDelaySeconds": 3}}))
    before = pods(shop)
    over = shop.over(change(shop), timeout=120)
    assert ended(over) == "Adopted"
    assert not set(before.values()) & set(pods(shop).values())


def test_a_rollout_that_borrows_a_deployments_template_is_restarted_through_it_and_its_pods_are_waited_for(shop: Shop) -> None:
    borrows = rollout(workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
    del borrows["spec"]["template"]
    begin(shop, app("Deployment", replicas=0), borrows)
    healthy(shop)
    before = pods(shop)
    over = shop.over(change(shop), timeout=120)
    assert ended(over) == "Adopted"
    assert row(over, "Deployment", "web")["podsOnVersion"] == 2
    assert len(pods(shop)) == 2
    assert not set(before.values()) & set(pods(shop).values())


def test_the_next_wave_is_not_touched_before_the_rollout_of_this_one_is_healthy(shop: Shop) -> None:
    order = {"workloads": [{"kind": "Deployment", "name": "next", "wave": 1}]}
    begin(shop, rollout(**SLOW), app("Deployment", "next"), rollout=order)
    run = change(shop, rollout=order)
    state_is(shop, run, "Rollout", "web", "Restarting")
    assert mark(shop.kube.get("Deployment", "next")) is None
    wait_until(lambda: mark(shop.kube.get("Deployment", "next")), timeout=60, what="the next wave")
    assert shop.kube.get("Rollout", "web")["status"]["phase"] == "Healthy"
    assert ended(shop.over(run, timeout=120)) == "Adopted"


def test_a_canary_that_pauses_is_waited_for_and_goes_on_when_somebody_promotes_it(shop: Shop) -> None:
    begin(shop, rollout(steps=[{"setWeight": 50}, {"pause": {}}]), rollout={"timeout": "2m"})
    run = change(shop, rollout={"timeout": "2m"})
    state_is(shop, run, "Rollout", "web", "Waiting", saying="paused", timeout=60)
    assert "completionTime" not in shop.kube.get("RotationRun", run)["status"]
    shop.kube.patch("Rollout", "web", {"status": {"promoteFull": True}}, subresource="status")
    assert ended(shop.over(run, timeout=120)) == "Adopted"


def test_a_rollout_that_is_aborted_is_held_and_named(shop: Shop) -> None:
    short = {"timeout": "25s"}
    begin(shop, rollout(steps=[{"setWeight": 50}, {"pause": {}}]), rollout=short)
    run = change(shop, rollout=short)
    state_is(shop, run, "Rollout", "web", "Waiting", saying="paused", timeout=60)
    shop.kube.patch("Rollout", "web", {"status": {"abort": True}}, subresource="status")
    shop.kube.wait_for("Rollout", "web", lambda seen: seen["status"]["phase"] == "Degraded", timeout=30)
    over = shop.over(run, timeout=120)
    assert ended(over) == "Held"
    assert "Rollout web: it was aborted" in condition(over, "Failed")["message"]


def test_new_pods_that_do_not_get_ready_hold_the_run(shop: Shop) -> None:
    short = {"timeout": "15s"}
    begin(shop, rollout(), rollout=short)
    manifest = rollout()
    manifest["spec"]["template"]["spec"]["containers"][0]["args"] = ['test "${EDITED:-}" = "" && exec sleep 300; exit 1']
    shop.kube.apply(manifest)
    shop.kube.wait_for(
        "Rollout", "web", lambda seen: seen["status"]["updatedReplicas"] == 2 and seen["status"]["phase"] == "Healthy", timeout=60
    )
    over = shop.over(change(shop, rollout=short), timeout=120)
    assert ended(over) == "Held"
    assert "Rollout web" in condition(over, "Failed")["message"]
