"""Pods that no controller made. Nothing watches pods, so a namespace's are listed when somebody judges who uses a Secret.

Once a minute is enough to find them; while some are there they are listed more often, since nobody tells when they end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyturn.domain.observed import PodView, WorkloadKind, WorkloadView
from keyturn.engine.ports import Workloads

NONE_AGE, SOME_AGE = 60.0, 10.0  # seconds that a list without and with such pods is good for
NAMESPACES = 1000  # that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class BarePod:
    """One such pod, as a workload of its own."""

    workload: WorkloadView
    pod: PodView


class BarePods:
    """What the last lists said."""

    def __init__(self, workloads: Workloads, clock: Callable[[], float] = time.monotonic) -> None:
        self._workloads, self._clock = workloads, clock
        self._known: dict[str, tuple[float, Sequence[BarePod]]] = {}

    async def of(self, namespace: str, *, fresh: bool = False) -> Sequence[BarePod]:
        """The bare pods of a namespace that have not ended and use some Secret."""
        until, known = self._known.get(namespace, (0.0, ()))
        if not fresh and self._clock() < until:
            return known
        listed = await self._workloads.pods(namespace, None)
        found = [
            BarePod(workload=_as_workload(namespace, pod), pod=pod)
            for pod in listed
            if pod.owner_uid is None and pod.uses and not pod.ended
        ]
        self._known.pop(namespace, None)
        self._known[namespace] = (self._clock() + (SOME_AGE if found else NONE_AGE), found)
        while len(self._known) > NAMESPACES:
            del self._known[next(iter(self._known))]
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
