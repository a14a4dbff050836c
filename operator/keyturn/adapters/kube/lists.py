"""Whole lists of a kind, page by page: what fills the caches before the first event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from keyturn.adapters.kube.client import Json, KubeClient
from keyturn.domain.failures import FailureKind, OutsideError

PAGE = 500


def paths(api: str, plural: str, namespaces: Sequence[str]) -> list[str]:
    """The collections of a namespaced kind: one for the cluster, or one for each namespace."""
    return [f"{api}/namespaces/{namespace}/{plural}" for namespace in namespaces] or [f"{api}/{plural}"]


async def items(client: KubeClient, path: str) -> AsyncIterator[Json]:
    """Every object of a collection. Items of a list carry no kind, and none is added."""
    params = {"limit": str(PAGE)}
    while True:
        page = await client.request("GET", path, subject=f"the list {path}", params=params)
        for item in page["items"] or ():
            yield item
        if not (more := page["metadata"].get("continue")):
            return
        params["continue"] = more


async def serves(client: KubeClient, api: str, plural: str) -> bool:
    """Whether the API server has a kind; a kind of a group that nobody installed is simply not there."""
    try:
        found = await client.request("GET", api, subject=f"the API group {api}")
    except OutsideError as error:
        if error.kind is FailureKind.MISSING:
            return False
        raise
    return any(resource["name"] == plural for resource in found.get("resources", ()))
