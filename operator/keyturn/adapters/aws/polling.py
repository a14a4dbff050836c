"""A look at all followed secrets at every poll interval, in the way that costs the fewest calls.

| way | calls | tells |
|---|---|---|
| a ListSecrets sweep | one per 100 secrets of the whole account | labels, rotation, deletion; up to five minutes late |
| BatchGetSecretValue, the values dropped unseen | one per 20 followed | the current version; so a sixtieth is described each time |
| DescribeSecret | one per followed | everything |
How large the account is, only a sweep tells: each has the cost of its alternative as budget, and where it was given up, one in 30 polls
tries again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Final

from keyturn.adapters.aws.calls import Caller
from keyturn.adapters.aws.describing import Descriptions
from keyturn.adapters.aws.errors import SourceAccessDenied
from keyturn.adapters.aws.known import Known
from keyturn.adapters.aws.permissions import Permission
from keyturn.adapters.aws.sweeping import Sweeps
from keyturn.adapters.aws.values import BATCH
from keyturn.domain.failures import FailureKind, OutsideError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

logger = logging.getLogger("keyturn.aws")

OnPoll = Callable[[str, float], None]
"""Called after every round of polling with ("OK" or the reason why it failed, seconds)."""

TRICKLE: Final = 60  # polls after which each secret has been described, where versions only are polled
REEVALUATE: Final = 30  # polls until the size of the account is looked at again
_LONGEST_WAIT: Final = 900.0  # seconds between polls that fail


class Way(Enum):
    """How to look."""

    SWEEP = "sweep"
    DESCRIBE = "describe"
    BATCH = "batch"


def cost(way: Way, *, followed: int, pages: int | None) -> int:
    """Calls per poll."""
    match way:
        case Way.SWEEP:
            return pages or 1
        case Way.DESCRIBE:
            return followed
        case Way.BATCH:
            return ceil(followed / BATCH) + ceil(followed / TRICKLE)


def cheapest(ways: Iterable[Way], *, followed: int, pages: int | None) -> Way:
    """The way with the fewest calls; of equal ones, the one that tells more."""
    return min(ways, key=lambda way: (cost(way, followed=followed, pages=pages), list(Way).index(way)))


class Pace:
    """The poll interval. Several connections may share a catalog: the shortest that was asked for within the last hour counts."""

    _KEPT: Final = 3600.0

    def __init__(self) -> None:
        self._asked: dict[float, float] = {}  # interval -> when it was last asked for

    def ask(self, interval: float, *, now: float) -> None:
        """Somebody wants a look every so many seconds."""
        self._asked[interval] = now

    def interval(self, *, now: float) -> float:
        """Seconds between polls."""
        recent = [interval for interval, at in self._asked.items() if now - at < self._KEPT]
        return min(recent) if recent else max(self._asked.items(), key=lambda item: item[1])[0]


class Poller:
    """The background look of one catalog. It outlives every failure."""

    def __init__(
        self,
        *,
        caller: Caller,
        known: Known,
        sweeps: Sweeps,
        descriptions: Descriptions,
        may_sweep: Permission,
        may_batch: Permission,
        on_poll: OnPoll | None = None,
    ) -> None:
        self._caller = caller
        self._known = known
        self._sweeps = sweeps
        self._descriptions = descriptions
        self._may_sweep = may_sweep
        self._may_batch = may_batch
        self._on_poll = on_poll
        self._failures = 0
        self.trouble: OutsideError | None = None  # of the last round
        self._polls_without_a_sweep = 0
        self._described_up_to = ""
        self.pace = Pace()

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await asyncio.sleep(self._wait())
            if self._known.followed:
                await self._round()

    async def poll(self) -> None:
        """One look at everything that is followed."""
        followed = self._known.followed
        ways = [Way.DESCRIBE, *([Way.BATCH] if self._may_batch.granted else [])]
        fallback = cheapest(ways, followed=len(followed), pages=None)
        if self._may_sweep.granted and await self._swept(fallback, len(followed)):
            self._polls_without_a_sweep = 0
            return
        self._polls_without_a_sweep += 1
        if fallback is Way.BATCH and await self._poll_versions(followed):
            return
        refused = await self._describe(followed)
        if refused and len(refused) == len(followed):
            raise refused[0]  # nothing was learnt of any secret: that is the connection's trouble, not theirs

    def _wait(self) -> float:
        """Seconds until the next poll: a tenth more or less by chance, and longer after failures."""
        interval = self.pace.interval(now=time.monotonic())
        backed_off: float = min(interval * 2 ** min(self._failures, 10), max(interval, _LONGEST_WAIT))
        jitter: float = random.uniform(0.9, 1.1)  # noqa: S311  # spreads load, hides nothing
        return backed_off * jitter

    async def _round(self) -> None:
        began, outcome = time.monotonic(), "OK"
        try:
            await self.poll()
            self._failures, self.trouble = 0, None
        except OutsideError as refused:
            outcome, self.trouble = refused.reason, refused
            self._failed(refused.message)
        except Exception as error:  # the task's own boundary: a poll that cannot cope with an answer must not end all polling
            outcome = type(error).__name__
            self._failed(f"{outcome} in the poll itself")  # without its text, which may repeat what AWS sent
        if self._on_poll is not None:
            self._on_poll(outcome, time.monotonic() - began)

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning("a poll of AWS failed, and is tried again more slowly: %s", why)

    async def _swept(self, fallback: Way, followed: int) -> bool:
        """Sweep if that is the cheapest, as far as is known."""
        if self._polls_without_a_sweep >= REEVALUATE:
            self._sweeps.pages, self._polls_without_a_sweep = None, 0
        alternative = cost(fallback, followed=followed, pages=None)
        if cost(Way.SWEEP, followed=followed, pages=self._sweeps.pages) > alternative:
            return False
        try:
            return await self._sweeps.sweep(budget=alternative)
        except OutsideError as refused:
            if refused.reason == SourceAccessDenied:
                return False
            raise

    async def _poll_versions(self, followed: Sequence[str]) -> bool:
        """Compare current versions; describe those that differ, and a few more by turns. False without permission."""
        suspects: list[str] = []
        for start in range(0, len(followed), BATCH):
            ids = followed[start : start + BATCH]
            try:
                versions = await self._caller.secrets("BatchGetSecretValue", partial(_versions, ids=ids))
            except OutsideError as refused:
                if refused.reason == SourceAccessDenied:
                    self._may_batch.refuse(refused)
                    return False
                if refused.kind not in {FailureKind.INVALID, FailureKind.MISSING}:
                    raise
                versions = {}  # one id that AWS dislikes fails them all
            suspects += [secret_id for secret_id in ids if self._suspicious(secret_id, versions.get(secret_id))]
        await self._describe({*suspects, *self._turn(followed)})
        return True

    def _suspicious(self, secret_id: str, version: str | None) -> bool:
        """Without a version, AWS has refused the value: that is news only of a secret that was thought to be readable."""
        view = self._known.view(secret_id, now=time.monotonic())
        if view is None:
            return version is not None
        return not view.deleted and view.labels.current != version

    def _turn(self, followed: Sequence[str]) -> list[str]:
        """The next sixtieth, in order of their ids."""
        ordered = sorted(followed)
        later = [secret_id for secret_id in ordered if secret_id > self._described_up_to] or ordered
        turn = later[: ceil(len(ordered) / TRICKLE)]
        self._described_up_to = turn[-1] if turn else ""
        return turn

    async def _describe(self, ids: Iterable[str]) -> list[OutsideError]:
        """Describe them all; answers the refusals that say nothing of the secret itself. That one is not there has been remembered."""
        outcomes = await asyncio.gather(*map(self._describe_one, ids))
        return [refused for refused in outcomes if refused is not None and refused.kind is not FailureKind.MISSING]

    async def _describe_one(self, secret_id: str) -> OutsideError | None:
        try:
            await self._descriptions.read(secret_id)
        except OutsideError as refused:
            return refused
        return None


def _versions(client: SecretsManagerClient, *, ids: Sequence[str]) -> dict[str, str]:
    """The current version by name and by ARN; the values end here."""
    answer = client.batch_get_secret_value(SecretIdList=list(ids))
    found: dict[str, str] = {}
    for entry in answer.get("SecretValues") or []:
        found[entry["Name"]] = found[entry["ARN"]] = entry["VersionId"]
    return found
