"""The figures of an operator at work."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from tests.support.eventually import wait_until
from tests.support.kube import condition
from tests.support.operator import Operator
from tests.support.shop import Shop

from keyturn.handlers import PLURALS


def value(operator: Operator, name: str, **labels: str) -> float:
    """One sample of a scrape; 0 where it is not there."""
    samples = (sample for family in text_string_to_metric_families(operator.metrics()) for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == name and sample.labels == labels), 0.0)


def test_a_rotation_and_its_rollout_are_counted_once_each(shop: Shop, operator: Operator) -> None:
    counters = ("keyturn_rotations_total", "keyturn_rollouts_total")
    before = [value(operator, name, result="Succeeded") for name in counters]
    shop.put("db")
    shop.rotating_secret("db")
    shop.deployment("web")
    shop.adopted("db")
    shop.run("now")
    assert condition(shop.over("now"), "Complete")["reason"] == "Adopted"
    shop.adopted("db")
    assert [value(operator, name, result="Succeeded") for name in counters] == [count + 1 for count in before]


def test_the_watches_of_our_kinds_are_counted_among_the_requests(shop: Shop, operator: Operator) -> None:
    wait_until(
        lambda: value(operator, "keyturn_kube_requests_total", verb="WATCH", code="200") > len(PLURALS),
        what="a watch of each kind, and the one of Secrets",
    )


def test_an_operator_at_work_is_alive_and_has_no_keys_that_wait_for_long(shop: Shop, operator: Operator) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    assert operator.probe("healthz") == (200, "ok\n")
    wait_until(lambda: value(operator, "keyturn_queue_depth") == 0, what="an empty queue")
