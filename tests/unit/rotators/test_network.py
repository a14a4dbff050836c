"""What a connection that failed is called, and that no attempt lasts longer than its step."""

import socket
import ssl
import time

import pytest

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect
from keyturn_rotators.proof import is_taken, prove_refused

CREDENTIAL = Credential({"host": "db.example", "username": "app"}, secret="arn:x")
PLACE = Place.of(CREDENTIAL, port=5432, user="app", suffix="/shop")


class DriverError(Exception):
    """What a driver makes of an error of the operating system."""


def raised_by_a_driver(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except type(cause) as error:
            raise DriverError("canary") from error
    except DriverError as wrapped:
        return wrapped


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TimeoutError(), Kind.NETWORK, "TimeoutError"),
        (ConnectionRefusedError(), Kind.NETWORK, "ConnectionRefusedError"),
        (socket.gaierror(), Kind.NETWORK, "gaierror"),
        (raised_by_a_driver(ConnectionResetError("canary")), Kind.NETWORK, "ConnectionResetError"),
        (DriverError("canary"), Kind.NETWORK, "DriverError"),
        (ssl.SSLError(), Kind.TLS, "no TLS connection"),
        (raised_by_a_driver(ssl.SSLCertVerificationError()), Kind.TLS, "certificate is not trusted"),
    ],
)
def test_an_error_is_sorted_by_its_cause_and_says_where_it_was(error: Exception, kind: Kind, said: str) -> None:
    told = PLACE.unanswered(error)
    assert told.kind is kind
    assert said in str(told)
    assert "(secret arn:x, host db.example:5432/shop, user app)" in str(told)
    assert "canary" not in str(told)


def test_a_server_without_tls_is_told_how_to_say_that_it_shall_have_none() -> None:
    told = PLACE.without_tls()
    assert told.kind is Kind.TLS
    assert '"ssl": false' in told.check


@pytest.mark.parametrize("host", ["db..example", ".example", f"{'x' * 64}.example", "\ud800"])
def test_a_host_that_cannot_be_a_name_is_one_that_is_not_found(host: str) -> None:
    with pytest.raises(socket.gaierror):
        connect(CREDENTIAL.replaced(host=host), port=5432, deadline=Deadline.after(60))


def test_a_connection_has_the_time_of_its_step_left_for_each_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        credential = CREDENTIAL.replaced(host="127.0.0.1")
        with connect(credential, port=listener.getsockname()[1], deadline=Deadline.after(30)) as connection:
            assert 0 < (connection.gettimeout() or 0) <= 30


def test_the_second_part_of_a_statement_does_not_wait_until_the_first_is_acknowledged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        credential = CREDENTIAL.replaced(host="127.0.0.1")
        with connect(credential, port=listener.getsockname()[1], deadline=Deadline.after(30)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_connection_is_begun_when_the_time_is_over() -> None:
    started = time.monotonic()
    with pytest.raises(RotationError, match="time limit"):
        connect(CREDENTIAL.replaced(host="127.0.0.1"), port=1, deadline=Deadline.after(-1))
    assert time.monotonic() - started < 15


def test_a_host_of_many_addresses_of_which_none_answers_takes_no_longer_than_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tried = [0.0], list[tuple[str, float]]()

    def silent(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append((address[0], timeout))
        now[0] += timeout
        raise TimeoutError

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{number}", 5432)) for number in range(9)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(socket, "create_connection", silent)
    with pytest.raises(TimeoutError):
        connect(CREDENTIAL, port=5432, deadline=Deadline.after(12, clock=lambda: now[0]))
    assert tried == [("192.0.2.0", 5.0), ("192.0.2.1", 5.0), ("192.0.2.2", 2.0)]


class Session:
    """A login that ends as it is told to."""

    def __init__(self, ends: Kind | None) -> None:
        if ends is not None:
            raise PLACE.error(ends, "the login did not succeed", "nothing")
        self.closed = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


def test_a_login_is_taken_where_it_succeeds_and_closed_at_once() -> None:
    session = Session(None)
    assert is_taken(lambda: session)
    assert session.closed


@pytest.mark.parametrize(("kind", "taken"), [(Kind.PERMISSION, True), (Kind.AUTHENTICATION, False)])
def test_a_login_is_refused_only_where_its_credential_is(kind: Kind, taken: bool) -> None:
    assert is_taken(lambda: Session(kind)) is taken


@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.TLS, Kind.SERVER, Kind.POLICY])
def test_a_login_that_failed_for_any_other_reason_proves_nothing(kind: Kind) -> None:
    with pytest.raises(RotationError) as unknown:
        is_taken(lambda: Session(kind))
    assert unknown.value.kind is kind


def test_only_a_refusal_proves_that_a_credential_is_retired() -> None:
    prove_refused(False, PLACE)
    with pytest.raises(RotationError, match="still taken") as failed:
        prove_refused(True, PLACE)
    assert failed.value.kind is Kind.SERVER
