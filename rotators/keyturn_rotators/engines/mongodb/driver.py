"""The driver, held to one host and to the time of a step, and told to give up as soon as the host is lost.

It looks for servers in the background, again and again, and tells what it met only when its time is over. So the host is tried before the
driver is asked, and what the driver meets in the background ends its search.
"""

import ssl
from typing import Any

from pymongo import MongoClient
from pymongo.errors import InvalidOperation
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.network import CONNECT_WITHIN, Place, connect
from keyturn_rotators.tls import client_context

PORT = 27017

Document = dict[str, Any]


class Client(ServerHeartbeatListener):
    """The driver's client with one login. It connects with the first command; the caller closes it."""

    def __init__(self, credential: Credential, *, source: str, deadline: Deadline) -> None:
        """`source`: the database that keeps the user."""
        self._lost: Exception | None = None
        # Of the members of a replica set some may be down.
        self._gives_up = not credential.get("replicaSet")
        self._client: MongoClient[Document] = MongoClient(
            **_options(credential, deadline=deadline), authSource=source, event_listeners=[self]
        )
        if credential.tls:
            # The driver takes files only; nothing has been connected to yet.
            object.__setattr__(self._client.options.pool_options, "_PoolOptions__ssl_context", client_context(rds=True))

    def command(self, database: str, command: Document) -> Document:
        """Raises PyMongoError; where the host was lost, from what happened to it."""
        try:
            return self._client[database].command(command)
        except InvalidOperation as closed:
            raise closed from self._lost

    def close(self) -> None:
        self._gives_up = False
        self._client.close()

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """The driver asks the host in the background how it is."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """It answers."""

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """It does not: a command that waits for it, and the driver's own farewell, shall not wait until their time is over."""
        if self._gives_up:
            self._lost = event.reply
            self._client.close()


def reach(credential: Credential, place: Place, *, deadline: Deadline) -> None:
    """See that somebody answers at the host, with TLS if the secret says so. Raises OSError, or RotationError."""
    with connect(credential, port=PORT, deadline=deadline) as sock:
        if credential.tls:
            context = client_context(rds=True)
            sock.settimeout(deadline.remaining(at_most=CONNECT_WITHIN))
            try:
                context.wrap_socket(sock, server_hostname=credential.host).close()
            except (ConnectionError, TimeoutError, ssl.SSLEOFError):  # what it was sent is no request of the protocol
                raise place.without_tls() from None


def _options(credential: Credential, *, deadline: Deadline) -> Document:
    """Of the host that the secret names and no other, but for a replica set, whose primary the driver looks for."""
    host, name = credential.host, credential.get("replicaSet")
    members: Document = {"replicaSet": credential.text("replicaSet")} if name else {"directConnection": True}
    within = deadline.remaining()
    return members | {
        "host": f"[{host}]" if ":" in host else host,
        "port": credential.port(PORT),
        "username": credential.username,
        "password": credential.password,
        "tls": credential.tls,
        "connect": False,
        "serverSelectionTimeoutMS": _milliseconds(min(within, CONNECT_WITHIN)),
        "connectTimeoutMS": _milliseconds(min(within, CONNECT_WITHIN)),
        "socketTimeoutMS": _milliseconds(within),
        "serverMonitoringMode": "poll",
        "retryReads": False,
        "retryWrites": False,
        "maxPoolSize": 1,
        "appname": "keyturn",
    }


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
