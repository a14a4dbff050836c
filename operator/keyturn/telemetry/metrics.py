"""The operator's own metrics. Names follow Prometheus's rules: base units, `_total` on counters; few series, none per object.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PASS_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)
_PROPAGATION_SECONDS = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600, 86400)

_without_created = cast("Callable[[], None]", disable_created_metrics)  # the library leaves it untyped

OTHER = "Other"
ROTATION_RESULTS = (
    *("Succeeded", "RotationFailed", "RotationStuck", "Superseded"),
    *("RotationNotConfigured", "ContentInvalid", "NotAllowed", "SourceAccessDenied", "SourceDeleted", "SecretDeleted"),
)
ROLLOUT_RESULTS = ("Succeeded", "Held", "Superseded", "SecretDeleted")
"""Succeeded, or the reason why the run is over; every other reason is OTHER, so that the series stay few."""

ResourceCounts = Iterable[tuple[str, str, str, int]]
"""(kind, condition, status, how many objects)"""


class CountsResources(Protocol):
    """Called at each scrape."""

    def __call__(self) -> ResourceCounts:
        """Counts from the caches; no I/O."""


class Metrics:
    """All metrics, in a registry of their own, so that several can live in one process."""

    def __init__(self, *, version: str) -> None:
        _without_created()  # a second series for each one, which no dashboard reads
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        build = Gauge("keyturn_build_info", "The version of this process; always 1.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._reconciles = Counter(
            "keyturn_reconcile_total", "Passes over an object, by kind and result.", ["kind", "result"], registry=registry
        )
        self._reconcile_seconds = Histogram(
            "keyturn_reconcile_duration_seconds", "How long a pass took.", ["kind"], buckets=_PASS_SECONDS, registry=registry
        )
        self._depth = Gauge("keyturn_queue_depth", "Keys that are due and wait for a worker.", registry=registry)
        self._latency = Histogram(
            "keyturn_queue_latency_seconds", "From being due to being worked on.", buckets=_PASS_SECONDS, registry=registry
        )
        self._aws = Counter(
            "keyturn_aws_api_requests_total", "Calls of AWS APIs, by operation and answer.", ["operation", "code"], registry=registry
        )
        self._polls = Counter("keyturn_aws_polls_total", "Looks at all secrets of a connection, by outcome.", ["result"], registry=registry)
        self._aws_seconds = Histogram(
            "keyturn_aws_api_request_duration_seconds",
            "How long a call of an AWS API took.",
            ["operation"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._kube = Counter(
            "keyturn_kube_requests_total",
            "Requests to the API server, by verb and code; 0: no answer.",
            ["verb", "code"],
            registry=registry,
        )
        self._leader = Gauge("keyturn_leader", "1 on the process that holds the lease.", registry=registry)
        self._rotations = Counter("keyturn_rotations_total", "Rotations that are over, by result.", ["result"], registry=registry)
        self._rollouts = Counter("keyturn_rollouts_total", "Rollouts that are over, by result.", ["result"], registry=registry)
        for counter, results in ((self._rotations, ROTATION_RESULTS), (self._rollouts, ROLLOUT_RESULTS)):
            for result in (*results, OTHER):
                counter.labels(result)  # from 0 on: a rate over a series that begins with 1 misses that one
        self._propagation = Histogram(
            "keyturn_propagation_seconds",
            "From the promotion of a version to the moment when every pod runs on it.",
            buckets=_PROPAGATION_SECONDS,
            registry=registry,
        )
        self._lag = Gauge("keyturn_event_loop_lag_seconds", "How late the event loop runs what is due.", registry=registry)

    def count_resources(self, counts: CountsResources) -> None:
        """Where keyturn_resources comes from; to be called once."""
        self.registry.register(_Resources(counts))

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """A pass over an object is over."""
        self._reconciles.labels(kind, result).inc()
        self._reconcile_seconds.labels(kind).observe(seconds)

    def queue_depth(self, keys: Callable[[], int]) -> None:
        """How many keys wait: asked at each scrape."""
        self._depth.set_function(keys)

    def queue_latency(self, seconds: float) -> None:
        """How long a key has waited."""
        self._latency.observe(seconds)

    def aws_request(self, operation: str, code: str, seconds: float) -> None:
        """`code` is OK or AWS's error code."""
        self._aws.labels(operation, code).inc()
        self._aws_seconds.labels(operation).observe(seconds)

    def aws_poll(self, result: str, seconds: float) -> None:
        """One look at everything that is followed; result is OK or the reason why it failed."""
        self._polls.labels(result).inc()

    def kube_request(self, verb: str, code: int, seconds: float) -> None:
        """Fits KubeClient's `on_request`; the time is not kept, the API server measures it itself."""
        self._kube.labels(verb, str(code)).inc()

    def leader(self, leading: bool) -> None:
        """Whether this process holds the lease."""
        self._leader.set(int(leading))

    def rotation_over(self, result: str) -> None:
        """Succeeded, or the reason of the run's end."""
        self._rotations.labels(result if result in ROTATION_RESULTS else OTHER).inc()

    def rollout_over(self, result: str) -> None:
        """Succeeded, or the reason of the run's end."""
        self._rollouts.labels(result if result in ROLLOUT_RESULTS else OTHER).inc()

    def propagated(self, seconds: float) -> None:
        """All pods have adopted a version, so long after its promotion."""
        self._propagation.observe(seconds)

    def event_loop_lag(self, seconds: float) -> None:
        """See health.LoopLag."""
        self._lag.set(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)


class _Resources(Collector):
    """Counts objects when asked, so that nothing has to be kept in step."""

    def __init__(self, counts: CountsResources) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """One family with the present counts."""
        family = GaugeMetricFamily("keyturn_resources", "Objects by kind, condition and status.", labels=["kind", "condition", "status"])
        for kind, condition, status, number in self._counts():
            family.add_metric([kind, condition, status], number)
        return [family]

    def describe(self) -> Iterable[Metric]:
        """Its name, without asking for counts at registration."""
        return [GaugeMetricFamily("keyturn_resources", "Objects by kind, condition and status.")]
