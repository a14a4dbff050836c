"""A server that speaks as much of TDS 7.4 as a login needs: PRELOGIN with TLS inside of it, LOGIN7, and batches without a result.

It knows one password, which it reads out of LOGIN7. No SQL Server: it is there so that the real driver and our transport are tested
over the wire. https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/
"""

import socket
import ssl
import struct

from keyturn_lab.tcp import TcpServer

HEADER = struct.Struct(">BBHHBx")
PRELOGIN, LOGIN7, REPLY = 0x12, 0x10, 0x04
OFF, ON, NOT_SUPPORTED = 0x00, 0x01, 0x02
DONE = struct.pack("<BHHQ", 0xFD, 0, 0, 0)
FAILED = struct.pack("<BHHQ", 0xFD, 2, 0, 0)


class TdsServer(TcpServer):
    """`encryption`: what it answers to PRELOGIN. `moved_to`: where it sends its clients after the login.

    `closed`: a database that nobody may open.
    """

    def __init__(
        self,
        *,
        password: str,
        context: ssl.SSLContext | None = None,
        encryption: int | None = None,
        moved_to: int | None = None,
        closed: str = "",
    ) -> None:
        super().__init__()
        self._closed = closed or None
        self._password, self._context, self._moved_to = password, context, moved_to
        self._encryption = encryption if encryption is not None else ON if context else NOT_SUPPORTED
        self.in_the_clear = b""  # what came without TLS, after PRELOGIN

    def _serve(self, client: socket.socket) -> None:
        _packet(client)
        client.sendall(_framed(REPLY, struct.pack(">BHHB", 0x01, 6, 1, 0xFF) + bytes([self._encryption])))
        channel = _Channel(client, self._context)
        while True:
            kind, payload = channel.packet()
            if self._context is None:
                self.in_the_clear += payload
            channel.send(_framed(REPLY, self._login(payload) if kind == LOGIN7 else DONE))

    def _login(self, payload: bytes) -> bytes:
        at, characters = struct.unpack_from("<HH", payload, 44)
        hidden = payload[at : at + 2 * characters]
        said = bytes(((byte ^ 0xA5) << 4 | (byte ^ 0xA5) >> 4) & 0xFF for byte in hidden).decode("utf-16-le")
        if said != self._password:
            return LOGIN_FAILED + FAILED
        if _text(payload, 68) == self._closed:
            return _error(4060, f'Cannot open database "{self._closed}" requested by the login. The login failed.') + LOGIN_FAILED + FAILED
        name = "Fake".encode("utf-16-le")
        token = b"\x01" + struct.pack(">I", 0x74000004) + bytes([4]) + name + bytes(4)
        return b"\xad" + struct.pack("<H", len(token)) + token + self._route() + DONE

    def _route(self) -> bytes:
        if self._moved_to is None:
            return b""
        host = "127.0.0.1"
        new = struct.pack("<BHH", 0, self._moved_to, len(host)) + host.encode("utf-16-le")
        token = b"\x14" + struct.pack("<H", len(new)) + new + b"\0\0"
        return b"\xe3" + struct.pack("<H", len(token)) + token


class _Channel:
    """The connection after PRELOGIN, with TLS or without."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context else None
        if self._tls:
            self._shake_hands(self._tls)

    def packet(self) -> tuple[int, bytes]:
        kind, payload, last = 0, b"", False
        while not last:
            header = self._exactly(HEADER.size)
            kind, status, size = HEADER.unpack(header)[:3]
            payload, last = payload + self._exactly(size - HEADER.size), bool(status & 1)
        return kind, payload

    def send(self, data: bytes) -> None:
        if self._tls:
            self._tls.write(data)
            data = self._outgoing.read()
        self._sock.sendall(data)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            if self._tls is None:
                found += _some(self._sock, size - len(found))
                continue
            try:
                found += self._tls.read(size - len(found))
            except ssl.SSLWantReadError:
                self._incoming.write(_some(self._sock, 65536))
        return found

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._tell()
                self._incoming.write(_packet(self._sock))
            else:
                break
        self._tell()

    def _tell(self) -> None:
        if data := self._outgoing.read():
            self._sock.sendall(_framed(PRELOGIN, data))


def _text(login: bytes, at: int) -> str:
    """What LOGIN7 has at one of its offsets."""
    start, characters = struct.unpack_from("<HH", login, at)
    return login[start : start + 2 * characters].decode("utf-16-le")


def _error(number: int, text: str) -> bytes:
    token = struct.pack("<IBB", number, 1, 14) + struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0" + bytes(4)
    return b"\xaa" + struct.pack("<H", len(token)) + token


LOGIN_FAILED = _error(18456, "Login failed for user 'app'.")


def _framed(kind: int, payload: bytes) -> bytes:
    return HEADER.pack(kind, 1, HEADER.size + len(payload), 0, 0) + payload


def _packet(sock: socket.socket) -> bytes:
    found = b""
    while len(found) < HEADER.size or len(found) < HEADER.unpack_from(found)[2]:
        found += _some(sock, 1)
    return found[HEADER.size :]


def _some(sock: socket.socket, size: int) -> bytes:
    if not (data := sock.recv(size)):
        raise EOFError
    return data
