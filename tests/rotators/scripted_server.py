"""A server that says what a test tells it to, to everybody who comes: for what no real server of its kind says, or none can be had of."""

import socket
import ssl
import threading
from collections.abc import Callable

from tests.support.eventually import WITHIN

from keyturn_lab.tcp import TcpServer

Script = Callable[[socket.socket], object]


class ScriptedServer(TcpServer):
    """`with ScriptedServer(script) as server`. When the block has ended, so have the scripts, and what they noted is complete."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self._threads: list[threading.Thread] = []

    def _start(self) -> None:
        super()._start()
        self._cleanup.callback(self._join)

    def _serve(self, client: socket.socket) -> None:
        self._threads.append(threading.current_thread())
        client.settimeout(WITHIN)
        self._script(client)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(WITHIN)


def saying(words: bytes, *, heard: list[bytes] | None = None) -> Script:
    """Hear once, say this, and hear once more."""
    notes = heard if heard is not None else []

    def talk(client: socket.socket) -> None:
        notes.append(client.recv(65536))
        client.sendall(words)
        notes.append(client.recv(65536))

    return talk


def asking_in_the_clear(heard: list[bytes]) -> Script:
    """A PostgreSQL that asks everybody for the password as it is."""
    return saying(b"R\x00\x00\x00\x08\x00\x00\x00\x03", heard=heard)


def asking_for_scram() -> Script:
    """A PostgreSQL that is set up as PostgreSQL's defaults are."""
    methods = b"\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
    return saying(b"R" + (len(methods) + 4).to_bytes(4, "big") + methods)


def refusing_plaintext() -> Script:
    """A PostgreSQL whose rules of access are for TLS only."""
    fields = (b"SFATAL", b"C28000", b'Mno pg_hba.conf entry for host "::ffff:10.0.0.1", user "app", database "dev", SSL off')
    body = b"".join(field + b"\x00" for field in fields) + b"\x00"
    return saying(b"E" + (len(body) + 4).to_bytes(4, "big") + body)


def offering_tls(context: ssl.SSLContext) -> Script:
    """A PostgreSQL with a certificate."""

    def talk(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"S")
        context.wrap_socket(client, server_side=True).close()

    return talk
