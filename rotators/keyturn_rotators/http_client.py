"""One HTTP request within a time limit: TLS verified, no redirect followed, nothing of what was sent in an error.

Python's own client, so that the zip needs no other. Each request has a connection of its own: a rotation makes a handful.
"""

import email.utils
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind
from keyturn_rotators.network import Place, reach
from keyturn_rotators.tls import client_context

WITHOUT_BODY = (204, 304)  # statuses
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
AGENT = "keyturn-rotator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a provider is."""

    tls: bool
    host: str
    port: int
    base: str = ""  # a path that all others are under

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it goes out. Shows nothing of what it carries."""

    method: str
    target: str = field(repr=False)  # path and query
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None  # seconds

    def json(self) -> object:
        """The body as JSON; None where it is none."""
        return _json(self.body)


def send(origin: Origin, call: Call, *, deadline: Deadline, place: Place) -> Answer:
    """Raises RotationError where there is no answer, whatever the reason; a refusal is an answer."""
    try:
        sock = reach(origin.host, origin.port, deadline=deadline)
        with closing(sock), _ended_at(deadline, sock), closing(_secured(sock, origin)) as stream:
            answer, body = _exchange(origin, call, stream)
    except (OSError, http.client.HTTPException) as error:
        cut_off = deadline.clock() >= deadline.at  # then it says how it was cut off, and not why
        raise place.unanswered(TimeoutError() if cut_off else error) from None
    if len(body) > LARGEST_ANSWER:
        raise place.error(Kind.SERVER, f"the answer is longer than {LARGEST_ANSWER} bytes", "by what the list of keys can be narrowed")
    return Answer(status=answer.status, body=body, retry_after=_seconds(answer.headers.get("Retry-After")))


def _secured(sock: socket.socket, origin: Origin) -> socket.socket:
    return client_context().wrap_socket(sock, server_hostname=origin.host) if origin.tls else sock


def _exchange(origin: Origin, call: Call, stream: socket.socket) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(origin.host, origin.port)
    connection.sock = stream
    try:
        connection.request(call.method, origin.base + call.target, body=call.body, headers={"User-Agent": AGENT} | dict(call.headers))
        with connection.getresponse() as answer:
            body = answer.read(LARGEST_ANSWER + 1)
    except ssl.SSLError:
        raise ConnectionResetError from None  # TLS was there: the connection broke
    if not _is_whole(answer, body):
        raise http.client.IncompleteRead(b"")
    return answer, body


def _is_whole(answer: http.client.HTTPResponse, body: bytes) -> bool:
    """Python takes a connection that ends for the end of headers and body: an answer that was cut off would prove something."""
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal():
        return len(body) == min(int(length), LARGEST_ANSWER + 1)
    return answer.chunked or answer.status in WITHOUT_BODY or len(body) > LARGEST_ANSWER or _json(body) is not None


@contextmanager
def _ended_at(deadline: Deadline, sock: socket.socket) -> Iterator[None]:
    """A time-out of the socket counts anew with every byte: a server that trickles would never meet it."""
    remaining = deadline.remaining()
    sock.settimeout(remaining)
    with sock.dup() as same:  # TLS takes the socket over; its duplicate still ends the connection

        def end() -> None:
            with suppress(OSError):
                same.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(remaining, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _seconds(value: str | None) -> float | None:
    """Retry-After, which is seconds or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None
