"""TCP servers of our own, in this process: a thread for each connection, and none of them open when the server's block has ended."""

import socket
import threading
from abc import abstractmethod
from contextlib import suppress
from typing import ClassVar

from keyturn_lab.parts import Part


class TcpServer(Part):
    """It listens at a free port of our loopback."""

    host: ClassVar[str] = "127.0.0.1"

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    @abstractmethod
    def _serve(self, client: socket.socket) -> None:
        """In a thread of the connection's own. At the end, or where it is cut off (OSError, EOFError), the connection is closed."""

    def _start(self) -> None:
        self._cleanup.callback(self._cut)
        listener = socket.create_server((self.host, 0), backlog=128)
        self._cleanup.callback(shut, listener)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._keep(client)
            threading.Thread(target=self._attend, args=(client,), daemon=True).start()

    def _attend(self, client: socket.socket) -> None:
        try:
            with suppress(OSError, EOFError):
                self._serve(client)
        finally:
            self._close(client)

    def _connect(self, client: socket.socket, host: str, port: int) -> socket.socket:
        """A connection to what stands behind us, for a client of ours; neither holds back what is small."""
        server = socket.create_connection((host, port))
        self._keep(server)
        for end in (client, server):  # else the second part of a request waits for the acknowledgement of the first
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _keep(self, end: socket.socket) -> None:
        """It is closed with us."""
        with self._lock:
            self._open.add(end)

    def _close(self, end: socket.socket) -> None:
        shut(end)
        with self._lock:
            self._open.discard(end)

    def _cut(self) -> None:
        for end in list(self._open):
            self._close(end)


def shut(end: socket.socket) -> None:
    """Close it, and wake whoever waits at it."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def exactly(source: socket.socket, size: int) -> bytes:
    """So many bytes, waited for. Raises ConnectionError where it is closed before."""
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise ConnectionError("closed in a message")
        data += more
    return data
