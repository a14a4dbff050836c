"""A watch of our Secrets' metadata, by label. Their data never comes to this process.

kopf would hold whole bodies in its queues and debug logs, so this is the one watch that is not kopf's. It asks for PartialObjectMetadata,
lists in pages, resumes where it broke off, lists again after 410 (and then reports what is gone), and does not trust a silent connection:
the server sends bookmarks about once a minute.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic_core import from_json

from keyturn.adapters.kube.client import FIELD_MANAGER, Json, KubeClient
from keyturn.adapters.kube.metadata import MANAGED_SELECTOR, PREFIX, target_view
from keyturn.adapters.kube.refusals import EXPIRED, refusal
from keyturn.domain.failures import OutsideError
from keyturn.engine.ports import OnSecretMeta

LIST_ACCEPT = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
WATCH_ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a watch, in seconds, and the size of a list's pages."""

    server: float = 300.0  # how long the server keeps one watch open, at least
    silence: float = 75.0  # bookmarks come about once a minute
    first_retry: float = 0.2
    last_retry: float = 30.0
    page: int = 500


class SecretWatch:
    """All Secrets with our label, cluster-wide or in some namespaces. `run` returns only by cancellation or an error of ours."""

    def __init__(
        self, client: KubeClient, on_change: OnSecretMeta, *, namespaces: Sequence[str] | None = None, pace: Pace | None = None
    ) -> None:
        self._scopes = [_Scope(client, on_change, namespace, pace or Pace()) for namespace in namespaces or (None,)]
        self.synced = asyncio.Event()

    @property
    def last_contact(self) -> float:
        """Monotonic time at which the server was last heard in the scope that has been silent longest."""
        return min(scope.last_contact for scope in self._scopes)

    async def run(self) -> None:
        """List and watch for ever; `synced` is set once every scope has been listed."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self._scopes:
                tasks.create_task(scope.run())
            for scope in self._scopes:
                await scope.listed.wait()
            self.synced.set()


class _Scope:
    """One list and watch."""

    def __init__(self, client: KubeClient, on_change: OnSecretMeta, namespace: str | None, pace: Pace) -> None:
        self._client, self._on_change, self._pace = client, on_change, pace
        self._path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
        self._subject = f"the managed Secrets of {f'namespace {namespace}' if namespace else 'the cluster'}"
        self._known: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}  # resourceVersion, and our own labels
        self._version: str | None = None  # where the watch goes on; None: list first
        self._failures = 0
        self.listed = asyncio.Event()
        self.last_contact = time.monotonic()

    async def run(self) -> None:
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._watch()
            except OutsideError as error:
                if error.reason == EXPIRED:
                    self._version = None
                self._failures += 1
                _log.log(logging.WARNING if self._failures > 1 else logging.INFO, "%s; going on", error.message)
                await asyncio.sleep(self._backoff())

    async def _list(self) -> None:
        params = {"labelSelector": MANAGED_SELECTOR, "limit": str(self._pace.page)}
        seen: set[tuple[str, str]] = set()
        while True:
            page = await self._client.request("GET", self._path, subject=self._subject, params=params, accept=LIST_ACCEPT)
            self._heard()
            for item in page["items"] or ():  # an empty list is null
                seen.add(self._there(item))
            if not (more := page["metadata"].get("continue")):
                break
            params["continue"] = more
        for key in self._known.keys() - seen:
            self._gone(key)
        self._version = page["metadata"]["resourceVersion"]
        self.listed.set()

    async def _watch(self) -> None:
        params = {
            "labelSelector": MANAGED_SELECTOR,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "",
            "timeoutSeconds": str(int(self._pace.server * random.uniform(1, 2))),  # noqa: S311 - spreads reconnections, guards nothing
        }
        opened = time.monotonic()
        async with self._client.stream(self._path, subject=self._subject, params=params, accept=WATCH_ACCEPT) as reader:
            self._heard()
            async for line in _lines(reader, self._pace.silence):
                self._handle(from_json(line))
        if time.monotonic() - opened < 1:  # a server that is going down ends watches at once
            await asyncio.sleep(self._pace.first_retry)

    def _handle(self, event: Json) -> None:
        self._heard()
        item = event["object"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._there(item)
            case "DELETED":
                self._gone(_key(item))
            case "ERROR":
                self._version = None
                raise refusal(int(item.get("code", 500)), item, attempt=f"watch {self._subject}", sensitive=False)
        self._version = item["metadata"]["resourceVersion"]

    def _there(self, item: Json) -> tuple[str, str]:
        key, meta = _key(item), item["metadata"]
        known = self._known.get(key)
        if known is None or known[0] != meta["resourceVersion"]:
            labels = meta.get("labels") or {}
            self._known[key] = (meta["resourceVersion"], {name: value for name, value in labels.items() if name.startswith(PREFIX)})
            self._on_change(*key, target_view(item, ours=FIELD_MANAGER), labels)
        return key

    def _gone(self, key: tuple[str, str]) -> None:
        if known := self._known.pop(key, None):
            self._on_change(*key, None, known[1])

    def _heard(self) -> None:
        self.last_contact = time.monotonic()
        self._failures = 0

    def _backoff(self) -> float:
        longest = min(self._pace.last_retry, self._pace.first_retry * 2.0 ** min(self._failures, 16))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter


async def _lines(reader: aiohttp.StreamReader, silence: float) -> AsyncIterator[bytes]:
    """Whole lines of any length; TimeoutError after `silence` seconds without a byte."""
    rest = b""
    while True:
        async with asyncio.timeout(silence):
            chunk = await reader.readany()
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
