"""The Secrets and ConfigMaps that pods refer to: one shared watch for each, as long as somebody refers to it.

As in a real kubelet, a node may read only what its own pods refer to, so each watch names one object.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from keyturn_lab.node.api import Api, Deleted, Json, Synced

Kind = Literal["secrets", "configmaps"]
Subscriber = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Key:
    """One Secret or ConfigMap."""

    kind: Kind
    namespace: str
    name: str


@dataclass(slots=True)
class _Entry:
    data: dict[str, bytes] | None = field(default=None, repr=False)
    known: asyncio.Event = field(default_factory=asyncio.Event)
    subscribers: set[Subscriber] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class ObjectCache:
    """Data by object, kept fresh while it has subscribers."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._entries: dict[Key, _Entry] = {}

    async def hold(self, key: Key, subscriber: Subscriber) -> dict[str, bytes] | None:
        """The object's data, None where it is not; `subscriber` is called at every change until it is released."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            entry.task = asyncio.create_task(self._follow(key, entry))
        entry.subscribers.add(subscriber)
        await entry.known.wait()
        return entry.data

    def release(self, subscriber: Subscriber) -> None:
        """Forget it, and whatever nobody else refers to."""
        for key, entry in list(self._entries.items()):
            entry.subscribers.discard(subscriber)
            if not entry.subscribers and entry.task:
                entry.task.cancel()
                del self._entries[key]

    async def _follow(self, key: Key, entry: _Entry) -> None:
        path = f"/api/v1/namespaces/{key.namespace}/{key.kind}"
        async for event in self._api.list_watch(path, f"metadata.name={key.name}"):
            match event:
                case Synced(items):
                    item = items[0] if items else None
                case Deleted():
                    item = None
                case _:
                    item = event.item
            entry.data = None if item is None else _data(key.kind, item)
            entry.known.set()
            for subscriber in list(entry.subscribers):
                subscriber()


def _data(kind: Kind, item: Json) -> dict[str, bytes]:
    decoded = {name: base64.b64decode(value) for name, value in (item.get("data" if kind == "secrets" else "binaryData") or {}).items()}
    return decoded if kind == "secrets" else decoded | {name: value.encode() for name, value in (item.get("data") or {}).items()}
