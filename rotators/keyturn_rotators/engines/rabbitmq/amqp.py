"""A login by AMQP 0-9-1, as the apps do it, up to the virtual host that is opened: the only proof that a password is taken or refused.

The management API would not do: it refuses users without a management tag, which apps have no need of.
https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.rabbitmq.secured import secured
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect

PORT, PORT_WITHOUT_TLS = 5671, 5672
HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, HEARTBEAT, END = 1, 8, 0xCE
CLASS = 10  # connection
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE, CLOSE_OK = 10, 11, 30, 31, 40, 41, 50, 51
LARGEST_FRAME = 1 << 20
REFUSED, NOT_ALLOWED = 403, 530  # reply codes
LONGEST_WORDS = 300  # characters of a server's message


class NotAmqp(Exception):
    """What came back is none of its protocol."""


def vhost(credential: Credential) -> str:
    """The virtual host that the app uses."""
    return credential.text("vhost") if credential.get("vhost") else "/"


def place_of(credential: Credential) -> Place:
    """Where a login goes, for errors."""
    return Place.of(credential, port=_port(credential), user=credential.username)


@contextmanager
def logged_in(credential: Credential, deadline: Deadline) -> Iterator[None]:
    """Log in, open the virtual host, and leave. Raises RotationError."""
    place, host = place_of(credential), vhost(credential)
    plain = f"\0{credential.username}\0{credential.password}".encode()
    try:
        with (
            closing(connect(credential, port=_port(credential), deadline=deadline)) as sock,
            closing(secured(sock, credential, place, deadline=deadline)) as stream,
        ):
            _Handshake(_Frames(stream, deadline), place).through(plain, host)
    except (NotAmqp, struct.error, IndexError):  # of frames that are shorter than they should be
        raise place.error(Kind.SERVER, "the server does not speak AMQP 0-9-1", "host and port in the secret") from None
    except OSError as error:
        raise place.unanswered(error) from None
    yield


def _port(credential: Credential) -> int:
    return PORT if credential.tls else PORT_WITHOUT_TLS


BACK_END = BackEnd(log_in=logged_in, port=_port, differs=lambda one, other: None if vhost(one) == vhost(other) else "vhost")


class _Handshake:
    """What both sides say until the virtual host is open."""

    def __init__(self, frames: "_Frames", place: Place) -> None:
        self._frames = frames
        self._place = place

    def through(self, plain: bytes, host: str) -> None:
        self._frames.write(HEADER)
        self._expect(START)
        self._frames.send(START_OK, _PROPERTIES + _short(b"PLAIN") + _long(plain) + _short(b"en_US"))
        limits = self._expect(TUNE)
        self._frames.send(TUNE_OK, limits[:6] + b"\0\0")  # no heartbeats: we are gone before the first
        self._frames.send(OPEN, _short(host.encode()) + _short(b"") + b"\0")
        self._expect(OPEN_OK)
        self._frames.send(CLOSE, struct.pack(">H", 200) + _short(b"done") + struct.pack(">HH", 0, 0))
        self._expect(CLOSE_OK)

    def _expect(self, method: int) -> bytes:
        """The arguments of the server's next method, which has to be that one."""
        received, arguments = self._frames.receive()
        if received == CLOSE:
            raise self._refusal(arguments)
        if received != method:
            raise NotAmqp
        return arguments

    def _refusal(self, arguments: bytes) -> RotationError:
        (code,) = struct.unpack(">H", arguments[:2])
        said = arguments[3 : 3 + arguments[2]].decode("utf-8", "replace")[:LONGEST_WORDS]
        if code == REFUSED:
            check = "the user and the password in the secret; the server's log says why it refused"
            return self._place.error(Kind.AUTHENTICATION, "the login was refused", check)
        if code == NOT_ALLOWED:
            check = "the virtual host in the secret, the user's permissions for it, and the limits of both"
            return self._place.error(Kind.PERMISSION, f"the virtual host was not opened: {said}", check)
        return self._place.error(Kind.SERVER, f"the server ended the connection: {code} {said}", "the server's log")


class _Frames:
    """Methods of the connection's own channel. Raises OSError, NotAmqp."""

    def __init__(self, stream: socket.socket, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def write(self, content: bytes) -> None:
        self._stream.settimeout(self._deadline.remaining())
        self._stream.sendall(content)

    def send(self, method: int, arguments: bytes) -> None:
        payload = struct.pack(">HH", CLASS, method) + arguments
        self.write(struct.pack(">BHI", METHOD, 0, len(payload)) + payload + bytes([END]))

    def receive(self) -> tuple[int, bytes]:
        """The next method and its arguments."""
        while True:
            kind, _, size = struct.unpack(">BHI", self._exactly(7))
            if kind not in (METHOD, HEARTBEAT) or size > LARGEST_FRAME:
                raise NotAmqp
            payload = self._exactly(size + 1)
            if kind == METHOD and size >= 4 and payload[-1] == END:
                of_class, method = struct.unpack(">HH", payload[:4])
                if of_class != CLASS:
                    raise NotAmqp
                return method, payload[4:-1]

    def _exactly(self, length: int) -> bytes:
        content = b""
        while len(content) < length:
            self._stream.settimeout(self._deadline.remaining())
            received = self._stream.recv(length - len(content))
            if not received:
                raise ConnectionResetError
            content += received
        return content


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


# Without this capability a server that refuses a login just hangs up, some time later.
_CAPABILITIES = _short(b"authentication_failure_close") + b"t\x01"
_PROPERTIES = _long(_short(b"product") + b"S" + _long(b"keyturn") + _short(b"capabilities") + b"F" + _long(_CAPABILITIES))
