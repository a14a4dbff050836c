"""ListSecrets from end to end: one call tells the labels of a hundred secrets, so a sweep is the cheapest look at many.

A sweep has a budget of pages: in an account that holds far more secrets than are followed, it is given up as soon as it would cost more
than its alternative.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from keyturn.adapters.aws.calls import Caller
from keyturn.adapters.aws.errors import SourceAccessDenied
from keyturn.adapters.aws.known import Heard, Known
from keyturn.adapters.aws.permissions import Permission
from keyturn.adapters.aws.views import listed_view
from keyturn.domain.failures import OutsideError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import ListSecretsRequestTypeDef

PAGE: Final = 100  # AWS's limit


class Sweeps:
    """Sweeps of one catalog, one at a time; whoever asks while one is going on shares it."""

    def __init__(self, caller: Caller, known: Known, permission: Permission) -> None:
        self._caller = caller
        self._known = known
        self._permission = permission
        self._running: asyncio.Task[bool] | None = None
        self.pages: int | None = None  # of the last sweep; after one that was given up, at least so many; None: not known

    async def sweep(self, *, budget: int) -> bool:
        """Read page after page; False if the budget did not suffice. A refusal is remembered."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._sweep(budget))
            self._running.add_done_callback(_retrieved)
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Stop reading."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _sweep(self, budget: int) -> bool:
        self._known.begin_sweep()
        began, token, pages, complete = time.monotonic(), None, 0, False
        try:
            while not complete and pages < budget:
                asked_at = time.monotonic()
                entries, token = await self._page(token)
                pages, complete = pages + 1, token is None
                self._known.page(entries, asked_at)
        finally:
            self._known.end_sweep(began, complete=complete)
        self.pages = pages if complete else pages + 1
        return complete

    async def _page(self, token: str | None) -> tuple[list[Heard], str | None]:
        try:
            return await self._caller.secrets("ListSecrets", lambda client: _list(client, token))
        except OutsideError as refused:
            if refused.reason == SourceAccessDenied:
                self._permission.refuse(refused)
            raise


def _list(client: SecretsManagerClient, token: str | None) -> tuple[list[Heard], str | None]:
    request: ListSecretsRequestTypeDef = {"MaxResults": PAGE, "IncludePlannedDeletion": True}
    if token is not None:
        request["NextToken"] = token
    answer = client.list_secrets(**request)
    entries = [Heard(entry["Name"], entry["ARN"], listed_view(entry)) for entry in answer.get("SecretList") or []]
    return entries, answer.get("NextToken") or None


def _retrieved(task: asyncio.Task[bool]) -> None:
    if not task.cancelled():
        task.exception()
