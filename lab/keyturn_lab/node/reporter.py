"""What a node tells the API server about one pod: its status whenever it has changed, events, and in the end that it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from keyturn_lab.node.api import RETRY_SECONDS, STRATEGIC_MERGE_PATCH, UNREACHABLE, Json, Refused
from keyturn_lab.node.container import now
from keyturn_lab.node.host import Host
from keyturn_lab.node.status import Observed, pod_status

REPORT_DELAY_SECONDS = 0.005
"""Changes that come together are told together."""
LONGEST_MESSAGE = 1000
GONE, CONFLICT = 404, 409
log = logging.getLogger(__name__)


class Reporter:
    """Speaks for one pod; `observe` is given the conditions as they were told last."""

    def __init__(self, pod: Json, *, observe: Callable[[list[Json]], Observed], host: Host) -> None:
        metadata = pod["metadata"]
        self._uid, self._namespace, self._name = metadata["uid"], metadata["namespace"], metadata["name"]
        self._path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}"
        self._observe, self._host = observe, host
        self._dirty = asyncio.Event()
        self._reported: Json = {"conditions": (pod.get("status") or {}).get("conditions") or []}

    def changed(self) -> None:
        """The status may be another."""
        self._dirty.set()

    async def run(self) -> None:
        """Tell each change, until the pod is gone."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.sleep(REPORT_DELAY_SECONDS)
            try:
                await self.report()
            except (Refused, *UNREACHABLE) as error:
                if isinstance(error, Refused) and error.status == GONE:
                    return
                log.info("status of %s/%s: %s", self._namespace, self._name, error)
                await asyncio.sleep(RETRY_SECONDS)
                self.changed()

    async def report(self) -> None:
        """Tell the status as it is now, if it is not what was told last. Raises Refused, or what UNREACHABLE lists."""
        status = pod_status(self._observe(self._reported["conditions"]), now=now())
        if status != self._reported:
            body = {"metadata": {"uid": self._uid}, "status": status}
            await self._host.api.call("PATCH", f"{self._path}/status", body, content_type=STRATEGIC_MERGE_PATCH)
            self._reported = status

    async def delete(self) -> None:
        """No process of it runs any more: the object may go. Raises Refused, or what UNREACHABLE lists."""
        await self._host.api.call("DELETE", self._path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}})

    async def event(self, reason: str, message: str) -> None:
        """A warning; a courtesy that is left out where the API server does not take it."""
        involved = {"kind": "Pod", "apiVersion": "v1", "namespace": self._namespace, "name": self._name, "uid": self._uid}
        body = {
            "metadata": {"generateName": f"{self._name}."},
            "type": "Warning",
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
            "source": {"component": "kubelet", "host": self._host.settings.name},
            "involvedObject": involved,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        with suppress(Refused, *UNREACHABLE):
            await self._host.api.call("POST", f"/api/v1/namespaces/{self._namespace}/events", body)
