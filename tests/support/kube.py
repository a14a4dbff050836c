"""A small synchronous Kubernetes client for tests: raw JSON, kinds found by discovery, waiting by polling.

`Kube(control_plane.client, "some-namespace").apply(text_or_dict)`; kinds are named as in manifests: `kube.get("Deployment", "web")`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import yaml
from tests.support.eventually import wait_until

from keyturn_lab.controlplane import ApiError, Client
from keyturn_lab.patience import Patience

Object = dict[str, Any]
Objects = list[Object]
Manifest = str | Object | Objects
POLL_SECONDS = 0.05
DISCOVERY_SECONDS = 20.0
"""A CustomResourceDefinition that was just applied is served a moment later."""
FIELD_MANAGER = "keyturn-tests"


@dataclass(frozen=True, slots=True)
class Resource:
    """Where the objects of a kind live."""

    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Of one object, or of the collection; all namespaces where `namespace` is None."""
        parts = [self.root, *(["namespaces", namespace] if self.namespaced and namespace else []), self.plural]
        return "/".join([*parts, name] if name else parts)


class Kube:
    """An admin's view of one namespace (`namespace=` of each method reaches the others)."""

    def __init__(self, client: Client, namespace: str = "default") -> None:
        self.client, self.namespace = client, namespace
        self._resources: dict[str, Resource] = {}

    def apply(self, manifest: Manifest, *, namespace: str | None = None) -> Objects:
        """Server-side apply of YAML text (several documents), one object, or a list; returns what the API server made of them."""
        return [self._apply(item, namespace or self.namespace) for item in _objects(manifest)]

    def create(self, item: Object, *, namespace: str | None = None) -> Object:
        """POST, for objects with generateName and for refusals."""
        path = self._resource(item["kind"]).path(_namespace_of(item, namespace or self.namespace))
        return self.client.request("POST", path, item)

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Object:
        """Raises ApiError with status 404 where it is not."""
        return self.client.request("GET", self._path(kind, name, namespace))

    def find(self, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """None where it is not."""
        try:
            return self.get(kind, name, namespace=namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, *, labels: str = "", fields: str = "", namespace: str | None = None) -> Objects:
        """Those that match the selectors."""
        path = self._resource(kind).path(namespace or self.namespace)
        items: Objects = self.client.request("GET", f"{path}?labelSelector={quote(labels)}&fieldSelector={quote(fields)}")["items"]
        return items

    def patch(self, kind: str, name: str, body: Object, *, subresource: str = "", namespace: str | None = None) -> Object:
        """A JSON merge patch."""
        path = self._path(kind, name, namespace) + (f"/{subresource}" if subresource else "")
        return self.client.request("PATCH", path, body, content_type="application/merge-patch+json")

    def delete(self, kind: str, name: str, *, grace: int | None = None, namespace: str | None = None) -> None:
        """In the background; that it is gone already is fine."""
        options: Object = {"propagationPolicy": "Background"} | ({} if grace is None else {"gracePeriodSeconds": grace})
        try:
            self.client.request("DELETE", self._path(kind, name, namespace), options)
        except ApiError as error:
            if error.status != 404:
                raise

    def wait_for(
        self, kind: str, name: str, holds: Callable[[Object], object], *, timeout: float = 45.0, namespace: str | None = None
    ) -> Object:
        """The object as soon as it is there and `holds` says so (a missing field counts as no).

        Raises AssertionError that shows the last state, never a Secret's values.
        """
        patience = Patience(timeout)
        while True:
            try:
                seen = self.find(kind, name, namespace=namespace)
            except (OSError, HTTPException):  # the API server is being restarted by the test
                seen = None
            if seen is not None and _safely(holds, seen):
                return seen
            if patience.over:
                raise AssertionError(f"{kind} {name} did not get there within {timeout:.0f} s; last seen: {_without_values(seen)}")
            time.sleep(POLL_SECONDS)

    def wait_gone(self, kind: str, name: str, *, timeout: float = 45.0, namespace: str | None = None) -> None:
        """Until there is no such object. Raises AssertionError after `timeout` seconds."""
        wait_until(lambda: self.find(kind, name, namespace=namespace) is None, timeout=timeout, what=f"{kind} {name} to be gone")

    def _apply(self, item: Object, namespace: str) -> Object:
        path = self._resource(item["kind"]).path(_namespace_of(item, namespace), item["metadata"]["name"])
        query = f"?fieldManager={FIELD_MANAGER}&force=true"
        return self.client.request("PATCH", path + query, item, content_type="application/apply-patch+yaml")

    def _path(self, kind: str, name: str, namespace: str | None) -> str:
        return self._resource(kind).path(namespace or self.namespace, name)

    def _resource(self, kind: str) -> Resource:
        patience = Patience(DISCOVERY_SECONDS)
        while kind not in self._resources:
            if patience.over:
                raise LookupError(f"the API server has no kind {kind}")
            self._resources = dict(self._discover())
            time.sleep(POLL_SECONDS)
        return self._resources[kind]

    def _discover(self) -> Iterator[tuple[str, Resource]]:
        """Of kinds that several groups have, the core's wins (Event)."""
        groups = self.client.request("GET", "/apis")["groups"]
        roots = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups]
        for root in [*roots, "/api/v1"]:
            for found in self.client.request("GET", root)["resources"]:
                if "/" not in found["name"]:
                    yield found["kind"], Resource(root, found["name"], found["namespaced"])


def condition(item: Object, kind: str) -> Object:
    """The status condition of that type; `{}` where it is absent."""
    found: Objects = item.get("status", {}).get("conditions", [])
    return next((entry for entry in found if entry["type"] == kind), {})


def moment(text: str) -> datetime:
    """A time of an object's metadata or status."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _objects(manifest: Manifest) -> Objects:
    if isinstance(manifest, str):
        return [item for item in yaml.safe_load_all(manifest) if item]
    return manifest if isinstance(manifest, list) else [manifest]


def _namespace_of(item: Object, default: str) -> str:
    namespace: str = item["metadata"].get("namespace", default)
    return namespace


def _safely(holds: Callable[[Object], object], seen: Object) -> bool:
    try:
        return bool(holds(seen))
    except (KeyError, IndexError, TypeError):
        return False


def _without_values(seen: Object | None) -> Object | None:
    if seen is None:
        return None
    metadata = {name: value for name, value in seen["metadata"].items() if name != "managedFields"}
    if seen.get("kind") != "Secret":
        return {"status": seen.get("status"), "metadata": metadata}
    return {"keys": sorted(seen.get("data", {})), "metadata": metadata}
