"""RESP2, the protocol of Redis: enough of it for the half a dozen commands of a rotation, so that the zip needs no driver.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import socket

from keyturn_rotators.deadline import Deadline

BUFFER = 65536
END = b"\r\n"

Reply = str | int | None | list["Reply"]


class ServerError(Exception):
    """The server's own words, which begin with a code, as in `WRONGPASS invalid username-password pair`."""


class NotRedis(Exception):
    """What came back is none of its protocol."""


class Stream:
    """Commands out, replies in; each read and write ends with the step. Raises OSError where the connection fails."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket = sock
        self._deadline = deadline
        self._received = b""

    def call(self, *words: str) -> Reply:
        """Raises ServerError where the server refuses, NotRedis where it is something else."""
        self._socket.settimeout(self._deadline.remaining())
        self._socket.sendall(_command(words))
        return self._reply()

    def close(self) -> None:
        self._socket.close()

    def _reply(self) -> Reply:
        line = self._until_end()
        kind, rest = line[:1], line[1:].decode("utf-8", "replace")
        match kind:
            case b"+":
                return rest
            case b"-":
                raise ServerError(rest)
            case b":":
                return _number(rest)
            case b"$":
                length = _number(rest)
                return None if length < 0 else self._exactly(length + len(END))[: -len(END)].decode("utf-8", "replace")
            case b"*":
                return self._list(_number(rest))
        raise NotRedis

    def _list(self, length: int) -> Reply:
        return None if length < 0 else [self._reply() for _ in range(length)]

    def _until_end(self) -> bytes:
        while END not in self._received:
            if len(self._received) > BUFFER:
                raise NotRedis
            self._receive()
        line, _, self._received = self._received.partition(END)
        return line

    def _exactly(self, length: int) -> bytes:
        while len(self._received) < length:
            self._receive()
        content, self._received = self._received[:length], self._received[length:]
        return content

    def _receive(self) -> None:
        self._socket.settimeout(self._deadline.remaining())
        received = self._socket.recv(BUFFER)
        if not received:
            raise ConnectionResetError
        self._received += received


def _command(words: tuple[str, ...]) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise NotRedis from None
