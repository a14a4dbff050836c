"""Consumers: the one annotation on their pod templates, and their pods."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.adapters.kube.client import FIELD_MANAGER, MERGE_PATCH, KubeClient
from keyturn.adapters.kube.metadata import Json, managers_below
from keyturn.adapters.kube.secrets import METADATA_ONLY
from keyturn.adapters.kube.workload_views import pod_view, workload_view
from keyturn.domain.observed import PodView, WorkloadView
from keyturn.domain.workload_kinds import PLACES

PAGE = 500


class KubeWorkloads:
    """The port `Workloads`."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def restart(self, workload: WorkloadView, *, annotation: str, value: str) -> WorkloadView:
        """Merge-patch the one annotation. CONFLICT if it is another workload by now. Only for the kinds in consumers.RESTARTABLE."""
        patch: Json = {
            "metadata": {"uid": workload.uid},
            "spec": {"template": {"metadata": {"annotations": {annotation: value}}}},
        }
        raw = await self._client.request(
            "PATCH",
            PLACES[workload.kind].path(workload.namespace, workload.name),
            patch,
            subject=_subject(workload),
            content_type=MERGE_PATCH,
            params={"fieldManager": FIELD_MANAGER},
        )
        return workload_view(workload.kind, raw)

    async def pods(self, namespace: str, selector: str | None) -> Sequence[PodView]:
        """The pods that match, read from the store and not from the server's cache, terminating ones included."""
        params = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        found: list[PodView] = []
        while True:
            page = await self._client.request(
                "GET", f"/api/v1/namespaces/{namespace}/pods", subject=f"the pods of namespace {namespace}", params=params
            )
            found += [pod_view(pod) for pod in page["items"]]
            if not (more := page["metadata"].get("continue")):
                return found
            params["continue"] = more

    async def annotation_owner(self, workload: WorkloadView, annotation: str) -> str | None:
        """Who owns the annotation now, else who last wrote any annotation or part of the pod template; None if only we did."""
        raw = await self._client.request(
            "GET", PLACES[workload.kind].path(workload.namespace, workload.name), subject=_subject(workload), accept=METADATA_ONLY
        )
        template = ("f:spec", "f:template")
        annotations = (*template, "f:metadata", "f:annotations")
        for path in ((*annotations, f"f:{annotation}"), annotations, template):
            others = [manager for manager in managers_below(raw["metadata"], *path) if manager != FIELD_MANAGER]
            if others:
                return others[-1]
        return None


def _subject(workload: WorkloadView) -> str:
    return f"{workload.kind.value} {workload.namespace}/{workload.name}"
