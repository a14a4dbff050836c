"""Secrets that nobody watches and on which an object waits: one in the way of a mirror, or a connection's access key that does not work.

The watch holds only Secrets with our label. Of the others, those that an object waits for are looked at now and then, by their metadata and
one after the other; as long as nobody waits, nothing is asked. An object that still waits says so again at each of its own slow passes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from keyturn.domain.failures import FailureKind, OutsideError
from keyturn.domain.observed import TargetView
from keyturn.engine.keys import Key
from keyturn.engine.ports import Secrets

EVERY = 15.0  # seconds between two looks
KEPT = 900.0  # seconds for which an object that does not say so again counts as waiting: three times its slow passes

Where = tuple[str, str]
"""Namespace and name of a Secret."""
Mark = Callable[[TargetView], Hashable]
"""What of a Secret's metadata an object waits to be different."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Wait:
    mark: Mark
    seen: Hashable  # None: it is not there
    until: float


class Unwatched:
    """Who waits for which Secret to be other than it was seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waits: dict[Where, dict[Key, _Wait]] = {}

    def wait(self, key: Key, where: Where, *, mark: Mark, seen: Hashable | None) -> None:
        """The object can only go on once the Secret's mark is not what was seen; None: it is not there; `...`: than at the next look."""
        self._waits.setdefault(where, {})[key] = _Wait(mark=mark, seen=seen, until=self._clock() + KEPT)

    def waited_for(self) -> list[Where]:
        """The Secrets for which somebody still waits."""
        now = self._clock()
        for where, waits in list(self._waits.items()):
            self._waits[where] = {key: wait for key, wait in waits.items() if wait.until > now}
            if not self._waits[where]:
                del self._waits[where]
        return list(self._waits)

    def seen(self, where: Where, view: TargetView | None) -> list[Key]:
        """The objects that waited for what the Secret has become; they wait no longer."""
        waits, met = self._waits.get(where, {}), []
        for key, wait in list(waits.items()):
            now = wait.mark(view) if view is not None else None
            if wait.seen is ...:
                wait.seen = now
            elif wait.seen != now:
                del waits[key]
                met.append(key)
        return met


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookout:
    """Looks at what is waited for, and wakes who waits."""

    unwatched: Unwatched
    secrets: Secrets
    wake: Callable[[Key], None]

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """One look at each, with one request in flight; a server that does not answer is left alone until the next time."""
        for where in self.unwatched.waited_for():
            try:
                view = await self.secrets.look(*where)
            except OutsideError as error:
                _log.debug("%s", error.message)
                if error.kind is FailureKind.TRANSIENT:
                    return
                continue
            for key in self.unwatched.seen(where, view):
                self.wake(key)
