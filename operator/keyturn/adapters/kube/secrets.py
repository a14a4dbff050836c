"""The mirrors: creating, replacing and reading Secrets.

Never server-side apply: it would create a deleted Secret anew, keep foreign keys, and need force to repair. A create that meets another
Secret and a replace of something that changed meanwhile are conflicts, so that a stale leader can do no harm.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyturn.adapters.kube.client import FIELD_MANAGER, KubeClient
from keyturn.adapters.kube.metadata import PREFIX, Json, foreign_time, moment, owned_keys, target_view, write_time
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import TargetView
from keyturn.domain.targets import LAST_APPLIED
from keyturn.engine.ports import LiveSecret, SecretManifest, Written

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PARAMS = {"fieldManager": FIELD_MANAGER}


class KubeSecrets:
    """The port `Secrets`. Answers to writes are asked for without data."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def create(self, manifest: SecretManifest) -> Written:
        """POST. An existing Secret of that name is CONFLICT with reason AlreadyExists."""
        answer = await self._write("POST", _collection(manifest.namespace), new_body(manifest), manifest)
        return self._written(answer, manifest.type, moment(answer["metadata"]["creationTimestamp"]))

    async def replace(self, live: LiveSecret, manifest: SecretManifest) -> Written:
        """PUT with live's uid and resourceVersion; CONFLICT if it changed meanwhile, or went."""
        path = f"{_collection(manifest.namespace)}/{manifest.name}"
        try:
            answer = await self._write("PUT", path, replacing_body(live.raw, manifest), manifest)
        except OutsideError as error:
            if error.kind is not FailureKind.MISSING:
                raise
            raise OutsideError(FailureKind.CONFLICT, reason=error.reason, message=error.message) from None
        return self._written(answer, live.raw.get("type"), write_time(answer["metadata"], FIELD_MANAGER))

    async def read(self, namespace: str, name: str) -> LiveSecret | None:
        """The Secret with its data, or None where there is none."""
        try:
            raw = await self._client.request("GET", f"{_collection(namespace)}/{name}", subject=f"Secret {namespace}/{name}")
        except OutsideError as error:
            if error.kind is FailureKind.MISSING:
                return None
            raise
        meta = raw["metadata"]
        return LiveSecret(
            view=target_view(raw, ours=FIELD_MANAGER),
            raw=raw,
            written=write_time(meta, FIELD_MANAGER),
            touched=foreign_time(meta, FIELD_MANAGER),
        )

    async def look(self, namespace: str, name: str) -> TargetView | None:
        """Its metadata alone (without the type), or None where there is none."""
        subject = f"Secret {namespace}/{name}"
        try:
            raw = await self._client.request("GET", f"{_collection(namespace)}/{name}", subject=subject, accept=METADATA_ONLY)
        except OutsideError as error:
            if error.kind is FailureKind.MISSING:
                return None
            raise
        return target_view(raw, ours=FIELD_MANAGER)

    async def _write(self, method: str, path: str, body: Json, manifest: SecretManifest) -> Json:
        subject = f"Secret {manifest.namespace}/{manifest.name}"
        return await self._client.request(method, path, body, subject=subject, params=_PARAMS, accept=METADATA_ONLY, sensitive=True)

    @staticmethod
    def _written(answer: Json, secret_type: str | None, time: datetime) -> Written:
        return Written(view=target_view(answer, ours=FIELD_MANAGER, secret_type=secret_type), time=time)


def new_body(manifest: SecretManifest) -> Json:
    """A Secret that is not there yet."""
    owners = [manifest.owner_reference] if manifest.owner_reference else []
    meta = {"labels": dict(manifest.labels), "annotations": dict(manifest.annotations), "ownerReferences": owners}
    return _body(manifest, meta, manifest.type)


def replacing_body(live: Mapping[str, Any], manifest: SecretManifest) -> Json:
    """`live` with our data, labels, annotations and owner; what others put into its metadata stays, what we no longer want goes."""
    old = live["metadata"]
    foreign_owners = [owner for owner in old.get("ownerReferences") or () if not owner.get("apiVersion", "").startswith(PREFIX)]
    meta: Json = {
        "uid": old["uid"],
        "resourceVersion": old["resourceVersion"],
        "labels": _merged(old, "labels", manifest.labels),
        "annotations": _merged(old, "annotations", manifest.annotations),
        "ownerReferences": foreign_owners + ([manifest.owner_reference] if manifest.owner_reference else []),
        "finalizers": list(old.get("finalizers") or ()),
    }
    meta["annotations"].pop(LAST_APPLIED, None)
    body = _body(manifest, meta, live.get("type"))
    return body | {"immutable": live["immutable"]} if "immutable" in live else body


def _merged(old: Mapping[str, Any], field: str, wanted: Mapping[str, str]) -> dict[str, str]:
    dropped = owned_keys(old, FIELD_MANAGER, "f:metadata", f"f:{field}") - set(wanted)
    kept = {key: value for key, value in (old.get(field) or {}).items() if key not in dropped}
    return kept | dict(wanted)


def _body(manifest: SecretManifest, meta: Json, secret_type: str | None) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": manifest.name, "namespace": manifest.namespace, **meta},
        "type": secret_type,
        "data": {key: b64encode(value).decode() for key, value in manifest.data.items()},
    }


def _collection(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets"
