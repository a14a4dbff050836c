"""What a log line looks like, and what it never holds."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from keyturn.telemetry.logs import QUIET, about, setup

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    """The root logger and the quiet ones belong to the test runner."""
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in QUIET}
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_each_record_is_one_json_object() -> None:
    setup(stream=(stream := io.StringIO()))
    logging.getLogger("keyturn.engine").info("two\nlines %d", 5, extra=about("shop", "orders-db", reason="SecretSynced"))
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "keyturn.engine",
        "message": "two\nlines 5",
        "object": "shop/orders-db",
        "reason": "SecretSynced",
    }


def test_on_a_terminal_it_is_a_line_for_people() -> None:
    setup(stream=(stream := Terminal()))
    logging.getLogger("keyturn").warning("held", extra=about("shop", "orders-db", reason="Held"))
    assert stream.getvalue()[13:] == "WARNING shop/orders-db: held (Held)\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_value_in_message_arguments_extra_or_exception_is_not_printed(as_json: bool) -> None:
    setup("DEBUG", stream=(stream := io.StringIO()), as_json=as_json)
    log = logging.getLogger("somebody.else")
    log.debug("body: %s", {"data": {"password": CANARY}})
    log.debug('{"SecretString": "%s"}', CANARY)
    log.debug("x", extra={"value": CANARY, "object": f"postgresql://app:{CANARY}@db"})
    try:
        int(CANARY)
    except ValueError:
        log.exception("failed")
    log.debug("%d %d", CANARY, {"data": CANARY})
    assert CANARY not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 3
    assert "ValueError" in stream.getvalue()


def test_what_cannot_be_formatted_is_not_shown_with_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError(CANARY)

    setup(stream=(stream := io.StringIO()))
    logging.getLogger("keyturn").info("value %s", Broken())
    logging.getLogger("keyturn").info(Broken())
    assert CANARY not in stream.getvalue() + capsys.readouterr().err
    assert "value %s (arguments do not fit)" in stream.getvalue()


def test_set_up_twice_prints_once_with_the_last_settings() -> None:
    setup(stream=(first := io.StringIO()))
    setup("WARNING", stream=(second := io.StringIO()))
    logging.getLogger("keyturn").warning("once")
    logging.getLogger("keyturn").info("not at all")
    assert (first.getvalue(), len(lines(second))) == ("", 1)


@pytest.mark.parametrize("name", ["botocore.endpoint", "urllib3.connectionpool", "aiohttp.client", "asyncio", "kopf.objects"])
def test_loggers_that_print_bodies_are_silent_below_warning_even_at_debug(name: str) -> None:
    setup("DEBUG", stream=(stream := io.StringIO()))
    logging.getLogger(name).info("body")
    logging.getLogger(name).warning("trouble")
    assert [line["message"] for line in lines(stream)] == ["trouble"]


def test_warnings_go_the_same_way() -> None:
    setup(stream=(stream := io.StringIO()))
    warnings.warn("odd", UserWarning, stacklevel=1)
    assert "odd" in lines(stream)[0]["message"]


def test_a_level_that_somebody_gave_a_child_of_a_silent_logger_is_taken_back() -> None:
    logging.getLogger("botocore.endpoint").setLevel(logging.INFO)
    setup("DEBUG", stream=(stream := io.StringIO()))
    logging.getLogger("botocore.endpoint").info("body")
    assert lines(stream) == []
