"""The operator's metrics, as a scrape shows them."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from keyturn.telemetry.metrics import Metrics

OURS = {
    "keyturn_build_info",
    "keyturn_reconcile",
    "keyturn_reconcile_duration_seconds",
    "keyturn_queue_depth",
    "keyturn_queue_latency_seconds",
    "keyturn_aws_api_requests",
    "keyturn_aws_api_request_duration_seconds",
    "keyturn_aws_polls",
    "keyturn_kube_requests",
    "keyturn_leader",
    "keyturn_rotations",
    "keyturn_rollouts",
    "keyturn_propagation_seconds",
    "keyturn_resources",
    "keyturn_event_loop_lag_seconds",
}


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(version="1.2.3")
    metrics.count_resources(lambda: [("RotatingSecret", "Ready", "True", 7)])
    return metrics


def sample(metrics: Metrics, line: str) -> float | None:
    found = re.search(rf"^{re.escape(line)} (\S+)$", metrics.render().decode(), re.MULTILINE)
    return float(found.group(1)) if found else None


def test_a_scrape_parses_and_has_exactly_our_names(metrics: Metrics) -> None:
    families = {family.name for family in text_string_to_metric_families(metrics.render().decode())}
    assert {name for name in families if name.startswith("keyturn_")} == OURS
    assert {"process_resident_memory_bytes", "python_info"} <= families


def test_each_method_moves_its_own_series(metrics: Metrics) -> None:
    metrics.reconciled("RotatingSecret", "ok", 0.02)
    metrics.queue_depth(lambda: 3)
    metrics.queue_latency(0.3)
    metrics.aws_request("GetSecretValue", "OK", 0.1)
    metrics.kube_request("PATCH", 409, 0.1)
    metrics.leader(True)
    metrics.rotation_over("Succeeded")
    metrics.rollout_over("Held")
    metrics.propagated(42)
    metrics.event_loop_lag(0.5)
    expected = {
        'keyturn_build_info{version="1.2.3"}': 1,
        'keyturn_reconcile_total{kind="RotatingSecret",result="ok"}': 1,
        'keyturn_reconcile_duration_seconds_sum{kind="RotatingSecret"}': 0.02,
        "keyturn_queue_depth": 3,
        "keyturn_queue_latency_seconds_count": 1,
        'keyturn_aws_api_requests_total{code="OK",operation="GetSecretValue"}': 1,
        'keyturn_aws_api_request_duration_seconds_count{operation="GetSecretValue"}': 1,
        'keyturn_kube_requests_total{code="409",verb="PATCH"}': 1,
        "keyturn_leader": 1,
        'keyturn_rotations_total{result="Succeeded"}': 1,
        'keyturn_rollouts_total{result="Held"}': 1,
        'keyturn_propagation_seconds_bucket{le="60.0"}': 1,
        'keyturn_propagation_seconds_bucket{le="30.0"}': 0,
        'keyturn_resources{condition="Ready",kind="RotatingSecret",status="True"}': 7,
        "keyturn_event_loop_lag_seconds": 0.5,
    }
    assert {line: sample(metrics, line) for line in expected} == expected


def test_two_processes_worth_of_metrics_live_side_by_side() -> None:
    first, second = Metrics(version="1"), Metrics(version="2")
    first.leader(True)
    assert (sample(first, "keyturn_leader"), sample(second, "keyturn_leader")) == (1, 0)


def test_objects_that_are_gone_leave_no_series_behind() -> None:
    counts = [("RotationRun", "Complete", "True", 1)]
    metrics = Metrics(version="1")
    metrics.count_resources(lambda: counts)
    assert b"RotationRun" in metrics.render()
    counts.clear()
    assert b"RotationRun" not in metrics.render()
