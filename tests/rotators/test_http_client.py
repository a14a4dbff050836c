"""The HTTP client by itself: whatever a server does, a request ends in time, and nothing that was sent is in what is said of it."""

import json
import socket
import time
from contextlib import suppress

import pytest
from tests.rotators.scripted_server import Script, ScriptedServer

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.http_api_key.calls import Caller
from keyturn_rotators.engines.http_api_key.declaration import Provider, parse
from keyturn_rotators.engines.http_api_key.values import Values
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.http_client import LARGEST_ANSWER, Answer, Call, Origin, send
from keyturn_rotators.network import Place

CANARY = "canary-of-the-key"
ADMIN_CANARY = "canary-of-the-administrator"
SLACK = 30.0  # seconds that a busy machine may take on top


def asked(port: int, *, within: float = 30.0, call: Call | None = None) -> Answer:
    request = call or Call(method="GET", target="/", headers={"Authorization": f"Bearer {CANARY}"})
    origin = Origin(tls=False, host="127.0.0.1", port=port)
    return send(origin, request, deadline=Deadline.after(within), place=Place(secret="app", host=str(origin)))


def failure(serve: Script, *, within: float = 30.0) -> RotationError:
    with ScriptedServer(serve) as server, pytest.raises(RotationError) as failed:
        asked(server.port, within=within)
    assert CANARY not in str(failed.value)
    assert failed.value.__suppress_context__ or failed.value.__context__ is None
    return failed.value


def answering(content: bytes) -> Script:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(content)

    return serve


