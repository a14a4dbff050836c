"""A stand-in for Redshift: a PostgreSQL that Redshift's driver talks to, by way of a proxy. It is no Redshift.

Logins, ALTER USER ... PASSWORD and refusals are PostgreSQL's. It has neither Redshift's catalogue (svv_*, stv_*) nor its statements for
groups and roles, nor PASSWORD DISABLE, nor TLS.
"""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from keyturn_lab.backends.postgres import Postgres

TLS_REQUEST = 80877103
VERSION = b"server_version\x008.0.2\x00"  # which Redshift says it is
KNOWN = frozenset({b"user", b"database", b"client_encoding", b"application_name"})  # what PostgreSQL takes of the driver's parameters


class RedshiftStandIn:
    """The proxy: `with RedshiftStandIn(pg) as redshift:`."""

    host = "127.0.0.1"

    def __init__(self, pg: Postgres) -> None:
        self._pg = pg
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            self._close(end)

    def secret(self, username: str, password: str, **extra: object) -> dict[str, object]:
        """The value of a secret for a user, with the fields that AWS documents."""
        return self._pg.secret(username, password) | {"engine": "redshift", "host": self.host, "port": self.port} | extra

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        with suppress(OSError):
            server = socket.create_connection((self._pg.host, self._pg.port))
            with self._lock:
                self._open |= {client, server}
            server.sendall(_startup(client))
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            _forward(client, server)
        for end in (client, server):
            if end is not None:
                self._close(end)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            kind = b""
            while kind != b"Z":  # ReadyForQuery: from here on nothing is changed
                kind, body = _message(server)
                if kind == b"S" and body.startswith(b"server_version\x00"):
                    body = VERSION
                client.sendall(kind + struct.pack("!i", len(body) + 4) + body)
            _forward(server, client)
        self._close(client)

    def _close(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
        with self._lock:
            self._open.discard(end)


def _startup(client: socket.socket) -> bytes:
    """The driver's first message as PostgreSQL takes it. TLS is refused, and then the message comes again."""
    body = _body(client)
    while struct.unpack("!i", body[:4])[0] == TLS_REQUEST:
        client.sendall(b"N")
        body = _body(client)
    words = body[4:].rstrip(b"\x00").split(b"\x00")
    kept = [(name, value) for name, value in zip(words[::2], words[1::2], strict=False) if name in KNOWN]
    sent = body[:4] + b"".join(name + b"\x00" + value + b"\x00" for name, value in kept) + b"\x00"
    return struct.pack("!i", len(sent) + 4) + sent


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    return _exactly(source, 1), _body(source)


def _body(source: socket.socket) -> bytes:
    return _exactly(source, struct.unpack("!i", _exactly(source, 4))[0] - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise ConnectionError("closed in a message")
        data += more
    return data


def _forward(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
