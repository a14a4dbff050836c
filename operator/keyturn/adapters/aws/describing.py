"""DescribeSecret, coalesced: those that ask at the same time share a call, but never one that was sent before they asked.

Whoever asks after a RotateSecret must not be given an answer from before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from keyturn.adapters.aws.calls import Caller
from keyturn.adapters.aws.errors import SourceDeleted, SourceNotFound, closed
from keyturn.adapters.aws.views import described_view
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import SourceView

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_AT_ONCE: Final = 16  # calls in flight

OnDescription = Callable[[str, SourceView | None, float], None]
"""Called with (secret_id, view or None where it is not there or has no value, monotonic time of the question)."""


class Descriptions:
    """Coalesces DescribeSecret calls, and reports each answer once."""

    def __init__(self, caller: Caller, *, on_description: OnDescription) -> None:
        self._caller = caller
        self._on_description = on_description
        self._unsent: dict[str, asyncio.Task[SourceView]] = {}
        self._tasks: set[asyncio.Task[SourceView]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def read(self, secret_id: str) -> SourceView:
        """DescribeSecret now."""
        task = self._unsent.get(secret_id)
        if task is None:
            task = self._unsent[secret_id] = asyncio.create_task(self._describe(secret_id))
            self._tasks.add(task)
            task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if task.cancelled() and me is not None and not me.cancelling():  # it is not us who are cancelled: the connection was closed
                raise closed(secret_id) from None
            raise

    async def close(self) -> None:
        """Stop reading."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[SourceView]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if everybody who asked has gone

    async def _describe(self, secret_id: str) -> SourceView:
        async with self._slots:
            del self._unsent[secret_id]
            asked_at = time.monotonic()
            try:
                told = await self._caller.secrets("DescribeSecret", lambda client: _describe(client, secret_id), secret_id=secret_id)
            except OutsideError as refused:
                if refused.kind is FailureKind.MISSING:
                    self._on_description(secret_id, None, asked_at)
                raise
        view, deleted = told
        self._on_description(secret_id, view, asked_at)
        if view is None:
            raise _without_value(secret_id, deleted=deleted)
        return view


def _describe(client: SecretsManagerClient, secret_id: str) -> tuple[SourceView | None, bool]:
    answer = client.describe_secret(SecretId=secret_id)
    return described_view(answer), answer.get("DeletedDate") is not None


def _without_value(secret_id: str, *, deleted: bool) -> OutsideError:
    if deleted:
        message = f"secret {secret_id} is scheduled for deletion in AWS: restore it, or remove what refers to it"
        return OutsideError(FailureKind.MISSING, reason=SourceDeleted, message=message)
    message = f"secret {secret_id} holds no value in AWSCURRENT: put a value into it"
    return OutsideError(FailureKind.MISSING, reason=SourceNotFound, message=message)
