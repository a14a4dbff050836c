"""Collects the counts of all client programs, so that those of pods that have ended are not lost.

A program reports its own sums, again and again; a report replaces the one before, so none is counted twice and a lost one does not matter.
"""

import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypedDict

LARGEST_REPORT = 65_536  # bytes


class Score(TypedDict):
    """What one pod's programs reported together."""

    successes: int
    failures: int
    user: str
    last_error_kind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The last report of one process."""

    pod: str
    incarnation: str
    user: str
    successes: int
    failures: int
    last_error_kind: str | None

    @classmethod
    def parse(cls, body: bytes) -> "Report":
        """Raises ValueError where it is not a report."""
        content: Any = json.loads(body)
        if not isinstance(content, dict):
            raise ValueError("not an object")
        try:
            kind = content.get("last_error_kind")
            return cls(
                pod=str(content["pod"]),
                incarnation=str(content["incarnation"]),
                user=str(content.get("user", "")),
                successes=int(content["successes"]),
                failures=int(content["failures"]),
                last_error_kind=None if kind is None else str(kind),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a report: {error}") from None


class Scoreboard:
    """`with Scoreboard() as board`: programs POST to `board.url`, and `board.totals()` says what they counted."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._reports: dict[tuple[str, str], Report] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), self._handler())
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

    def totals(self) -> dict[str, Score]:
        """By pod, the sums of its programs; user and last error are of the one that reported last."""
        totals: dict[str, Score] = {}
        with self._lock:
            reports = list(self._reports.values())
        for report in reports:
            before = totals.get(report.pod)
            totals[report.pod] = Score(
                successes=report.successes + (before["successes"] if before else 0),
                failures=report.failures + (before["failures"] if before else 0),
                user=report.user or (before["user"] if before else ""),
                last_error_kind=report.last_error_kind or (before["last_error_kind"] if before else None),
            )
        return totals

    def take(self, report: Report) -> None:
        """Keep it instead of the process's report before, unless that one counts more: it was overtaken on its way."""
        process = (report.pod, report.incarnation)
        with self._lock:
            before = self._reports.pop(process, report)
            self._reports[process] = max(before, report, key=lambda each: each.successes + each.failures)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        board = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(HTTPStatus.OK, board.totals())

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if length > LARGEST_REPORT:
                    self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too large"})
                    return
                try:
                    board.take(Report.parse(self.rfile.read(length)))
                except ValueError as error:
                    self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
                else:
                    self._answer(HTTPStatus.OK, {})

            def _answer(self, status: HTTPStatus, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """The totals say it all."""

        return Handler
