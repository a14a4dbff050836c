"""One leader by Lease, client-go's algorithm: a standby takes over once the record has not changed for the lease's duration.

Expiry is judged by the local monotonic clock since the record was last seen to change, never by comparing two machines' clocks. A leader
that cannot renew within the deadline must assume that it has been replaced, and its process must end: see `hold`.
https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keyturn.adapters.kube.client import FIELD_MANAGER, Json, KubeClient
from keyturn.domain.failures import FailureKind, OutsideError

_PARAMS = {"fieldManager": FIELD_MANAGER}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """Seconds. A crash is followed by a new leader after at most duration + retry; a leader gives up before, at `renew`."""

    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew > self.retry * 1.2 > 0:
            raise ValueError("a lease needs duration > renew > 1.2 * retry > 0")


class Elector:
    """A candidate for one Lease, under an identity that no other process has. `leading` is what /readyz and the metrics tell."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._identity, self._clock = client, identity, clock
        self._namespace, self._name = namespace, name
        self._times = times or LeaseTimes()
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._seen: tuple[object, ...] | None = None
        self._seen_at = 0.0
        self.leading = False
        self.last_contact: float | None = None  # monotonic: when the API server last answered

    async def acquire(self) -> None:
        """Return as the leader. Outages and refusals are waited out, for ever."""
        while True:
            held = await self._attempt(self._times.renew / 2)
            if held:
                self.leading = True
                _log.info("leading as %s", self._identity)
                return
            await asyncio.sleep(self._retry())

    async def hold(self) -> None:
        """Renew until leadership can no longer be proved, then return: the process must end at once, others may lead already."""
        deadline = self._clock() + self._times.renew
        while (left := deadline - self._clock()) > 0:
            asked = self._clock()
            held = await self._attempt(min(left, self._times.renew / 2))
            if held is False:
                break
            if held:
                deadline = asked + self._times.renew
            await asyncio.sleep(min(self._retry(), max(0.0, deadline - self._clock())))
        self.leading = False
        _log.error("the lease %s/%s is lost", self._namespace, self._name)

    async def release(self) -> None:
        """Give the lease up, so that a standby follows at once. For a clean end; an outage is ignored, the lease expires by itself."""
        self.leading = False
        try:
            async with asyncio.timeout(self._times.retry):
                lease = await self._read()
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                    await self._replace(lease)
        except (OutsideError, TimeoutError) as error:
            _log.info("the lease was not released, it will expire: %s", type(error).__name__)

    async def _attempt(self, seconds: float) -> bool | None:
        """True: renewed or taken just now. False: it is somebody else's. None: it cannot be told; ask again."""
        try:
            async with asyncio.timeout(seconds):
                held = await self._step()
        except (OutsideError, TimeoutError) as error:
            _log.warning("the lease %s/%s: %s", self._namespace, self._name, getattr(error, "message", "no answer in time"))
            return None
        return held

    async def _step(self) -> bool | None:
        try:
            lease = await self._read()
            if lease is None:
                await self._create()
                return True
            if not self._free(lease):
                return False
            await self._replace(self._taken(lease))
        except OutsideError as error:
            if error.kind is FailureKind.CONFLICT:  # somebody wrote in between: another candidate, or only an annotation
                return None
            raise
        return True

    def _free(self, lease: Json) -> bool:
        """Ours, given up, or not renewed for its duration."""
        spec = lease["spec"]
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock()
        holder = spec.get("holderIdentity")
        duration = spec.get("leaseDurationSeconds") or self._times.duration
        return not holder or holder == self._identity or self._clock() >= self._seen_at + duration

    def _taken(self, lease: Json) -> Json:
        spec = lease["spec"]
        spec |= {"renewTime": _now(), "leaseDurationSeconds": round(self._times.duration) or 1}
        if spec.get("holderIdentity") != self._identity:
            transitions = (spec.get("leaseTransitions") or 0) + 1
            spec |= {"holderIdentity": self._identity, "acquireTime": _now(), "leaseTransitions": transitions}
        return lease

    async def _read(self) -> Json | None:
        try:
            lease: Json | None = await self._request("GET", f"{self._collection}/{self._name}")
        except OutsideError as error:
            if error.kind is not FailureKind.MISSING:
                raise
            self.last_contact, lease = self._clock(), None
        return lease

    async def _create(self) -> None:
        spec = {"holderIdentity": self._identity, "acquireTime": _now(), "renewTime": _now(), "leaseTransitions": 0}
        spec["leaseDurationSeconds"] = round(self._times.duration) or 1
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}, "spec": spec}
        await self._request("POST", self._collection, body)

    async def _replace(self, lease: Json) -> None:
        lease["metadata"].pop("managedFields", None)
        await self._request("PUT", f"{self._collection}/{self._name}", lease)

    async def _request(self, method: str, path: str, body: Json | None = None) -> Json:
        subject = f"Lease {self._namespace}/{self._name}"
        answer = await self._client.request(method, path, body, subject=subject, params=_PARAMS if body else None)
        self.last_contact = self._clock()
        return answer

    def _retry(self) -> float:
        return self._times.retry * random.uniform(1, 1.2)  # noqa: S311 - jitter, so that candidates do not ask in step


def _now() -> str:
    """Six digits, always: Go's MicroTime accepts nothing else."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
