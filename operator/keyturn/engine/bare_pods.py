"""Pods that no controller made. Nothing watches pods, so a namespace's are listed when somebody judges who uses a Secret.

One list after a content's margin is enough to know all that may run on an older one: whatever is created later is new. While some are there
they are listed again now and then, since nobody tells when they end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyturn.domain.observed import PodView, WorkloadKind, WorkloadView
from keyturn.engine.ports import Workloads

NONE_AGE, SOME_AGE = timedelta(minutes=1), timedelta(seconds=10)  # for how long a list without and with such pods is good
LONG_AGO = datetime.min.replace(tzinfo=UTC)
NAMESPACES = 1000  # that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class BarePod:
    """One such pod, as a workload of its own."""

    workload: WorkloadView
    pod: PodView


class BarePods:
    """What the last lists said."""

    def __init__(self, workloads: Workloads, clock: Callable[[], datetime]) -> None:
        self._workloads, self._clock = workloads, clock
        self._known: dict[str, tuple[datetime, Sequence[BarePod]]] = {}  # when they were listed
        self._listing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, namespace: str, *, since: datetime) -> Sequence[BarePod]:
        """The bare pods of a namespace that had not ended and use some Secret, from a list that is not older than `since`."""
        async with self._listing[namespace]:  # many objects of a namespace ask at once
            at, known = self._known.get(namespace, (LONG_AGO, ()))
            good_for = SOME_AGE if known else NONE_AGE
            return known if at >= since and self._clock() - at < good_for else await self._list(namespace)

    async def _list(self, namespace: str) -> Sequence[BarePod]:
        at = self._clock()
        listed = await self._workloads.pods(namespace, None)
        found = [
            BarePod(workload=_as_workload(namespace, pod), pod=pod)
            for pod in listed
            if pod.owner_uid is None and pod.uses and not pod.ended
        ]
        self._known.pop(namespace, None)
        self._known[namespace] = (at, found)
        while len(self._known) > NAMESPACES:
            oldest = next(iter(self._known))
            del self._known[oldest]
            if not self._listing[oldest].locked():
                del self._listing[oldest]
        return found


def _as_workload(namespace: str, pod: PodView) -> WorkloadView:
    return WorkloadView(
        kind=WorkloadKind.POD,
        namespace=namespace,
        name=pod.name,
        uid=pod.uid,
        generation=0,
        created=pod.created,
        uses=pod.uses,
        selector=None,
        template_annotations={},
    )
