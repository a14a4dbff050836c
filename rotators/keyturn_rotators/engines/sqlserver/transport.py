"""The socket of pytds, with TLS by Python's own ssl module, and each of whose reads and writes ends with the step.

TDS negotiates TLS in its PRELOGIN messages and shakes hands inside of them. pytds does that with pyOpenSSL, and compares the host's name by
a rule of its own. Here it is done before pytds sees the answer: it is told that no more is to be encrypted, over a channel that is.
https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/60f56408-0188-4cd5-8b90-25c6f2423868
"""

import socket
import ssl
import struct
import sys

from keyturn_rotators.deadline import Deadline

PRELOGIN, REPLY, LAST = 0x12, 0x04, 0x01  # types and status of packets
HEADER = struct.Struct(">BBHHBx")
OPTION = struct.Struct(">BHH")
ENCRYPTION, TERMINATOR = 0x01, 0xFF
ON, NOT_SUPPORTED = 0x01, 0x02
ENCRYPTED = frozenset({0x01, 0x03})  # ON and REQUIRED
LARGEST = 4096  # bytes of a packet before a login
SOME = 65536


class NoTls(Exception):
    """The secret asks for TLS, and the server has none."""


class TlsRequired(Exception):
    """The secret says that there shall be no TLS, and the server insists."""


class Garbled(Exception):
    """What answers speaks another protocol."""


class Rerouted(Exception):
    """The server sends its clients elsewhere, where nobody would have verified anything."""


class Transport:
    """What pytds takes for its socket."""

    def __init__(self, sock: socket.socket, *, host: str, context: ssl.SSLContext | None, deadline: Deadline) -> None:
        """`context`: verifies the server's certificate; without one, there is no TLS."""
        self.tls = context is not None
        self._sock = sock
        self._host = host
        self._context = context
        self._deadline = deadline
        self._greeted = False
        self._answer = b""  # to PRELOGIN, for pytds
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._channel: ssl.SSLObject | None = None
        self.logged_in = False

    def sendall(self, data: bytes | bytearray, flags: int = 0) -> None:
        if not self._greeted:
            self._greeted = True
            self._greet(bytes(data))
        elif self._channel is None:
            self._send(bytes(data))
        else:
            self._channel.write(bytes(data))
            self._send(self._outgoing.read())

    def recv(self, size: int, flags: int = 0) -> bytes:
        if self._answer:
            found, self._answer = self._answer[:size], self._answer[size:]
            return found
        if self._channel is None:
            return self._receive(size)
        while True:
            try:
                return self._channel.read(size)
            except ssl.SSLWantReadError:
                if not (data := self._receive(SOME)):
                    return b""
                self._incoming.write(data)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0, flags: int = 0) -> int:
        found = self.recv(size or len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """End the connection. pytds does so in a login without an error only to log in elsewhere: that is where it stops."""
        self._sock.close()
        if not self.logged_in and sys.exc_info()[0] is None:
            raise Rerouted

    def setsockopt(self, *option: int) -> None:
        self._sock.setsockopt(*option)

    def settimeout(self, seconds: float | None) -> None:
        """The step's deadline says how long, and nobody else."""

    def gettimeout(self) -> float | None:
        return self._deadline.remaining()

    def _greet(self, packet: bytes) -> None:
        """Send pytds's PRELOGIN with our own wish for TLS, and do as the server answers."""
        self._send(_with_encryption(packet, ON if self._context else NOT_SUPPORTED)[0])
        answer = self._packet()
        told, encryption = _with_encryption(answer, NOT_SUPPORTED)
        if self._context is None and encryption != NOT_SUPPORTED:
            raise TlsRequired
        if self._context is not None:
            if encryption not in ENCRYPTED:
                raise NoTls
            self._shake_hands(self._context)
        self._answer = told

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # TDS 7 knows no later one
        channel = context.wrap_bio(self._incoming, self._outgoing, server_hostname=self._host)
        while True:
            try:
                channel.do_handshake()
            except ssl.SSLWantReadError:
                self._send_handshake()
                self._incoming.write(self._packet()[HEADER.size :])
            else:
                break
        self._send_handshake()
        self._channel = channel

    def _send_handshake(self) -> None:
        while data := self._outgoing.read(LARGEST - HEADER.size):
            last = 0 if self._outgoing.pending else LAST
            self._send(HEADER.pack(PRELOGIN, last, HEADER.size + len(data), 0, 0) + data)

    def _packet(self) -> bytes:
        """One packet of the server, with its header."""
        header = self._exactly(HEADER.size)
        kind, _, size = HEADER.unpack(header)[:3]
        if kind not in (REPLY, PRELOGIN) or size < HEADER.size:
            raise Garbled
        return header + self._exactly(size - HEADER.size)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            if not (data := self._receive(size - len(found))):
                raise ConnectionResetError("the server has closed the connection")
            found += data
        return found

    def _send(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline.remaining())
        self._sock.sendall(data)

    def _receive(self, size: int) -> bytes:
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv(size)


def _with_encryption(packet: bytes, wish: int) -> tuple[bytes, int]:
    """A PRELOGIN packet with that value for its option ENCRYPTION, and the value that it had. Raises Garbled."""
    at = HEADER.size
    try:
        while packet[at] != TERMINATOR:
            option, offset, length = OPTION.unpack_from(packet, at)
            if option == ENCRYPTION and length:
                place = HEADER.size + offset
                return packet[:place] + bytes([wish]) + packet[place + 1 :], packet[place]
            at += OPTION.size
    except (IndexError, struct.error):
        pass
    raise Garbled
