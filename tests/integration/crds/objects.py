"""Objects of our kinds on a real API server, in a namespace of their own, gone at the end."""

from __future__ import annotations

from typing import Any

from keyturn.api import API_VERSION, KINDS, Resource
from keyturn_lab.controlplane import Client

Body = dict[str, Any]
RESOURCES: dict[str, Resource] = {kind.__name__: kind.resource for kind in KINDS}


class Objects:
    """Create, replace and read objects by kind and name."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        self._created: list[str] = []

    def path(self, kind: str, name: str = "") -> str:
        resource = RESOURCES[kind]
        scope = f"/namespaces/{self.namespace}" if resource.namespaced else ""
        return f"/apis/{API_VERSION}{scope}/{resource.plural}" + (f"/{name}" if name else "")

    def create(self, kind: str, name: str, spec: Body) -> Body:
        created = self._client.request("POST", self.path(kind) + "?fieldValidation=Strict", self._body(kind, name, spec))
        self._created.append(self.path(kind, name))
        return created

    def send(self, kind: str, name: str, spec: Body, *, replace: bool = False) -> Body:
        """A dry run: what the API server would store. Raises ApiError where it refuses."""
        body = self._body(kind, name, spec)
        if replace:
            body["metadata"]["resourceVersion"] = self.read(kind, name)["metadata"]["resourceVersion"]
            return self._client.request("PUT", self.path(kind, name) + "?dryRun=All&fieldValidation=Strict", body)
        return self._client.request("POST", self.path(kind) + "?dryRun=All&fieldValidation=Strict", body)

    def read(self, kind: str, name: str) -> Body:
        return self._client.request("GET", self.path(kind, name))

    def write_status(self, kind: str, name: str, status: Body) -> Body:
        body = self.read(kind, name) | {"status": status}
        return self._client.request("PUT", self.path(kind, name) + "/status?fieldValidation=Strict", body)

    def clear(self) -> None:
        for path in self._created:
            self._client.request("DELETE", path)

    def _body(self, kind: str, name: str, spec: Body) -> Body:
        metadata = {"name": name} | ({"namespace": self.namespace} if RESOURCES[kind].namespaced else {})
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
