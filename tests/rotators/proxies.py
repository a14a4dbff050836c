"""A TCP proxy between a rotator and its back end: every request goes through it, and none any more once the rotator's life is over."""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.unit.rotators.stores import Life


class MortalProxy:
    """`with MortalProxy(host, port) as proxy`; what a client sends at once counts as one request."""

    def __init__(self, host: str, port: int, *, life: Life | None = None, delay: float = 0.0) -> None:
        """`delay` holds up each request so many seconds."""
        self._target = (host, port)
        self._life = life or Life()
        self._delay = delay
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for end in (client, server):  # else the second part of a request waits for the acknowledgement of the first
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counted and self._life.is_over():
                    break
                if counted and self._delay:
                    time.sleep(self._delay)
                target.sendall(data)
        for end in (source, target):
            self._close(end)

    def _cut(self) -> None:
        for end in list(self._open):
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
        with self._lock:
            self._open.discard(end)
