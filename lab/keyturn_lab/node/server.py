"""What the API server asks of a node: `kubectl logs` and `kubectl exec`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
from aiohttp import web

from keyturn_lab.node.api import Json
from keyturn_lab.node.container import Container
from keyturn_lab.node.host import Host
from keyturn_lab.node.pod import Pod

FOLLOW_SECONDS = 0.1
CHUNK = 32_768
STDIN, STDOUT, STDERR, ERROR, CLOSE = b"\x00", b"\x01", b"\x02", b"\x03", b"\xff"
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


class Server:
    """The node's HTTPS endpoints."""

    def __init__(self, pods: Mapping[str, Pod], host: Host) -> None:
        self._pods, self._host = pods, host

    def application(self) -> web.Application:
        """Their routes."""
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self.logs)
        application.router.add_get("/exec/{namespace}/{pod}/{container}", self.execute)
        return application

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The output of a container: all, its end, that of the run before, or as it grows."""
        container = self._container(request)
        for option in ("sinceSeconds", "sinceTime", "timestamps"):
            if request.query.get(option, "false") != "false":
                raise web.HTTPBadRequest(text=f"the lab's node keeps no times of log lines: {option} is not supported")
        path = container.log_file(previous=request.query.get("previous") == "true")
        if not path.exists():
            raise web.HTTPBadRequest(text=f"container {container.name} has no such log")
        content = path.read_bytes()
        shown = _tail(content, request.query.get("tailLines"))
        if request.query.get("follow") != "true":
            limit = request.query.get("limitBytes")
            return web.Response(body=shown[: int(limit)] if limit else shown, content_type="text/plain")
        return await _follow(request, container, path, shown, position=len(content))

    async def execute(self, request: web.Request) -> web.StreamResponse:
        """Run a command where the container's process runs, over a WebSocket with a channel for each stream."""
        container = self._container(request)
        if container.pid is None:
            raise web.HTTPBadRequest(text=f"container {container.name} is not running")
        argv = [*self._host.mounter.enter(container.pid), *request.query.getall("command")]
        websocket = web.WebSocketResponse(protocols=PROTOCOLS)
        await websocket.prepare(request)
        pipe = asyncio.subprocess.PIPE
        wants_input = request.query.get("input", request.query.get("stdin", "")) in ("1", "true")
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=container.environment,
            stdin=pipe if wants_input else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        incoming = asyncio.create_task(_receive(websocket, process))
        try:
            await asyncio.gather(_send(websocket, process.stdout, STDOUT), _send(websocket, process.stderr, STDERR))
            await websocket.send_bytes(ERROR + json.dumps(_result(await process.wait())).encode())
        except ConnectionError:  # whoever asked has gone
            pass
        finally:
            incoming.cancel()
            if process.returncode is None:
                process.kill()
            await websocket.close()
        return websocket

    def _container(self, request: web.Request) -> Container:
        wanted = request.match_info
        for pod in self._pods.values():
            if (pod.namespace, pod.name) == (wanted["namespace"], wanted["pod"]):
                for container in pod.containers:
                    if container.name == wanted["container"]:
                        return container
        raise web.HTTPNotFound(text="no such container on this node")


def _tail(content: bytes, lines: str | None) -> bytes:
    if lines is None:
        return content
    return b"".join(content.splitlines(keepends=True)[-int(lines) :]) if int(lines) else b""


async def _follow(request: web.Request, container: Container, path: Path, shown: bytes, *, position: int) -> web.StreamResponse:
    """Until this run of the container is over, or the reader has gone."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(shown)
    pid = container.pid
    while True:
        over = pid is None or container.pid != pid
        with path.open("rb") as file:
            file.seek(position)
            more = file.read()
        position += len(more)
        if more:
            await response.write(more)
        if over:
            return response
        await asyncio.sleep(FOLLOW_SECONDS)


async def _send(websocket: web.WebSocketResponse, stream: asyncio.StreamReader | None, channel: bytes) -> None:
    while stream is not None and (chunk := await stream.read(CHUNK)):
        await websocket.send_bytes(channel + chunk)


async def _receive(websocket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    """Standard input; the process is ended when the caller hangs up."""
    async for message in websocket:
        if message.type is not aiohttp.WSMsgType.BINARY or process.stdin is None:
            continue
        if message.data[:1] == STDIN:
            process.stdin.write(message.data[1:])
        elif message.data[:2] == CLOSE + STDIN:
            process.stdin.close()
    with suppress(ProcessLookupError):
        process.kill()


def _result(code: int) -> Json:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with exit code {code}"
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}
