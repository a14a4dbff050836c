"""What one pod refers to outside itself: Secrets, ConfigMaps, its own fields and its service account's tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from keyturn_lab.node.api import Api, Json
from keyturn_lab.node.cache import Key, Kind, ObjectCache, Subscriber

TOKEN_RENEWAL = 0.8
"""kubelet renews a token after 80 % of its life."""
SINGULAR = {"secrets": "secret", "configmaps": "configmap"}


class Missing(Exception):
    """Something that the pod refers to is not there yet; the message has names, never values."""


@dataclass(frozen=True, slots=True)
class _Token:
    content: bytes
    renew_at: float

    def __repr__(self) -> str:
        return f"_Token(renew_at={self.renew_at})"


class References:
    """Resolves the references of one pod."""

    def __init__(self, pod: Callable[[], Json], *, addresses: dict[str, str], api: Api, cache: ObjectCache, on_change: Subscriber) -> None:
        self._pod, self._addresses, self._api, self._cache, self._on_change = pod, addresses, api, cache, on_change
        self._tokens: dict[tuple[str, int], _Token] = {}

    async def data(self, kind: Kind, name: str, *, optional: bool) -> dict[str, bytes]:
        """All keys of an object. Raises Missing where it is not, unless optional."""
        found = await self._cache.hold(Key(kind, self._pod()["metadata"]["namespace"], name), self._on_change)
        if found is None and not optional:
            raise Missing(f'{SINGULAR[kind]} "{name}" not found')
        return found or {}

    async def value(self, kind: Kind, name: str, key: str, *, optional: bool) -> bytes | None:
        """One key of an object. Raises Missing where it is not, unless optional."""
        found = (await self.data(kind, name, optional=optional)).get(key)
        if found is None and not optional:
            raise Missing(f'couldn\'t find key "{key}" in {SINGULAR[kind]} "{name}"')
        return found

    def field(self, path: str) -> str:
        """The downward API."""
        pod = self._pod()
        if entry := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return str((pod["metadata"].get(entry[1]) or {}).get(entry[2], ""))
        if path in self._addresses:
            return self._addresses[path]
        value = pod
        for step in path.split("."):
            value = value.get(step) or {}
        return value if isinstance(value, str) else "\n".join(f'{name}="{text}"' for name, text in value.items())

    async def token(self, audience: str | None, seconds: int) -> bytes:
        """A token of the pod's service account, bound to the pod; the same one until it is due for renewal."""
        held = self._tokens.get((audience or "", seconds))
        if held is None or held.renew_at <= time.monotonic():
            content = await self._request_token(audience, seconds)
            held = self._tokens[audience or "", seconds] = _Token(content, time.monotonic() + TOKEN_RENEWAL * seconds)
        return held.content

    def next_renewal(self) -> float | None:
        """Seconds until a token is due; None without tokens."""
        return min((token.renew_at - time.monotonic() for token in self._tokens.values()), default=None)

    def release(self) -> None:
        """No longer told of changes."""
        self._cache.release(self._on_change)

    async def _request_token(self, audience: str | None, seconds: int) -> bytes:
        pod = self._pod()
        metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": seconds, "boundObjectRef": bound}
        answer = await self._api.call("POST", f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token", {"spec": spec})
        content: str = answer["status"]["token"]
        return content.encode()
