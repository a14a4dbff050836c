"""What the engine takes for granted of pytds: names, errors, and that its logins go through our TLS, against a small server of TDS."""

import inspect
import logging
import socket
import ssl
from collections.abc import Iterator

import pytds
import pytest
from pytds.cursor import NonMarsCursor
from pytds.tds_session import _create_exception_by_message
from tests.rotators.drivers import PASSWORD, Driver
from tests.rotators.scripted_server import ScriptedServer
from tests.rotators.sqlserver_fake import FakeConnection, FakeCursor, FakeLogin, FakeSqlServer, failed
from tests.rotators.tds_server import OFF, ON, TdsServer

from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.sqlserver.connection import Session, identifier, logs_in
from keyturn_rotators.errors import Kind, RotationError

DRIVER = Driver(session=Session, host="127.0.0.1")


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    return authority.issue("server", common_name="sqlserver", hosts=["127.0.0.1"]).server_context()


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))


@pytest.fixture
def server(context: ssl.SSLContext, trusted: None) -> Iterator[TdsServer]:
    with TdsServer(password=PASSWORD, context=context) as running:
        yield running


# over the wire


def test_the_driver_logs_in_and_works_through_tls_that_is_verified(server: TdsServer) -> None:
    with Session(DRIVER.login(server.port), deadline=Deadline.after(60)) as session:
        assert session.prepared().run("SET NOCOUNT ON") == []


def test_a_wrong_password_is_the_servers_own_refusal(server: TdsServer) -> None:
    error = DRIVER.refusal(DRIVER.login(server.port, password="another"))
    assert (error.kind, "18456" in str(error)) == (Kind.AUTHENTICATION, True)
    assert not logs_in(DRIVER.login(server.port, password="another"), deadline=Deadline.after(60))


def test_a_database_that_cannot_be_opened_is_told_from_a_wrong_password() -> None:
    with TdsServer(password=PASSWORD, closed="orders") as server, pytest.raises(RotationError) as refused:
        Session(DRIVER.login(server.port, tls=False), deadline=Deadline.after(60), database="orders")
    assert (refused.value.kind, 'Cannot open database "orders"' in str(refused.value)) == (Kind.POLICY, True)


def test_without_tls_a_login_works_only_where_the_secret_says_so_and_the_server_agrees() -> None:
    with TdsServer(password=PASSWORD) as plain:
        assert logs_in(DRIVER.login(plain.port, tls=False), deadline=Deadline.after(60))
        before = plain.in_the_clear
        assert DRIVER.refusal(DRIVER.login(plain.port)).kind is Kind.TLS
        assert plain.in_the_clear == before, "not even the login was sent"


@pytest.mark.parametrize("encryption", [OFF, ON])
def test_a_server_that_wants_tls_for_the_login_at_least_is_told_as_such(encryption: int) -> None:
    with TdsServer(password=PASSWORD, encryption=encryption) as half:
        error = DRIVER.refusal(DRIVER.login(half.port, tls=False))
    assert (error.kind, "insists" in str(error)) == (Kind.TLS, True)


def test_a_certificate_of_an_unknown_authority_is_refused(context: ssl.SSLContext) -> None:
    with TdsServer(password=PASSWORD, context=context) as stranger:
        error = DRIVER.refusal(DRIVER.login(stranger.port))
    assert (error.kind, "not trusted" in str(error)) == (Kind.TLS, True)


def test_a_certificate_for_another_host_is_refused(server: TdsServer) -> None:
    error = DRIVER.refusal(DRIVER.login(server.port, host="localhost"))
    assert (error.kind, "not trusted" in str(error)) == (Kind.TLS, True)


def test_a_server_that_sends_its_clients_elsewhere_is_not_followed(context: ssl.SSLContext, trusted: None) -> None:
    with TdsServer(password=PASSWORD) as elsewhere, TdsServer(password=PASSWORD, context=context, moved_to=elsewhere.port) as first:
        error = DRIVER.refusal(DRIVER.login(first.port))
        assert "another address" in str(error)
        assert elsewhere.in_the_clear == b""


def test_what_is_no_sql_server_is_told_as_such() -> None:
    def answer(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while client.recv(4096):
            pass

    with ScriptedServer(answer) as other:
        error = DRIVER.refusal(DRIVER.login(other.port))
    assert (error.kind, "no SQL Server" in str(error)) == (Kind.NETWORK, True)


def test_a_server_that_never_answers_ends_with_the_step() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert DRIVER.refusal(DRIVER.login(silent.getsockname()[1]), within=0.5).kind is Kind.NETWORK


def test_an_instances_name_in_the_host_is_refused() -> None:
    assert DRIVER.refusal(DRIVER.login(1, host="db\\SQLEXPRESS")).kind is Kind.POLICY


def test_the_drivers_own_log_holds_no_password(server: TdsServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Session(DRIVER.login(server.port), deadline=Deadline.after(60)) as session:
        session.run("SELECT %s", PASSWORD, secret=True)
    assert caplog.records, "the driver does write a log"
    assert PASSWORD not in caplog.text


# the fake keeps to the driver


def test_the_fakes_connection_and_cursor_have_the_drivers_names_and_parameters() -> None:
    for fake, real in ((FakeConnection, pytds.connection.NonMarsConnection), (FakeCursor, NonMarsCursor)):
        for name in ("close", "cursor", "fetchall", "description", "__enter__", "__exit__"):
            assert not hasattr(fake, name) or hasattr(real, name), name
    assert list(inspect.signature(FakeCursor.execute).parameters) == list(inspect.signature(NonMarsCursor.execute).parameters)


def test_the_fakes_errors_are_those_that_the_driver_makes_of_the_servers_messages() -> None:
    message = {"msgno": 15116, "message": "too short", "server": "", "proc_name": "", "severity": 16, "state": 1, "line_number": 1}
    real, fake = _create_exception_by_message(message), failed(15116, "too short")
    assert type(real) is type(fake) is pytds.OperationalError
    assert (real.number, real.msg_no, real.text) == (fake.number, fake.msg_no, fake.text)


def test_the_fake_takes_no_option_that_the_driver_has_not_and_no_statement_that_it_does_not_know() -> None:
    with FakeSqlServer() as server:
        with pytest.raises(TypeError):
            server.connect(port=server.port, encrypt=True)
        server.logins["sa"] = FakeLogin(password=PASSWORD)
        with pytest.raises(AssertionError, match="does not know"):
            FakeConnection(server, "sa", PASSWORD, "master").execute("ALTER LOGIN [x] WITH PASSWORD = 'y' MUST_CHANGE", [])


def test_names_are_quoted_by_the_drivers_own_rule() -> None:
    assert identifier("we]ird[") == "[we]]ird[]"
