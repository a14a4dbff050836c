"""What the commands read: our objects, and the workloads and pods that use a Secret. Never a Secret itself."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.adapters.kube.client import KubeClient
from keyturn.adapters.kube.lists import items, paths, serves
from keyturn.adapters.kube.workload_views import workload_view
from keyturn.adapters.kube.workloads import KubeWorkloads
from keyturn.api import API_VERSION, RotatingSecret, RotationRun
from keyturn.domain import conditions as cond
from keyturn.domain.consumers import Consumer, find_consumers
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import PodView, WorkloadKind, WorkloadView
from keyturn.domain.targets import target_name
from keyturn.domain.workload_kinds import PLACES

API = f"/apis/{API_VERSION}"


async def secret(client: KubeClient, namespace: str, name: str) -> RotatingSecret:
    """One RotatingSecret; an error that says what to do if there is none."""
    try:
        raw = await client.request(
            "GET", f"{API}/namespaces/{namespace}/rotatingsecrets/{name}", subject=f"RotatingSecret {namespace}/{name}"
        )
    except OutsideError as error:
        if error.kind is not FailureKind.MISSING:
            raise
        message = f"there is no RotatingSecret {name} in namespace {namespace}; `kubectl get rotatingsecrets -A` lists them all"
        raise OutsideError(error.kind, reason=error.reason, message=message) from None
    return RotatingSecret.model_validate(raw)


async def secrets(client: KubeClient, namespaces: Sequence[str]) -> list[RotatingSecret]:
    """All of some namespaces, or of the cluster."""
    return [RotatingSecret.model_validate(raw) for path in paths(API, "rotatingsecrets", namespaces) async for raw in items(client, path)]


async def runs(client: KubeClient, namespace: str, of: str) -> list[RotationRun]:
    """The runs of a RotatingSecret, newest first."""
    path = f"{API}/namespaces/{namespace}/rotationruns"
    found = [RotationRun.model_validate(raw) async for raw in items(client, path) if raw["spec"]["secretRef"]["name"] == of]
    return sorted(found, key=lambda run: (str(run.metadata.creation_timestamp), run.metadata.name), reverse=True)


async def run(client: KubeClient, namespace: str, name: str) -> RotationRun | None:
    """One run, or None if it is gone by now."""
    try:
        raw = await client.request("GET", f"{API}/namespaces/{namespace}/rotationruns/{name}", subject=f"RotationRun {namespace}/{name}")
    except OutsideError as error:
        if error.kind is not FailureKind.MISSING:
            raise
        return None
    return RotationRun.model_validate(raw)


def standing(run: RotationRun) -> str:
    """How a run stands, or how it ended, in the words of its conditions."""
    types = ("Complete", "Failed", cond.STALLED, cond.RECONCILING)
    found = next((found for type_ in types if (found := cond.find(run.status.conditions, type_))), None)
    return f"{found.reason}: {found.message}" if found else "the operator has not looked at it yet"


async def workloads(client: KubeClient, namespace: str) -> list[WorkloadView]:
    """All workloads of a namespace."""
    found: list[WorkloadView] = []
    for kind, place in PLACES.items():
        if kind is WorkloadKind.ROLLOUT and not await serves(client, place.api, place.plural):
            continue
        [path] = paths(place.api, place.plural, [namespace])
        async for raw in items(client, path):
            found.append(workload_view(kind, raw))
    return found


async def consumers(client: KubeClient, of: RotatingSecret) -> list[tuple[Consumer, Sequence[PodView]]]:
    """The workloads that use the Secret, each with its pods."""
    namespace = of.metadata.namespace
    found = find_consumers(await workloads(client, namespace), secret=target_name(of), rollout=of.spec.rollout)
    reader = KubeWorkloads(client)
    return [
        (consumer, await reader.pods(namespace, consumer.workload.selector) if consumer.workload.selector else ()) for consumer in found
    ]
