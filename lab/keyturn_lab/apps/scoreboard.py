"""Collects the counts of all client programs, so that those of pods that have ended are not lost.

A program reports its own sums, again and again; a report replaces the one before, so none is counted twice and a lost one does not matter.
"""

import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypedDict

from keyturn_lab.apps.json_server import JsonHandler, JsonServer

LARGEST_REPORT = 65_536  # bytes


class Score(TypedDict):
    """What one pod's programs reported together."""

    successes: int
    failures: int
    user: str
    last_error_kind: str | None
    longest_gap: float  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The last report of one process."""

    pod: str
    incarnation: str
    user: str
    successes: int
    failures: int
    last_error_kind: str | None
    longest_gap: float = 0.0

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
                longest_gap=float(content.get("longest_gap", 0.0)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a report: {error}") from None


class Scoreboard(JsonServer):
    """`with Scoreboard() as board`: programs POST to `board.url`, and `board.totals()` says what they counted."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._reports: dict[tuple[str, str], Report] = {}
        self._lock = threading.Lock()
        super().__init__(self._handler(), host=host, port=port)

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
                longest_gap=max(report.longest_gap, before["longest_gap"] if before else 0.0),
            )
        return totals

    def take(self, report: Report) -> None:
        """Keep it instead of the process's report before, unless that one counts more: it was overtaken on its way."""
        process = (report.pod, report.incarnation)
        with self._lock:
            before = self._reports.pop(process, report)
            self._reports[process] = max(before, report, key=lambda each: each.successes + each.failures)

    def _handler(self) -> type[JsonHandler]:
        board = self

        class Handler(JsonHandler):
            def do_GET(self) -> None:
                self.answer(HTTPStatus.OK, board.totals())

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if length > LARGEST_REPORT:
                    self.answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "too large"})
                    return
                try:
                    board.take(Report.parse(self.rfile.read(length)))
                except ValueError as error:
                    self.answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
                else:
                    self.answer(HTTPStatus.OK, {})

        return Handler
