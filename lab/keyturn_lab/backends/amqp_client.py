"""An app's connection by AMQP 0-9-1: enough to be let in or refused, and to be ended."""

import socket
import struct
from typing import ClassVar

from keyturn_lab.tcp import exactly

TIMEOUT = 30.0
HEADER = b"AMQP\x00\x00\x09\x01"
CONNECTION, CHANNEL = 10, 20
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE = 10, 11, 30, 31, 40, 41, 50
CHANNEL_OPEN, CHANNEL_OPENED, CHANNEL_CLOSE, CHANNEL_CLOSED = 10, 11, 40, 41
DONE = 200
END = b"\xce"


class AmqpRefused(Exception):
    """The server has ended the connection."""

    LOGIN: ClassVar[int] = 403  # the code of a refused login

    def __init__(self, code: int) -> None:
        super().__init__(f"the server ended the connection with {code}")
        self.code = code


class AmqpConnection:
    """Open from the start. Raises AmqpRefused."""

    def __init__(self, host: str, port: int, *, user: str, password: str, vhost: str, timeout: float = TIMEOUT) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else TCP may hold back the second of two writes for 40 ms
        try:
            self._open(f"\0{user}\0{password}".encode(), vhost)
        except BaseException:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Whether the server still works for it."""
        try:
            self.use()
        except (OSError, AmqpRefused):
            return False
        return True

    def use(self) -> None:
        """Open a channel and close it again. Raises OSError, AmqpRefused."""
        self._send(1, CHANNEL, CHANNEL_OPEN, b"\0")
        self._expect(CHANNEL_OPENED, of_class=CHANNEL)
        self._send(1, CHANNEL, CHANNEL_CLOSE, struct.pack(">HBHH", DONE, 0, 0, 0))
        self._expect(CHANNEL_CLOSED, of_class=CHANNEL)

    def close(self) -> None:
        self._socket.close()

    def _open(self, plain: bytes, vhost: str) -> None:
        self._socket.sendall(HEADER)
        self._expect(START)
        capability = b"\x1cauthentication_failure_closet\x01"
        properties = b"\x0ccapabilitiesF" + struct.pack(">I", len(capability)) + capability
        arguments = struct.pack(">I", len(properties)) + properties + b"\x05PLAIN" + struct.pack(">I", len(plain)) + plain + b"\x05en_US"
        self._send(0, CONNECTION, START_OK, arguments)
        self._send(0, CONNECTION, TUNE_OK, self._expect(TUNE)[:6] + b"\0\0")
        self._send(0, CONNECTION, OPEN, bytes([len(vhost)]) + vhost.encode() + b"\0\0")
        self._expect(OPEN_OK)

    def _expect(self, method: int, *, of_class: int = CONNECTION) -> bytes:
        *received, arguments = self._receive()
        if received != [of_class, method]:
            raise AmqpRefused(0)
        return arguments

    def _send(self, channel: int, of_class: int, method: int, arguments: bytes) -> None:
        payload = struct.pack(">HH", of_class, method) + arguments
        self._socket.sendall(struct.pack(">BHI", 1, channel, len(payload)) + payload + END)

    def _receive(self) -> tuple[int, int, bytes]:
        _, _, size = struct.unpack(">BHI", exactly(self._socket, 7))
        payload = exactly(self._socket, size + 1)
        of_class, method = struct.unpack(">HH", payload[:4])
        if (of_class, method) == (CONNECTION, CLOSE):
            raise AmqpRefused(struct.unpack(">H", payload[4:6])[0])
        return of_class, method, payload[4:-1]
