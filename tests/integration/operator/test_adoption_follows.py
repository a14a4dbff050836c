"""Adoption in the status and the columns follows the pods without a run, too: what is added, scaled, ends, or is done by hand."""

from __future__ import annotations

from tests.support.eventually import wait_until
from tests.support.kube import Object
from tests.support.rollouts import adoption, begin, change, ended, pods
from tests.support.shop import Shop
from tests.support.workloads import app, pod_spec

LINGERS = pod_spec("trap '' TERM; while :; do sleep 0.2; done") | {"terminationGracePeriodSeconds": 4}
EXTERNAL = {"timeout": "1s", "workloads": [{"kind": "Deployment", "name": "web", "onChange": "External"}]}


def counts(shop: Shop, on_version: int, all_pods: int, workloads: int, *, timeout: float = 45) -> Object:
    """The RotatingSecret, once its status counts so; the column says the same."""
    seen = shop.wait("RotatingSecret", "db", lambda seen: adoption(seen) == (on_version, all_pods, workloads), timeout=timeout)
    assert seen["status"]["summary"]["adopted"] == f"{on_version}/{all_pods}"
    return seen


def test_a_workload_that_is_added_later_is_counted(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    counts(shop, 1, 1, 1)
    shop.kube.apply(app("Deployment", "late"))
    counts(shop, 2, 2, 2)
    shop.adopted("db")
    assert shop.runs() == []


def test_a_workload_that_is_scaled_up_and_down_is_counted_with_the_pods_that_it_has(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    shop.kube.patch("Deployment", "web", {"spec": {"replicas": 3}})
    counts(shop, 3, 3, 1)
    shop.kube.patch("Deployment", "web", {"spec": {"replicas": 1}})
    counts(shop, 1, 1, 1)
    shop.adopted("db")


def test_a_workload_that_goes_is_no_longer_counted_and_without_any_adoption_is_unknown(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    shop.kube.delete("Deployment", "web")
    shop.says("Adopted", "Unknown", "NoConsumer")
    assert "adopted" not in shop.kube.get("RotatingSecret", "db")["status"]["summary"]


def test_old_pods_count_until_the_last_of_them_has_ended_even_where_no_run_looks(shop: Shop) -> None:
    begin(shop, app("Deployment", pod=LINGERS), rollout=EXTERNAL)
    assert ended(shop.over(change(shop, rollout=EXTERNAL))) == "Held"
    counts(shop, 0, 1, 1)
    (old,) = pods(shop)
    shop.plane.kubectl("rollout", "restart", "deployment/web", "-n", shop.namespace)
    counts(shop, 1, 2, 1)
    shop.says("Adopted", "False", "OldPods")
    wait_until(lambda: shop.kube.find("Pod", old) is None, what="the end of the old pod")
    counts(shop, 1, 1, 1)
    shop.adopted("db")


def test_the_columns_show_adoption_to_whoever_asks_with_kubectl(shop: Shop) -> None:
    begin(shop, app("Deployment", replicas=2))
    run = change(shop)
    shop.over(run)
    shop.adopted("db")
    lines = shop.plane.kubectl("get", "rotatingsecret,rotationrun", "-n", shop.namespace).stdout
    assert lines.count("2/2") == 2
