"""A TCP proxy between a rotator and its back end: every request goes through it, and none any more once the rotator's life is over."""

import socket
import threading
import time
from contextlib import suppress

from tests.unit.rotators.stores import Life

from keyturn_lab.tcp import TcpServer


class MortalProxy(TcpServer):
    """`with MortalProxy(host, port) as proxy`; what a client sends at once counts as one request."""

    def __init__(self, host: str, port: int, *, life: Life | None = None, delay: float = 0.0) -> None:
        """`delay` holds up each request so many seconds."""
        super().__init__()
        self._target = (host, port)
        self._life = life or Life()
        self._delay = delay

    def _serve(self, client: socket.socket) -> None:
        server = self._connect(client, *self._target)
        threading.Thread(target=self._forward, args=(server, client), daemon=True).start()
        self._forward(client, server, counted=True)

    def _forward(self, source: socket.socket, target: socket.socket, *, counted: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted and self._life.is_over():
                    break
                if counted and self._delay:
                    time.sleep(self._delay)
                target.sendall(data)
        for end in (source, target):
            self._close(end)
