"""A small HTTP server that answers with JSON, on a thread of its own: the base of those that tell and that collect counts."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from keyturn_lab.http_server import CrowdServer


class JsonHandler(BaseHTTPRequestHandler):
    """Answers in JSON and logs nothing: probes and reports are not worth a line each."""

    def answer(self, status: HTTPStatus, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class JsonServer:
    """`with JsonServer(handler, host=..., port=...) as server`; port 0 chooses a free one."""

    def __init__(self, handler: type[JsonHandler], *, host: str, port: int) -> None:
        self._server = CrowdServer((host, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
