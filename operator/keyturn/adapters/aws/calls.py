"""One place where AWS is called: in the thread pool, timed, classified, and tried again where that can help.

An answer is boiled down to our own types in the pool's thread, so that no raw answer reaches the event loop; and `OutsideError` is raised
without the SDK's exception as its context, since whoever prints a traceback prints that too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from keyturn.adapters.aws.errors import REFUSALS, Asked, Throttled, classify
from keyturn.adapters.aws.identity import AwsKey, Clients
from keyturn.domain.failures import FailureKind, OutsideError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

T = TypeVar("T")

OnCall = Callable[[str, str, float], None]
"""Called for every call to AWS with (operation, "OK" or the reason of its failure, seconds)."""

ATTEMPTS: Final = 3
WHO_AM_I: Final = "GetCallerIdentity"
_UNAVAILABLE_DELAY: Final = 0.2  # seconds; doubled at each attempt, with full jitter
_THROTTLED_DELAY: Final = 1.0


class Caller:
    """The calls of one connection."""

    def __init__(self, clients: Clients, key: AwsKey, pool: ThreadPoolExecutor, *, on_call: OnCall | None = None) -> None:
        self._clients = clients
        self._region = key.region
        self._pool = pool
        self._on_call = on_call
        self._identity: asyncio.Task[str] | None = None
        self._arn: str | None = None
        self._not_before: dict[str, float] = {}  # operation -> when one that was throttled may be called again

    async def secrets(self, operation: str, call: Callable[[SecretsManagerClient], T], *, secret_id: str | None = None) -> T:
        """Make one Secrets Manager call; TRANSIENT refusals are tried again, three attempts in all."""
        asked = self.asked(operation, secret_id)
        return await self._attempts(asked, lambda: call(self._clients.secrets()))

    async def identity(self) -> str:
        """The ARN of the identity in use, asked once and kept; a failure is not kept."""
        if self._identity is None or _failed(self._identity):
            asking = self._attempts(self.asked(WHO_AM_I), lambda: self._clients.sts().get_caller_identity()["Arn"])
            self._identity = asyncio.create_task(asking)
        self._arn = await asyncio.shield(self._identity)
        return self._arn

    def asked(self, operation: str, secret_id: str | None = None) -> Asked:
        """The nouns for an error about such a call."""
        return Asked(operation=operation, secret_id=secret_id, region=self._region, identity=self._arn)

    async def _attempts(self, asked: Asked, call: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            await self._pause(asked.operation)
            outcome = await self._timed(asked, call)
            if not isinstance(outcome, _Refusal):
                return outcome
            refused = await self._named(outcome.error, asked)
            if attempt == ATTEMPTS or refused.kind is not FailureKind.TRANSIENT:
                raise refused
            await self._back_off(asked.operation, attempt, throttled=refused.reason == Throttled)
        raise AssertionError("unreachable")

    async def _timed(self, asked: Asked, call: Callable[[], T]) -> T | _Refusal:
        began = time.monotonic()
        outcome = await asyncio.get_running_loop().run_in_executor(self._pool, _outcome, call)
        if self._on_call is not None:
            code = classify(outcome.error, asked).reason if isinstance(outcome, _Refusal) else "OK"
            self._on_call(asked.operation, code, time.monotonic() - began)
        return outcome

    async def _named(self, error: Exception, asked: Asked) -> OutsideError:
        """Classify; a denial names the identity, which is asked for if neither we nor AWS's sentence know it yet."""
        refused = classify(error, asked)
        if refused.kind is FailureKind.DENIED and asked.operation != WHO_AM_I and asked.who in refused.message and asked.identity is None:
            with suppress(OutsideError):
                return classify(error, replace(asked, identity=await self.identity()))
        return refused

    async def _pause(self, operation: str) -> None:
        """After a throttled call, all calls of that operation wait: more of them would only be throttled too."""
        wait = self._not_before.get(operation, 0.0) - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait + random.uniform(0, wait))  # noqa: S311  # jitter

    async def _back_off(self, operation: str, attempt: int, *, throttled: bool) -> None:
        longest = (_THROTTLED_DELAY if throttled else _UNAVAILABLE_DELAY) * 2 ** (attempt - 1)
        delay = random.uniform(longest / 4, longest)  # noqa: S311  # jitter
        if throttled:
            self._not_before[operation] = time.monotonic() + delay
        await asyncio.sleep(delay)


class _Refusal:
    """An exception as a value."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error.with_traceback(None)


def _outcome(call: Callable[[], T]) -> T | _Refusal:
    try:
        return call()
    except REFUSALS as error:
        return _Refusal(error)


def _failed(task: asyncio.Task[str]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