def trickle(connection: socket.socket) -> None:
    """A header that never ends, a letter at a time: no time-out of a single read is ever met."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    with suppress(OSError):
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)


def test_a_server_that_trickles_is_cut_off_at_the_time_limit() -> None:
    started = time.monotonic()
    error = failure(trickle, within=0.7)
    assert time.monotonic() - started < 0.7 + SLACK
    assert error.kind is Kind.NETWORK
    assert "host 127.0.0.1:" in str(error)


@pytest.mark.parametrize("content", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_what_is_no_answer_is_a_network_failure(content: bytes) -> None:
    assert failure(answering(content)).kind is Kind.NETWORK


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    def endless(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            for _ in range(2 * LARGEST_ANSWER // 65536):
                connection.sendall(b"x" * 65536)

    assert failure(endless).kind is Kind.SERVER


def test_a_request_cannot_be_seen_in_its_repr() -> None:
    call = Call(method="POST", target=f"/{CANARY}", headers={"Authorization": CANARY}, body=CANARY.encode())
    assert CANARY not in repr(call)
    assert CANARY not in repr(Answer(status=200, body=CANARY.encode()))


def declared(port: int, **changes: object) -> Provider:
    content: dict[str, object] = {
        "url": f"http://127.0.0.1:{port}",
        "error": "/error",
        "admin": {"basic": ["{admin:user}", "{admin:password}"]},
        "key": {"bearer": "{secret:api_key}"},
        "create": {"path": "/keys", "answer": {"api_key": "/key"}},
        "test": {"path": "/me"},
        "revoke": {"path": "/keys/x"},
    }
    return parse("scripted", content | changes)


def called(provider: Provider, name: str) -> RotationError:
    """What is said of a refusal of one of its requests."""
    admin = Credential({"user": "keyturn", "password": ADMIN_CANARY}, secret="superuser")
    secret = Credential({"api_key": CANARY, "ssl": False}, secret="app")
    values = Values(provider=provider.name, current=secret, secret=secret, admin=lambda: admin)
    request = next(each for each in provider.requests if each.name == name)
    reply = Caller(provider=provider, deadline=Deadline.after(30)).call(request, values)
    return reply.refusal()


def http(status: int, content: object) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


def test_what_the_provider_says_to_a_refusal_is_told_without_what_was_sent() -> None:
    with ScriptedServer(answering(http(422, {"error": f"the key\n{CANARY} is too old"}))) as server:
        error = called(declared(server.port), "test")
    assert "(the key *** is too old)" in str(error)
    assert "422" in str(error)


def test_the_administrators_password_is_not_told_however_it_is_echoed() -> None:
    encoded = "a2V5dHVybjpjYW5hcnktb2YtdGhlLWFkbWluaXN0cmF0b3I="
    with ScriptedServer(answering(http(403, {"error": f"{ADMIN_CANARY} Basic {encoded}"}))) as server:
        error = called(declared(server.port), "create")
    assert "(*** Basic ***)" in str(error)
    assert "secret superuser" in str(error)


@pytest.mark.parametrize("content", [{"error": {"deep": "x" * 5000}}, {"error": "x" * 5000}, {"other": 1}, ["error"], "text"])
def test_whatever_a_refusal_says_the_message_stays_short(content: object) -> None:
    with ScriptedServer(answering(http(500, content))) as server:
        assert len(str(called(declared(server.port), "test"))) < 600


def test_an_answer_that_was_hoped_for_is_never_quoted() -> None:
    made = {"key": "canary-of-the-new-key", "error": "canary-of-the-new-key"}
    with ScriptedServer(answering(http(201, made))) as server:
        error = called(declared(server.port), "create")
    assert "canary" not in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Kind.POLICY), (401, Kind.AUTHENTICATION), (403, Kind.PERMISSION), (302, Kind.POLICY), (500, Kind.SERVER), (418, Kind.POLICY)],
)
def test_a_refusal_is_sorted_by_who_can_mend_it(status: int, kind: Kind) -> None:
    with ScriptedServer(answering(http(status, {}))) as server:
        assert called(declared(server.port), "create").kind is kind


def test_a_body_is_encoded_and_no_value_ends_it() -> None:
    seen: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        while not seen or not seen[-1].endswith(b"END"):
            seen.append(connection.recv(65536))
        connection.sendall(http(201, {"key": "x"}))

    with ScriptedServer(keep) as server:
        provider = declared(server.port, create={"path": "/keys", "form": {"a": "{secret:odd}", "z": "END"}, "answer": {"api_key": "/key"}})
        admin = Credential({"user": "u", "password": "p"}, secret="superuser")
        secret = Credential({"api_key": "k", "odd": "1&admin=true\r\n ü", "ssl": False}, secret="app")
        values = Values(provider="scripted", current=secret, secret=secret, admin=lambda: admin)
        Caller(provider=provider, deadline=Deadline.after(30)).call(provider.create.request, values)
    assert b"".join(seen).endswith(b"\r\n\r\na=1%26admin%3Dtrue%0D%0A+%C3%BC&z=END")


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https://a b",
        "https://user:x@host",
        "https://host/?q",
        "https://host/#f",
        "file:///x",
        "https://host:x",
        "https://hö.st",
        "x",
    ],
)
def test_a_url_that_is_none_is_refused_and_not_shown(url: str) -> None:
    provider = declared(1, url="{admin:url}")
    admin = Credential({"url": url, "user": "u", "password": "p"}, secret="superuser")
    secret = Credential({"api_key": CANARY, "ssl": False}, secret="app")
    values = Values(provider="scripted", current=secret, secret=secret, admin=lambda: admin)
    with pytest.raises(RotationError, match="its URL is not one") as refused:
        Caller(provider=provider, deadline=Deadline.after(30)).call(provider.test.request, values)
    assert refused.value.kind is Kind.POLICY


@pytest.mark.parametrize(
    "header", ["Retry-After: \xb2", "Retry-After: soon", "Retry-After: Mon, 01 Jan 0001 00:00:00 -0000", "Content-Length: \xb2"]
)
def test_a_header_that_is_no_number_and_no_date_counts_as_none(header: str) -> None:
    with ScriptedServer(answering(f"HTTP/1.1 429 Later\r\n{header}\r\n\r\n{{}}".encode("latin-1"))) as server:
        answer = asked(server.port)
    assert answer.status == 429
    assert not answer.retry_after


def test_a_host_that_cannot_be_a_name_is_one_that_does_not_answer() -> None:
    with pytest.raises(RotationError, match="gaierror"):
        send(
            Origin(tls=False, host="id..example", port=80),
            Call(method="GET", target="/", headers={}),
            deadline=Deadline.after(60),
            place=Place(),
        )
