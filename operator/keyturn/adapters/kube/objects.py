"""Our own kinds, the credentials of connections, and the labels of namespaces."""

from __future__ import annotations

import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping

from keyturn.adapters.kube.client import FIELD_MANAGER, MERGE_PATCH, STATUS_MANAGER, KubeClient
from keyturn.adapters.kube.metadata import Json
from keyturn.adapters.kube.secrets import METADATA_ONLY
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.engine.ports import Credentials

API = "/apis/keyturn.dev/v1alpha1"
PLURALS = {
    "RotatingSecret": "rotatingsecrets",
    "RotationRun": "rotationruns",
    "AWSConnection": "awsconnections",
    "ClusterAWSConnection": "clusterawsconnections",
}
CREDENTIAL_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
LABELS_AGE = 30.0  # seconds


class KubeObjects:
    """The port `Objects`."""

    def __init__(self, client: KubeClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._labels: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def create_run(self, namespace: str, body: Json) -> Json:
        """POST a RotationRun; CONFLICT with reason AlreadyExists where the name is taken."""
        subject = f"RotationRun {namespace}/{body['metadata'].get('name', '')}"
        return await self._client.request("POST", _path("RotationRun", namespace), body, subject=subject, params=_manager(FIELD_MANAGER))

    async def read_run(self, namespace: str, name: str) -> Json | None:
        """One RotationRun, or None."""
        try:
            return await self._client.request("GET", _path("RotationRun", namespace, name), subject=f"RotationRun {namespace}/{name}")
        except OutsideError as error:
            if error.kind is FailureKind.MISSING:
                return None
            raise

    async def adopt_run(self, namespace: str, name: str, *, uid: str, owner_reference: Json) -> Json:
        """Make a RotationRun owned by its RotatingSecret, and by nobody else."""
        return await self._client.request(
            "PATCH",
            _path("RotationRun", namespace, name),
            {"metadata": {"uid": uid, "ownerReferences": [owner_reference]}},
            subject=f"RotationRun {namespace}/{name}",
            content_type=MERGE_PATCH,
            params=_manager(FIELD_MANAGER),
        )

    async def delete_run(self, namespace: str, name: str, *, uid: str) -> None:
        """Delete a finished run; a missing one is fine, another one by that name is CONFLICT."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._client.request("DELETE", _path("RotationRun", namespace, name), options, subject=f"RotationRun {namespace}/{name}")
        except OutsideError as error:
            if error.kind is not FailureKind.MISSING:
                raise

    async def patch_status(
        self, kind: str, namespace: str | None, name: str, *, uid: str, patch: Json, resource_version: str | None = None
    ) -> Json:
        """Merge-patch `patch` onto the status; CONFLICT if the object is another one by now. Answers the whole object.

        The status subresource of a custom resource ignores metadata.uid in a patch, and holds to metadata.resourceVersion. Without one from
        the caller, the present one is read first: a second request.
        """
        path, subject = _path(kind, namespace, name), f"the status of {kind} {f'{namespace}/' if namespace else ''}{name}"
        version = resource_version or await self._version_of(path, subject, uid)
        return await self._client.request(
            "PATCH",
            f"{path}/status",
            {"metadata": {"resourceVersion": version}, "status": patch},
            subject=subject,
            content_type=MERGE_PATCH,
            params=_manager(STATUS_MANAGER),
        )

    async def _version_of(self, path: str, subject: str, uid: str) -> str:
        meta = (await self._client.request("GET", path, subject=subject, accept=METADATA_ONLY))["metadata"]
        if meta["uid"] != uid:
            raise OutsideError(FailureKind.CONFLICT, reason="Conflict", message=f"cannot patch {subject}: it is another object by now")
        version: str = meta["resourceVersion"]
        return version

    async def read_credentials(self, namespace: str, name: str) -> Credentials:
        """A connection's static credentials. MISSING without the Secret; INVALID, naming the key, where one is missing or is no text."""
        secret = f"Secret {namespace}/{name}"
        try:
            raw = await self._client.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}", subject=secret)
        except OutsideError as error:
            if error.kind is not FailureKind.MISSING:
                raise
            message = f"there is no {secret} with the connection's access key: create it, or correct spec.auth.staticCredentials.secretRef"
            raise OutsideError(FailureKind.MISSING, reason="CredentialsNotFound", message=message) from None
        data = raw.get("data") or {}
        found = {key: _text(data[key]) for key in CREDENTIAL_KEYS if data.get(key)}
        bad = [key for key in CREDENTIAL_KEYS[:2] if key not in found] + [key for key, value in found.items() if not value]
        if bad:
            message = f"{secret} holds no usable {' and '.join(bad)}"
            raise OutsideError(FailureKind.INVALID, reason="CredentialsInvalid", message=message)
        values = {key: value for key, value in found.items() if value is not None}
        return Credentials(values=values, version=raw["metadata"]["resourceVersion"])

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace, at most half a minute old."""
        known = self._labels.get(namespace)
        if known and self._clock() - known[0] < LABELS_AGE:
            return known[1]
        raw = await self._client.request("GET", f"/api/v1/namespaces/{namespace}", subject=f"Namespace {namespace}", accept=METADATA_ONLY)
        labels = dict(raw["metadata"].get("labels") or {})
        self._labels[namespace] = (self._clock(), labels)
        return labels


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{API}{scope}/{PLURALS[kind]}{f'/{name}' if name else ''}"


def _manager(manager: str) -> Mapping[str, str]:
    return {"fieldManager": manager}


def _text(encoded: str) -> str | None:
    """Decoded, without the newline that `kubectl create secret --from-file` brings along; None if it is no text."""
    try:
        return b64decode(encoded, validate=True).decode().strip()
    except (Base64Error, UnicodeDecodeError):
        return None
