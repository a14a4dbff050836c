"""The port of a client program: its counts as JSON, and /healthz for its pod's readiness probe."""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from keyturn_lab.apps.tally import Counter


class StatusServer:
    """`with StatusServer(counter, host=..., port=...) as server`; port 0 chooses a free one."""

    def __init__(self, counter: Counter, *, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/healthz":
                    healthy = counter.healthy
                    self._answer(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, {"healthy": healthy})
                else:
                    self._answer(HTTPStatus.OK, counter.tally.as_json())

            def _answer(self, status: HTTPStatus, content: dict[str, object]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not worth a line each."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
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
