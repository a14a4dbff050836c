"""Kubernetes events about our objects: queued, rate-limited, repeats counted in a series instead of told again.

events.k8s.io/v1, because `kubectl describe` shows its reason, note, reporter and series, and a series is one object however often it
repeats. Losing an event is harmless (conditions and steps hold the truth), so nothing here ever blocks or fails its caller.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from keyturn.adapters.kube.client import FIELD_MANAGER, MERGE_PATCH, Json, KubeClient
from keyturn.domain.failures import FailureKind, OutsideError

CONTROLLER = "keyturn.dev/operator"
NOTE_LIMIT = 1024  # the API's
CLUSTER_EVENTS = "default"  # where events about cluster-wide objects live
REFERENCE = ("apiVersion", "kind", "namespace", "name", "uid", "resourceVersion")

RETRY = 5.0  # seconds after an outage
NAP = 0.2  # seconds between two looks whether there is other work

K = TypeVar("K")
V = TypeVar("V")
_PARAMS = {"fieldManager": FIELD_MANAGER}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How much is told. Times in seconds."""

    queue: int = 4096
    remembered: int = 4096  # series that a repeat can join
    window: float = 600.0  # a repeat within this joins the series
    quiet: float = 30.0  # between two updates of one series
    patience: float = 15.0  # for how long an event waits while there is other work
    burst: int = 25  # new events of one object at once,
    refill: float = 20.0  # and then one per this


Key = tuple[str, ...]


@dataclass(slots=True)
class _Series:
    """One event and its repeats."""

    key: Key
    body: Json
    observed: datetime  # the last time, and on the monotonic clock:
    seen: float
    patient_until: float
    count: int = 1
    told: int = 0  # how many of them the API server knows of
    not_before: float = 0.0  # when it may hear more


@dataclass(slots=True)
class _Allowance:
    """A token bucket."""

    tokens: float
    at: float


class KubeRecorder:
    """The port `Recorder`. `run` is its background task; without it, events only wait."""

    def __init__(
        self,
        client: KubeClient,
        *,
        instance: str,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """While it is `busy`, the API server has better things to do than to hear what happens."""
        self._busy = busy
        self._client, self._instance, self._clock = client, instance, clock
        self._rules = rules or Rules()
        self._series: OrderedDict[Key, _Series] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()
        self._due: OrderedDict[Key, _Series] = OrderedDict()
        self._wake = asyncio.Event()
        self.dropped = 0

    def record(self, regarding: Json, *, warning: bool, reason: str, message: str, action: str) -> None:
        """Queue an event about an object (a reference, or the object itself); never blocks, never fails the caller."""
        reference, note, now = _reference(regarding), message[:NOTE_LIMIT], self._clock()
        uid = reference.get("uid", "")
        key = (uid, reference["kind"], reference["name"], str(warning), reason, action, note)
        series = self._series.get(key)
        if series is not None and now - series.seen < self._rules.window:
            series.count, series.seen, series.observed = series.count + 1, now, datetime.now(UTC)
        elif self._allowed(uid, now):
            body = self._body(reference, warning=warning, reason=reason, note=note, action=action)
            series = _Series(key=key, body=body, seen=now, observed=datetime.now(UTC), patient_until=now + self._rules.patience)
        else:
            self.dropped += 1
            return
        _keep(self._series, key, series, self._rules.remembered)
        self._queue(series)

    async def run(self) -> None:
        """Tell the API server, for ever."""
        while True:
            self._wake.clear()
            now = self._clock()
            for series in [series for series in self._due.values() if series.not_before <= now]:
                await self._stand_back(series)
                if self._due.pop(series.key, None) is not None:
                    await self._tell(series)
            await self._pause()

    async def _stand_back(self, series: _Series) -> None:
        """What an event is about comes before the event."""
        while self._busy() and self._clock() < series.patient_until:  # noqa: ASYNC110 - nobody tells when the work is done
            await asyncio.sleep(NAP)

    async def _pause(self) -> None:
        """Until there is something new, or a series that may be updated."""
        next_time = min((series.not_before for series in self._due.values()), default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if next_time is None else max(0.0, next_time - self._clock())):
                await self._wake.wait()

    async def _tell(self, series: _Series) -> None:
        count, first = series.count, not series.told
        try:
            await (self._create(series) if first else self._update(series, count))
        except OutsideError as error:
            self._failed(series, error)
            return
        series.told = 1 if first else count
        series.not_before = self._clock() + self._rules.quiet
        if series.count > series.told:
            self._queue(series)

    async def _create(self, series: _Series) -> None:
        meta = series.body["metadata"]
        await self._client.request("POST", _path(meta["namespace"]), series.body, subject=_subject(meta), params=_PARAMS)

    async def _update(self, series: _Series, count: int) -> None:
        meta = series.body["metadata"]
        path = f"{_path(meta['namespace'])}/{meta['name']}"
        patch: Json = {"series": {"count": count, "lastObservedTime": _micro_time(series.observed)}}
        await self._client.request("PATCH", path, patch, subject=_subject(meta), content_type=MERGE_PATCH, params=_PARAMS)

    def _failed(self, series: _Series, error: OutsideError) -> None:
        """An outage is tried again; a namespace that is gone, or a missing permission, is not."""
        _log.debug("%s", error.message)
        if error.kind is FailureKind.TRANSIENT:
            series.not_before = self._clock() + RETRY
            self._queue(series)
        else:
            self._series.pop(series.key, None)  # the next repeat begins anew
            self.dropped += 1

    def _queue(self, series: _Series) -> None:
        self.dropped += _keep(self._due, series.key, series, self._rules.queue)
        self._wake.set()

    def _allowed(self, uid: str, now: float) -> bool:
        known = self._allowances.get(uid) or _Allowance(self._rules.burst, now)
        known.tokens = min(self._rules.burst, known.tokens + (now - known.at) / self._rules.refill)
        known.at = now
        _keep(self._allowances, uid, known, self._rules.remembered)
        if known.tokens < 1:
            return False
        known.tokens -= 1
        return True

    def _body(self, reference: Json, *, warning: bool, reason: str, note: str, action: str) -> Json:
        name = f"{reference['name'][:200]}.{uuid.uuid4().hex[:16]}"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": reference.get("namespace") or CLUSTER_EVENTS},
            "eventTime": _micro_time(datetime.now(UTC)),
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "note": note,
            "action": action,
            "regarding": reference,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
        }


def _keep(cache: OrderedDict[K, V], key: K, value: V, limit: int) -> int:
    """Put it in as the newest, and let the oldest go beyond the limit; answers how many went."""
    cache[key] = value
    cache.move_to_end(key)
    surplus = max(0, len(cache) - limit)
    for _ in range(surplus):
        cache.popitem(last=False)
    return surplus


def _path(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _subject(meta: Json) -> str:
    return f"event {meta['namespace']}/{meta['name']}"


def _reference(regarding: Json) -> Json:
    flat = {**regarding.get("metadata", {}), **{key: value for key, value in regarding.items() if key != "metadata"}}
    return {key: flat[key] for key in REFERENCE if flat.get(key)}


def _micro_time(moment: datetime) -> str:
    """Six digits, always: Go's MicroTime accepts nothing else."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
