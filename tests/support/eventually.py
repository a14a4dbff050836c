"""Waiting in tests: by polling, until a deadline that counts only the time in which we were able to look (keyturn_lab.patience)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from keyturn_lab.patience import Patience

T = TypeVar("T")
POLL_SECONDS = 0.02
WITHIN = 45.0  # seconds, for something that must come; a machine that is busy may take most of them


async def eventually(condition: Callable[[], T], *, timeout_seconds: float = WITHIN, what: str) -> T:
    """What `condition` answers as soon as it is truthy, while the event loop runs on. Raises AssertionError after the time."""
    patience = Patience(timeout_seconds)
    while not (seen := condition()):
        _go_on(patience, timeout_seconds, what)
        await asyncio.sleep(POLL_SECONDS)
    return seen


def wait_until(condition: Callable[[], T], *, timeout: float = WITHIN, what: str) -> T:
    """What `condition` answers as soon as it is truthy. Raises AssertionError after `timeout` seconds."""
    patience = Patience(timeout)
    while not (seen := condition()):
        _go_on(patience, timeout, what)
        time.sleep(POLL_SECONDS)
    return seen


def _go_on(patience: Patience, seconds: float, what: str) -> None:
    if patience.over:
        raise AssertionError(f"waited {seconds:.0f} s for {what}")
