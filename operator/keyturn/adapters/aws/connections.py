"""All connections to AWS: the `AwsConnections` port. One connection per credentials, endpoint and region; one thread pool for all.

boto is synchronous, so every call occupies a thread: the pool's size is the bound on calls in flight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from keyturn.adapters.aws.calls import Caller, OnCall
from keyturn.adapters.aws.catalog import CoalescingCatalog
from keyturn.adapters.aws.identity import AwsKey, Clients, Sessions, StaticCredentials, key_of, quiet_botocore
from keyturn.adapters.aws.rotations import SecretsManagerRotations
from keyturn.engine.ports import Aws, Catalog, Rotations

THREADS: Final = 16
_UNUSED: Final = 3600.0  # seconds after which a connection that nobody asks for or follows with is dropped

OnChange = Callable[[AwsKey, str], None]
"""Called in the event loop with (key of the connection, secret_id as it was followed) when a followed secret is worth a look."""

OnPolled = Callable[[AwsKey, str, float], None]
"""Called with (key of the connection, and what `OnPoll` is called with) after every round of its polling."""


class Connection:
    """One connection to AWS: the `Aws` port."""

    catalog: Catalog
    rotations: Rotations

    def __init__(self, key: AwsKey, caller: Caller, catalog: CoalescingCatalog) -> None:
        self.key = key
        self.catalog = self.reads = catalog
        self.rotations = SecretsManagerRotations(caller)
        self._caller = caller
        self.asked_at = time.monotonic()

    async def identity(self) -> str:
        """See `Aws.identity`."""
        return await self._caller.identity()


class Connections:
    """The connections of this process. To be made and used in the event loop, and closed in it."""

    def __init__(
        self, on_change: OnChange, *, on_call: OnCall | None = None, on_poll: OnPolled | None = None, threads: int = THREADS
    ) -> None:
        quiet_botocore()
        self._on_change = on_change
        self._on_call = on_call
        self._on_poll = on_poll
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="aws")
        self._sessions = Sessions(pool_size=threads)
        self._connections: dict[AwsKey, Connection] = {}

    def get(self, *, region: str, endpoint: str | None, credentials: Mapping[str, str] | None, poll_interval: float) -> Aws:
        """See `AwsConnections.get`. Polling starts with the first call; credentials that lack a part are refused."""
        static = StaticCredentials.of(credentials) if credentials is not None else None
        key = key_of(region=region, endpoint=endpoint, credentials=static)
        connection = self._connections.get(key)
        if connection is None:
            self._drop_unused()
            connection = self._connections[key] = self._connect(key, static)
        connection.asked_at = time.monotonic()
        connection.reads.start(poll_interval)
        return connection

    async def close(self) -> None:
        """End all polling and reading, and the threads."""
        for connection in list(self._connections.values()):
            await connection.reads.close()
        self._connections.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _connect(self, key: AwsKey, credentials: StaticCredentials | None) -> Connection:
        caller = Caller(Clients(self._sessions, key, credentials), key, self._pool, on_call=self._on_call)
        on_poll = partial(self._on_poll, key) if self._on_poll is not None else None
        catalog = CoalescingCatalog(caller, on_change=partial(self._on_change, key), on_poll=on_poll)
        return Connection(key, caller, catalog)

    def _drop_unused(self) -> None:
        """Credentials that were renewed leave their old connection behind."""
        now = time.monotonic()
        for key, connection in list(self._connections.items()):
            if connection.reads.idle and now - connection.asked_at > _UNUSED:
                connection.reads.stop()
                del self._connections[key]
