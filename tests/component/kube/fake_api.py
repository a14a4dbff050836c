"""An API server that misbehaves on demand, for what a real one cannot be made to do: throttle, break off, fall silent, forget history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Json = dict[str, Any]


class FakeApi:
    """Answers each request with the next handler of its queue; the last one stays."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.requests: list[web.Request] = []
        self.bodies: list[str] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.text())
        handler = self.handlers.pop(0) if len(self.handlers) > 1 else self.handlers[0]
        return await handler(request)

    def then(self, *handlers: Handler) -> None:
        """What comes next, in this order."""
        self.handlers.extend(handlers)

    def tokens(self) -> list[str | None]:
        """The Authorization header of each request."""
        return [request.headers.get("Authorization") for request in self.requests]

    def kubeconfig(self, path: Path, user: Json) -> Path:
        """One that leads here."""
        content = {
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        path.write_text(yaml.safe_dump(content))
        return path


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """On a free loopback port."""
    api, app = FakeApi(), web.Application()
    app.router.add_route("*", "/{path:.*}", api.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


def answer(body: Json, code: int = 200, **headers: str) -> Handler:
    """JSON."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handler


def text(body: str, code: int) -> Handler:
    """What a proxy in between would say."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=code)

    return handler


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silence(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


def stream(*events: Json, then: Callable[[web.Request, web.StreamResponse], Awaitable[None]] | None = None) -> Handler:
    """A watch that sends these events in odd pieces, and then ends, or does something else."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        content = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        for piece in (content[: len(content) // 3], content[len(content) // 3 :]):
            await response.write(piece)
            await asyncio.sleep(0)
        if then:
            await then(request, response)
        return response

    return handler


async def fall_silent(_: web.Request, __: web.StreamResponse) -> None:
    """The connection stays open, and nothing comes."""
    await asyncio.Event().wait()


async def break_off(request: web.Request, response: web.StreamResponse) -> None:
    """In the middle of a line."""
    await response.write(b'{"type": "ADDED", "obj')
    assert request.transport is not None
    request.transport.abort()
