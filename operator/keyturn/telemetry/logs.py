"""The process's logs: one JSON object per line off a terminal, readable lines on one, and nothing that was not looked through.

The filter sits in the formatter of the one handler, because a logger's own filters do not see what its children log.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from keyturn.telemetry.redaction import ExcInfo, Redactor

QUIET = ("botocore", "boto3", "urllib3", "s3transfer", "aiohttp", "asyncio", "kopf.objects", "kubernetes", "httpcore", "httpx")
"""Loggers that print bodies, headers or one line per event below WARNING."""

redactor = Redactor()


class _Formatter(logging.Formatter):
    """What is common to both forms: the redacted parts of a record."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redactor.text(_message(record)),
        }
        for name in ("object", "reason"):
            if isinstance(value := getattr(record, name, None), str):
                fields[name] = self._redactor.text(value)
        if (info := record.exc_info) and info[0] is not None:
            fields["exception"] = self._redactor.exception(info)
        return fields


class JsonFormatter(_Formatter):
    """One JSON object per record: time, level, logger, message, and where known object, reason, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Never two lines for one record."""
        return json.dumps(self._fields(record), ensure_ascii=False)


class LineFormatter(_Formatter):
    """For people: the time of day, the level, the object, the message."""

    def format(self, record: logging.LogRecord) -> str:
        """An exception follows on lines of its own."""
        fields = self._fields(record)
        place = f"{fields['object']}: " if "object" in fields else ""
        reason = f" ({fields['reason']})" if "reason" in fields else ""
        exception = f"\n{fields['exception']}" if "exception" in fields else ""
        return f"{fields['time'][11:23]} {fields['level']:<7} {place}{fields['message']}{reason}{exception}"


def setup(level: str = "INFO", *, stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Take over the root logger. Called again, it replaces its own handler; `as_json` None: JSON unless the stream is a terminal."""
    stream = stream or sys.stderr
    as_json = not stream.isatty() if as_json is None else as_json
    handler = logging.StreamHandler(stream)
    handler.setFormatter((JsonFormatter if as_json else LineFormatter)(redactor))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith(tuple(f"{quiet}." for quiet in QUIET)):
            logging.getLogger(name).setLevel(logging.NOTSET)  # a level of its own would get round its parent's
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a record that cannot be formatted is not printed raw
    logging.captureWarnings(True)


def about(namespace: str | None, name: str, *, reason: str | None = None) -> dict[str, Any]:
    """For `extra=`: the object a record is about, and the reason as conditions name it."""
    return {"object": f"{namespace}/{name}" if namespace else name} | ({"reason": reason} if reason else {})


def _message(record: logging.LogRecord) -> str:
    """The message; one that does not fit its arguments must not take the process down, nor show them."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg!s} (arguments do not fit)"


__all__ = ["ExcInfo", "JsonFormatter", "LineFormatter", "about", "redactor", "setup"]
