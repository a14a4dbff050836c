"""A stand-in for Redshift: a PostgreSQL behind a proxy that Redshift's driver talks to. It is no Redshift.

Logins, sessions, permissions and refusals are PostgreSQL's. The proxy takes Redshift's statements for users and permissions and no others
of that kind (`redshift_grammar`), and some of Redshift's catalogue is there as views (`redshift_catalogue`). Passwords are asked for by
their MD5 digest, as Redshift does, and not by SCRAM, which Redshift has not and its driver cannot do. There is no TLS.
"""

import socket
import struct
import threading
from contextlib import suppress
from typing import Any

from keyturn_lab.backends.postgres import Postgres
from keyturn_lab.backends.redshift_catalogue import SCHEMA, statements
from keyturn_lab.backends.redshift_grammar import translated
from keyturn_lab.tcp import TcpServer, exactly

TLS_REQUEST = 80877103
VERSION = b"server_version\x008.0.2\x00"  # which Redshift says it is
KNOWN = frozenset({b"user", b"database", b"client_encoding", b"application_name"})  # what PostgreSQL takes of the driver's parameters
QUERY, PARSE = b"Q", b"P"  # the messages with a statement in them
SETTINGS = {"password_encryption": "md5", "search_path": f"{SCHEMA},pg_catalog,public"}


class RedshiftStandIn(TcpServer):
    """The server and its proxy: `with RedshiftStandIn() as redshift:`."""

    def __init__(self) -> None:
        super().__init__()
        self._pg = Postgres(settings=SETTINGS, method="md5")

    def _start(self) -> None:
        self._cleanup.enter_context(self._pg)
        self._pg.execute(statements(), database="template1")
        super()._start()

    @property
    def server_port(self) -> int:
        """Of the PostgreSQL behind the proxy."""
        return self._pg.port

    def create_database(self, name: str) -> None:
        self._pg.create_database(name)

    def execute(self, sql: str, *params: object, database: str, user: str | None = None, password: str | None = None) -> list[list[Any]]:
        """Run one statement of Redshift's, not by way of the proxy; by default as the server's first superuser."""
        return self._pg.execute(translated(sql), *params, database=database, user=user or self._pg.superuser, password=password)

    def secret(self, username: str, password: str, **extra: object) -> dict[str, object]:
        """The value of a secret for a user, with the fields that AWS documents."""
        return self._pg.secret(username, password) | {"engine": "redshift", "host": self.host, "port": self.port} | extra

    def _serve(self, client: socket.socket) -> None:
        server = self._connect(client, self._pg.host, self._pg.port)
        try:
            server.sendall(_startup(client))
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            while True:
                server.sendall(_packed(*_asked(*_message(client))))
        finally:
            self._close(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            kind = b""
            while kind != b"Z":  # ReadyForQuery: from here on nothing is changed
                kind, body = _message(server)
                if kind == b"S" and body.startswith(b"server_version\x00"):
                    body = VERSION
                client.sendall(_packed(kind, body))
            while data := server.recv(65536):
                client.sendall(data)
        self._close(client)


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


def _asked(kind: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A message of the driver's with its statement translated, if it has one."""
    if kind == QUERY:
        return kind, translated(body[:-1].decode()).encode() + b"\x00"
    if kind == PARSE:
        name, sql, rest = body.split(b"\x00", 2)
        return kind, b"\x00".join((name, translated(sql.decode()).encode(), rest))
    return kind, body


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    return exactly(source, 1), _body(source)


def _body(source: socket.socket) -> bytes:
    return exactly(source, struct.unpack("!i", exactly(source, 4))[0] - 4)
