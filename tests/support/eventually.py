"""Waiting in asynchronous tests: by polling, with a deadline, while the event loop runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

POLL_SECONDS = 0.02


async def eventually(condition: Callable[[], object], *, timeout_seconds: float = 15.0, what: str) -> None:
    """Until `condition` is truthy. Raises AssertionError after the time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(f"waited {timeout_seconds:.0f} s for {what}")
        await asyncio.sleep(POLL_SECONDS)
