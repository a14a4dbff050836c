"""What the engine adds to PyMySQL: passwords that are not given away, errors that quote nothing, and ed25519 without a C library."""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from nacl.signing import SigningKey
from pymysql import _auth
from tests.rotators.scripted_server import ScriptedServer
from tests.support.eventually import WITHIN

from keyturn_lab.tcp import exactly
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mysql import ed25519
from keyturn_rotators.engines.mysql.accounts import stored
from keyturn_rotators.engines.mysql.connection import Session
from keyturn_rotators.errors import Kind, RotationError

PASSWORD = "password-of-the-app"
OK = b"\x00\x00\x00\x02\x00\x00\x00"
GREETING = (
    b"\x0a" + b"8.4.3\x00" + struct.pack("<I", 7) + b"saltsalt\x00" + struct.pack("<H", 0xF7FF) + b"\x2d" + struct.pack("<H", 2)
    + struct.pack("<H", 0x81FF) + bytes([21]) + b"\x00" * 10 + b"saltsaltsalt\x00" + b"mysql_native_password\x00"
)  # fmt: skip


def refusal(number: int, words: str) -> bytes:
    return b"\xff" + struct.pack("<H", number) + b"#42000" + words.encode()


class Conversation:
    """A server that says what it was told to say, and keeps what it hears."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._number = 0

    def say(self, payload: bytes) -> None:
        self._connection.sendall(len(payload).to_bytes(3, "little") + bytes([self._number]) + payload)

    def hear(self) -> bytes:
        head = exactly(self._connection, 4)
        self._number = head[3] + 1
        return exactly(self._connection, int.from_bytes(head[:3], "little"))

    def next_statement(self) -> bytes:
        self._number = 0
        return self.hear()


@contextmanager
def server(script: Callable[[Conversation], None]) -> Iterator[Credential]:
    """A credential for a server with that script."""
    with ScriptedServer(lambda client: script(Conversation(client))) as running:
        place = {"engine": "mysql", "host": running.host, "port": running.port, "ssl": False}
        yield Credential(place | {"username": "app", "password": PASSWORD}, secret="app")


def login_failure(script: Callable[[Conversation], None], *, within: float = WITHIN) -> RotationError:
    with server(script) as credential, pytest.raises(RotationError) as failed:
        Session(credential, deadline=Deadline.after(within))
    assert PASSWORD not in str(failed.value)
    return failed.value


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog", "mysql_old_password"])
def test_a_server_that_asks_for_the_password_in_a_way_that_gives_it_away_gets_none(plugin: str) -> None:
    heard = []

    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()
        talk.say(b"\xfe" + plugin.encode() + b"\x00" + b"\x04Password: ")
        heard.append(talk.hear())

    assert login_failure(script).kind is Kind.POLICY
    assert heard == []


def test_a_server_without_tls_gets_no_password_where_the_secret_asks_for_tls() -> None:
    heard = []

    def script(talk: Conversation) -> None:
        without_tls = GREETING.replace(struct.pack("<H", 0xF7FF), struct.pack("<H", 0xF7FF & ~0x0800))
        talk.say(without_tls)
        heard.append(talk.hear())

    with server(script) as credential, pytest.raises(RotationError) as failed:
        Session(credential.replaced(ssl=True), deadline=Deadline.after(WITHIN))
    assert failed.value.kind is Kind.TLS
    assert heard == []


def test_a_refused_login_shows_the_servers_words_without_the_password() -> None:
    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()
        talk.say(refusal(1045, f"Access denied for user app, who said {PASSWORD}"))

    error = login_failure(script)
    assert error.kind is Kind.AUTHENTICATION
    assert "who said ***" in str(error)


def test_a_server_that_hangs_up_in_the_middle_is_a_network_failure() -> None:
    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()

    assert login_failure(script).kind is Kind.NETWORK


def test_a_server_that_falls_silent_in_the_middle_fails_within_the_steps_limit() -> None:
    done = threading.Event()

    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()
        done.wait(300)

    started = time.monotonic()
    with server(script) as credential:
        with pytest.raises(RotationError) as failed:
            Session(credential, deadline=Deadline.after(1))
        done.set()
    assert failed.value.kind is Kind.NETWORK
    assert time.monotonic() - started < WITHIN


def test_of_a_statement_with_a_password_in_it_the_servers_words_are_not_shown() -> None:
    secret = "the-next-password"

    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()
        talk.say(OK)
        while talk.next_statement()[1:4] == b"SET":
            talk.say(OK)
        talk.say(refusal(1064, f"You have an error in your SQL syntax near '{secret}'"))

    with server(script) as credential, Session(credential, deadline=Deadline.after(WITHIN)) as session:
        with pytest.raises(RotationError) as failed:
            session.run("ALTER USER USER() IDENTIFIED BY %s", secret, secret=True)
        assert "1064" in str(failed.value)
        assert secret not in str(failed.value)
        assert failed.value.__suppress_context__


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1049, Kind.POLICY), (1044, Kind.PERMISSION), (1040, Kind.SERVER), (3159, Kind.TLS), (4151, Kind.AUTHENTICATION), (9999, Kind.SERVER)],
)
def test_a_refusal_is_sorted_by_its_number(number: int, kind: Kind) -> None:
    def script(talk: Conversation) -> None:
        talk.say(GREETING)
        talk.hear()
        talk.say(refusal(number, "no"))

    assert login_failure(script).kind is kind


@pytest.mark.parametrize("length", [1, 31, 32, 200])
def test_ed25519_signs_as_the_drivers_own_c_library(length: int) -> None:
    for seed in range(5):
        password = (hashlib.sha512(bytes([seed])).digest() * 4)[:length]
        message = hashlib.sha256(password).digest()
        assert ed25519.sign(password, message) == _auth.ed25519_password(password, message)


def test_ed25519_is_rfc_8032_where_the_password_is_a_seed() -> None:
    seed = bytes(range(32))
    assert ed25519.sign(seed, b"message") == SigningKey(seed).sign(b"message").signature


def test_what_is_stored_of_a_password_is_what_mariadb_stores() -> None:
    assert stored("ed25519", "x1") == "9GW8JjMKxFmmq2gSgHzr/gOYmUidCZxBK01YIgQ7flQ"
    assert stored("mysql_native_password", "x1") == "*6891F9D51EB5A38D1BB310DDBC6379A189A4F575"
