"""What the engine takes for granted of ibm_db_dbi: names, errors, and the TLS of IBM's client, against a listener that shakes hands."""

import inspect
import socket
from pathlib import Path

import ibm_db_dbi
import pytest
from tests.rotators.db2_fake import FakeConnection, FakeCursor, FakeDb2, FakeUser, failed
from tests.rotators.drivers import PASSWORD, Driver, DriverCases
from tests.rotators.secure_listener import SecureListener

from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.engines.db2 import connection
from keyturn_rotators.engines.db2.connection import Session, authorities, identifier
from keyturn_rotators.engines.db2.explanations import code_of, explained, is_of_tls
from keyturn_rotators.errors import Kind, RotationError

# the real driver


class TestDriver(DriverCases):
    driver = Driver(session=Session, database="orders")

    @pytest.mark.parametrize(("host", "known"), [("localhost", False), ("127.0.0.1", True)])
    def test_the_driver_itself_refuses_a_certificate_that_is_not_trusted(
        self, listener: SecureListener, authority: Authority, monkeypatch: pytest.MonkeyPatch, host: str, known: bool
    ) -> None:
        """Without our own look at the server before, as if somebody had come between since."""
        monkeypatch.setattr(connection, "_greet", lambda credential, deadline: None)
        if known:
            monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
        assert self.driver.refusal(self.driver.login(listener.port, host=host)).kind is Kind.TLS
        assert listener.heard == b""


def test_amazon_rdss_authorities_are_trusted_where_no_others_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Path(authorities()).read_text().count("BEGIN CERTIFICATE") > 50
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(RotationError, match="not there"):
        authorities()


# the fake keeps to the driver


def test_the_fakes_connection_and_cursor_have_the_drivers_names_and_parameters() -> None:
    for name in ("close", "cursor"):
        assert hasattr(ibm_db_dbi.Connection, name)
        assert hasattr(FakeConnection, name)
    for name in ("execute", "fetchall", "close"):
        real = list(inspect.signature(getattr(ibm_db_dbi.Cursor, name)).parameters)
        assert list(inspect.signature(getattr(FakeCursor, name)).parameters) == real
    assert hasattr(ibm_db_dbi.Cursor, "description")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-30082, Kind.AUTHENTICATION),
        (-1060, Kind.PERMISSION),
        (-551, Kind.PERMISSION),
        (-438, Kind.POLICY),
        (-30061, Kind.POLICY),
    ],
)
def test_errors_keep_their_number_in_the_drivers_own_classes_and_are_sorted_by_who_can_mend_them(code: int, kind: Kind) -> None:
    error = failed(code, "words")
    assert isinstance(error, ibm_db_dbi.Error)
    assert code_of(str(error)) == code
    assert explained(code)[0] is kind


@pytest.mark.parametrize(
    ("reason", "protocol", "tls"), [(414, "SSL", True), (410, "SSL", True), (420, "SSL", False), (115, "TCP/IP", False)]
)
def test_a_failed_handshake_is_told_from_a_host_that_is_down(reason: int, protocol: str, tls: bool) -> None:
    said = f'SQL30081N Communication protocol being used: "{protocol}". Protocol specific error code(s): "{reason}", "*", "*".'
    assert is_of_tls(said) is tls


@pytest.mark.parametrize(
    ("reason", "words", "kind"),
    [
        (24, "USERNAME AND/OR PASSWORD INVALID", Kind.AUTHENTICATION),
        (19, "USERID DISABLED or RESTRICTED", Kind.AUTHENTICATION),
        (1, "PASSWORD EXPIRED", Kind.POLICY),
        (15, "PROCESSING FAILURE", Kind.SERVER),
        (17, "UNSUPPORTED FUNCTION", Kind.SERVER),
    ],
)
def test_only_a_refusal_for_its_credential_is_one(monkeypatch: pytest.MonkeyPatch, reason: int, words: str, kind: Kind) -> None:
    def connect(*args: object, **options: object) -> None:
        raise failed(-30082, f'Security processing failed with reason "{reason}" ("{words}").')

    monkeypatch.setattr(ibm_db_dbi, "connect", connect)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert TestDriver.driver.refusal(TestDriver.driver.login(listener.getsockname()[1], host="127.0.0.1", tls=False)).kind is kind


def test_the_fake_takes_no_option_that_the_driver_has_not_and_no_statement_that_it_does_not_know() -> None:
    with FakeDb2() as server:
        with pytest.raises(TypeError):
            server.connect("PORT=1;", encrypt=True)
        with pytest.raises(AssertionError, match="no such option"):
            server.connect(f"PORT={server.port};ENCRYPT=yes;")
        server.users["app"] = FakeUser(password=PASSWORD)
        with pytest.raises(AssertionError, match="does not know"):
            FakeConnection(server, "app", PASSWORD, "rdsadmin").execute("CALL rdsadmin.list_users()", [])


def test_names_are_quoted_by_the_servers_rule() -> None:
    assert identifier('we"ird') == '"we""ird"'
