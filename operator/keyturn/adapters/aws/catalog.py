"""Reads of one account, identity and region, coalesced over all objects: the `Catalog` port.

Nobody reads once per object and interval: metadata comes from sweeps that all share, values in batches, certainty from DescribeSecret for
the one secret that needs it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from keyturn.adapters.aws.calls import Caller
from keyturn.adapters.aws.describing import Descriptions
from keyturn.adapters.aws.errors import lacks_value
from keyturn.adapters.aws.known import Known
from keyturn.adapters.aws.permissions import Permission
from keyturn.adapters.aws.polling import OnPoll, Poller
from keyturn.adapters.aws.sweeping import Sweeps
from keyturn.adapters.aws.values import LINGER, Values
from keyturn.domain.failures import OutsideError
from keyturn.domain.observed import Failure, SourceView
from keyturn.domain.versions import AWSPENDING
from keyturn.engine.ports import CurrentValue

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class CoalescingCatalog:
    """The `Catalog` of one connection. `on_change` hears each followed id for which a look is worth while."""

    def __init__(self, caller: Caller, *, on_change: Callable[[str], None], on_poll: OnPoll | None = None) -> None:
        self._caller = caller
        self._may_sweep = Permission("secretsmanager:ListSecrets", instead="secrets are looked at one by one")
        self._may_batch = Permission("secretsmanager:BatchGetSecretValue", instead="values are read one by one")
        self._known = Known(on_change)
        self._descriptions = Descriptions(caller, on_description=self._known.describe)
        self._sweeps = Sweeps(caller, self._known, self._may_sweep)
        self._values = Values(caller, self._may_batch, on_value=self._value_was_read)
        self._poller = Poller(
            caller=caller,
            known=self._known,
            sweeps=self._sweeps,
            descriptions=self._descriptions,
            may_sweep=self._may_sweep,
            may_batch=self._may_batch,
            on_poll=on_poll,
        )
        self._asked: set[str] = set()  # ids of the round of first looks that is being gathered
        self._first_looks: asyncio.Task[None] | None = None
        self._owed = 0  # first looks since the last whole sweep: what a sweep may cost
        self._checks: set[asyncio.Task[None]] = set()
        self._polling: asyncio.Task[None] | None = None

    def known(self, secret_id: str) -> SourceView | None:
        """See `Catalog.known`."""
        return self._known.view(secret_id, now=time.monotonic())

    async def described(self, secret_id: str, *, fresh: bool = False) -> SourceView:
        """See `Catalog.described`."""
        if fresh:
            return await self._descriptions.read(secret_id)
        if (view := self.known(secret_id)) is not None:
            return view
        if self._known.blank(secret_id, now=time.monotonic()):
            await self._first_look(secret_id)
        return self.known(secret_id) or await self._descriptions.read(secret_id)

    async def current(self, secret_id: str) -> CurrentValue:
        """See `Catalog.current`."""
        return await self._values.read(secret_id)

    async def has_value(self, secret_id: str, version_id: str) -> bool:
        """See `Catalog.has_value`."""
        try:
            return await self._caller.secrets("GetSecretValue", lambda client: _holds(client, secret_id, version_id), secret_id=secret_id)
        except OutsideError as refused:
            if lacks_value(refused):
                return False
            raise

    def follow(self, secret_id: str) -> None:
        """See `Catalog.follow`."""
        self._known.follow(secret_id, now=time.monotonic())
        if self._polling is not None and self._polling.done():  # the connection had gone out of use
            self._polling = asyncio.create_task(self.run())

    def unfollow(self, secret_id: str) -> None:
        """See `Catalog.unfollow`."""
        self._known.unfollow(secret_id)

    def trouble(self) -> Failure | None:
        """See `Catalog.trouble`."""
        refused = self._poller.trouble
        return Failure(kind=refused.kind, reason=refused.reason, message=refused.message) if refused else None

    @property
    def idle(self) -> bool:
        """Nobody follows anything."""
        return not self._known.followed

    def start(self, poll_interval: float) -> None:
        """Poll from now on, in the running event loop."""
        self._poller.pace.ask(poll_interval, now=time.monotonic())
        if self._polling is None or self._polling.done():
            self._polling = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Poll for ever; `start` makes it a task."""
        await self._poller.run()

    async def poll(self) -> None:
        """One look at everything that is followed, now."""
        await self._poller.poll()

    def stop(self) -> None:
        """Stop polling; reads still work, and `start` polls again."""
        if self._polling is not None:
            self._polling.cancel()

    async def close(self) -> None:
        """Stop polling and reading."""
        tasks = [task for task in (self._polling, self._first_looks, *self._checks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._sweeps.close(), self._descriptions.close(), self._values.close())

    async def _first_look(self, secret_id: str) -> None:
        """Wait for the shared first look; it may leave the secret unknown."""
        self._asked.add(secret_id)
        if self._first_looks is None or self._first_looks.done():
            self._first_looks = asyncio.create_task(self._look_at_the_unknown())
        await asyncio.shield(self._first_looks)

    async def _look_at_the_unknown(self) -> None:
        """Sweep if that costs less than describing all that are unknown, those included that came before and were described."""
        await asyncio.sleep(LINGER)
        now = time.monotonic()
        unknown = self._asked | {secret_id for secret_id in self._known.followed if self._known.blank(secret_id, now=now)}
        self._asked = set()
        self._owed += len(unknown)
        if not self._may_sweep.granted or (self._sweeps.pages or 1) >= self._owed:
            return
        with suppress(OutsideError):  # DescribeSecret will say the same of its own secret, and more exactly
            if await self._sweeps.sweep(budget=self._owed):
                self._owed = 0

    def _value_was_read(self, secret_id: str, version_id: str) -> None:
        """Where a value and what is known of its secret disagree, DescribeSecret decides."""
        view = self.known(secret_id)
        if view is not None and view.labels.current != version_id:
            task = asyncio.create_task(self._check(secret_id))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, secret_id: str) -> None:
        with suppress(OutsideError):  # the next poll or pass will meet it again
            await self._descriptions.read(secret_id)


def _holds(client: SecretsManagerClient, secret_id: str, version_id: str) -> bool:
    answer = client.get_secret_value(SecretId=secret_id, VersionId=version_id, VersionStage=AWSPENDING)
    return "SecretString" in answer or "SecretBinary" in answer
