"""The node's asynchronous calls to the API server, under the node's own identity."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from keyturn_lab.node.settings import Settings

Json = dict[str, Any]
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
MERGE_PATCH = "application/merge-patch+json"
RETRY_SECONDS = 0.25
log = logging.getLogger(__name__)


class Refused(RuntimeError):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Synced:
    """The whole list, at the start and whenever the watch had to begin anew."""

    items: list[Json]


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was created or changed."""

    item: Json


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone; its last state."""

    item: Json


Event = Synced | Changed | Deleted
UNREACHABLE = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""No answer, as opposed to a refusal."""


@contextmanager
def tolerating(*statuses: int) -> Iterator[None]:
    """As contextlib.suppress, for some refusals."""
    try:
        yield
    except Refused as error:
        if error.status not in statuses:
            raise


class Api:
    """Raw JSON over one pool of connections."""

    def __init__(self, settings: Settings) -> None:
        tls = ssl.create_default_context(cafile=settings.ca)
        tls.load_cert_chain(settings.certificate, settings.key)
        self._session = aiohttp.ClientSession(
            settings.url,
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Json:
        """The answer. Raises Refused from 400 up, and what UNREACHABLE lists without an answer."""
        data = None if body is None else json.dumps(body)
        timeout = aiohttp.ClientTimeout(total=15)
        async with self._session.request(method, path, data=data, headers={"Content-Type": content_type}, timeout=timeout) as response:
            content = await response.read()
            if response.status >= 400:
                raise Refused(response.status, _message(content))
            answer: Json = json.loads(content)
            return answer

    async def list_watch(self, path: str, field_selector: str) -> AsyncIterator[Event]:
        """Every change of the collection, for ever; begins anew after each loss of the connection."""
        while True:
            try:
                listed = await self.call("GET", f"{path}?fieldSelector={field_selector}")
                yield Synced(listed["items"])
                query = f"{path}?fieldSelector={field_selector}&watch=1&allowWatchBookmarks=true"
                async for event in self._watch(query, listed["metadata"]["resourceVersion"]):
                    yield event
            except (*UNREACHABLE, Refused) as error:
                # Right after binding, the authoriser does not know yet that the node may read what the pod refers to: soon it does.
                log.info("watch %s: %s", path, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _watch(self, query: str, version: str) -> AsyncIterator[Event]:
        while True:
            async with self._session.get(f"{query}&resourceVersion={version}") as response:
                if response.status >= 400:
                    raise Refused(response.status, _message(await response.read()))
                async for line in _lines(response.content):
                    event = json.loads(line)
                    if event["type"] == "ERROR":  # the version is too old
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "DELETED":
                        yield Deleted(event["object"])
                    elif event["type"] != "BOOKMARK":
                        yield Changed(event["object"])


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """readline() would fail on lines over 64 KiB."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content).get("message"))
    except ValueError:
        return content.decode(errors="replace")[:200]
