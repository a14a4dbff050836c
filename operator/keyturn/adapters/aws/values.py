"""Reads of AWSCURRENT's value, batched: those that ask within a few milliseconds share a BatchGetSecretValue of up to 20 secrets.

A result belongs to an id by its name or ARN, never by its place. Where the batch cannot answer for an id (a policy that insists on
VersionStage, an answer cut short), GetSecretValue does; without permission for the batch at all, it always does.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from keyturn.adapters.aws.calls import Caller
from keyturn.adapters.aws.errors import SourceAccessDenied, classify_code, closed, unanswered
from keyturn.adapters.aws.permissions import Permission
from keyturn.adapters.aws.views import current_value
from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.versions import AWSCURRENT
from keyturn.engine.ports import CurrentValue

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

BATCH: Final = 20  # AWS's limit
LINGER: Final = 0.01  # seconds that a read waits for company
_LINGER_BUSY: Final = 0.1  # the same while other batches are under way: those whom they answer are likely to ask next
_AT_ONCE: Final = 4  # calls in flight; the quota is 100 a second for the whole account

Outcome = CurrentValue | OutsideError
Waiter = asyncio.Future[CurrentValue]


@dataclass(frozen=True, slots=True)
class _Batch:
    """One answer: values by name and by ARN, refusals by the id that was sent, and whether there was more."""

    found: Mapping[str, CurrentValue]
    refused: Mapping[str, tuple[str, str]]
    cut_short: bool


class Values:
    """Coalesces reads of values. `on_value` hears (secret_id, version_id) of each value that was read."""

    def __init__(self, caller: Caller, permission: Permission, *, on_value: Callable[[str, str], None]) -> None:
        self._caller = caller
        self._permission = permission
        self._on_value = on_value
        self._waiting: dict[str, list[Waiter]] = {}
        self._full = asyncio.Event()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._gatherer: asyncio.Task[None] | None = None
        self._reads: set[asyncio.Task[None]] = set()
        self._single: set[str] = set()  # ids that the batch is denied and GetSecretValue is not, or that AWS cannot read at all

    async def read(self, secret_id: str) -> CurrentValue:
        """AWSCURRENT's value, from a call that begins after this one."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(secret_id, []).append(waiter)
        if len(self._waiting) >= BATCH:
            self._full.set()
        if self._gatherer is None or self._gatherer.done():
            self._gatherer = asyncio.create_task(self._gather())
        return await waiter

    async def close(self) -> None:
        """Stop reading; whoever still waits is told that the connection is closed."""
        tasks = [*self._reads, *([self._gatherer] if self._gatherer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for secret_id, waiters in self._waiting.items():
            self._tell(secret_id, closed(secret_id), waiters)
        self._waiting.clear()

    async def _gather(self) -> None:
        """Send what waits, in batches as full as patience allows; ends when nobody waits."""
        while self._waiting:
            if len(self._waiting) < BATCH:
                self._full.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), _LINGER_BUSY if self._reads else LINGER)
            await self._slots.acquire()
            batch = {secret_id: self._waiting.pop(secret_id) for secret_id in list(islice(self._waiting, BATCH))}
            task = asyncio.create_task(self._deliver(batch))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)

    async def _deliver(self, batch: Mapping[str, list[Waiter]]) -> None:
        outcomes: Mapping[str, Outcome] = {}
        otherwise = unanswered
        try:
            wanted = [secret_id for secret_id, waiters in batch.items() if not all(waiter.done() for waiter in waiters)]
            outcomes = await self._read(wanted) if wanted else {}
        except asyncio.CancelledError:
            otherwise = closed
            raise
        finally:
            self._slots.release()
            for secret_id, waiters in batch.items():
                self._tell(secret_id, outcomes.get(secret_id) or otherwise(secret_id), waiters)

    def _tell(self, secret_id: str, outcome: Outcome, waiters: Sequence[Waiter]) -> None:
        for waiter in waiters:
            if waiter.done():  # cancelled meanwhile
                continue
            if isinstance(outcome, OutsideError):
                waiter.set_exception(OutsideError(outcome.kind, reason=outcome.reason, message=outcome.message))
            else:
                waiter.set_result(outcome)
        if isinstance(outcome, CurrentValue):
            self._on_value(secret_id, outcome.version_id)

    async def _read(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """Read up to 20 ids: one batch where that is possible, single reads where not."""
        together = [secret_id for secret_id in ids if secret_id not in self._single] if self._permission.granted else []
        answers = await self._batch(together) if len(together) > 1 else {}
        alone = [secret_id for secret_id in ids if secret_id not in answers]
        return answers | dict(zip(alone, await asyncio.gather(*map(self._get, alone)), strict=True))

    async def _batch(self, ids: Sequence[str]) -> dict[str, Outcome]:
        """One BatchGetSecretValue. Ids that are not in the answer are to be asked for by GetSecretValue."""
        try:
            answer = await self._caller.secrets("BatchGetSecretValue", lambda client: _batch_get(client, ids))
        except OutsideError as refused:
            if refused.reason == SourceAccessDenied:
                self._permission.refuse(refused)
            return dict.fromkeys(ids, refused) if refused.kind is FailureKind.TRANSIENT else {}  # one bad id fails them all
        sorted_out = {secret_id: self._sorted_out(secret_id, answer) for secret_id in ids}
        return {secret_id: outcome for secret_id, outcome in sorted_out.items() if outcome is not None}

    def _sorted_out(self, secret_id: str, answer: _Batch) -> Outcome | None:
        if (value := answer.found.get(secret_id)) is not None:
            return value
        if secret_id in answer.refused:
            code, text = answer.refused[secret_id]
            refused = classify_code(code, text, self._caller.asked("GetSecretValue", secret_id))
            if refused.reason != SourceAccessDenied:
                return refused
            self._single.add(secret_id)
            return None
        return None if answer.cut_short else unanswered(secret_id)

    async def _get(self, secret_id: str) -> Outcome:
        try:
            value = await self._caller.secrets("GetSecretValue", lambda client: _get_current(client, secret_id), secret_id=secret_id)
        except OutsideError as refused:
            if refused.kind is FailureKind.INVALID:
                self._single.add(secret_id)  # it would fail every batch that it is in
            elif refused.reason == SourceAccessDenied:
                self._single.discard(secret_id)  # denied either way: the batch is as good
            return refused
        return value if value is not None else unanswered(secret_id)


def _get_current(client: SecretsManagerClient, secret_id: str) -> CurrentValue | None:
    return current_value(client.get_secret_value(SecretId=secret_id, VersionStage=AWSCURRENT))


def _batch_get(client: SecretsManagerClient, ids: Sequence[str]) -> _Batch:
    answer = client.batch_get_secret_value(SecretIdList=list(ids))
    found: dict[str, CurrentValue] = {}
    for entry in answer.get("SecretValues") or []:
        if (value := current_value(entry)) is not None:
            found[value.name] = found[value.arn] = value
    refused = {error.get("SecretId", ""): (error.get("ErrorCode", ""), error.get("Message", "")) for error in answer.get("Errors") or []}
    return _Batch(found, refused, bool(answer.get("NextToken")))
