"""What the engine takes for granted of oracledb: names, errors, TLS and time-outs of the real driver; of a rollover period, by the fake."""

import asyncio
import inspect
from collections.abc import Iterator

import oracledb
import pytest
from tests.rotators.drivers import PASSWORD, Driver, DriverCases
from tests.rotators.oracle_fake import FakeConnection, FakeCursor, FakeOracle
from tests.rotators.oracle_users import FakeUser, failed
from tests.rotators.scripted_server import ScriptedServer, saying

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.oracle.connection import Session, identifier, logs_in, user_name
from keyturn_rotators.engines.oracle.explanations import explained
from keyturn_rotators.errors import Kind, RotationError

FIRST, SECOND, THIRD = PASSWORD, "Second-password", "Third-password"


ORACLE = Driver(session=Session, database="ORCL")


# the real driver


class TestDriver(DriverCases):
    driver = ORACLE
    unknown, another_host = "not trusted", "DPY-6006"


def test_a_server_without_tls_is_told_as_such() -> None:
    with ScriptedServer(saying(b"no TLS here")) as plain:
        assert ORACLE.refusal(ORACLE.login(plain.port)).kind is Kind.TLS


def test_the_fakes_connection_and_cursor_have_the_drivers_names_and_parameters() -> None:
    for fake, real in ((FakeConnection, oracledb.AsyncConnection), (FakeCursor, oracledb.AsyncCursor)):
        for name in ("close", "cursor", "execute", "fetchall", "callfunc", "description"):
            if hasattr(fake, name) and not (fake is FakeConnection and name == "execute"):
                assert hasattr(real, name), name
    for name in ("execute", "callfunc", "fetchall"):
        real_parameters = list(inspect.signature(getattr(oracledb.AsyncCursor, name)).parameters)
        fake_parameters = list(inspect.signature(getattr(FakeCursor, name)).parameters)
        assert real_parameters[: len(fake_parameters)] == fake_parameters


@pytest.mark.parametrize("code", [1017, 28000, 1045, 1031, 28007, 942, 1920])
def test_an_error_of_the_server_keeps_its_number_in_the_drivers_own_class(code: int) -> None:
    error = failed(code, "words")
    assert isinstance(error, oracledb.DatabaseError)
    assert error.args[0].full_code == f"ORA-{code:05}"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ORA-01017", Kind.AUTHENTICATION),
        ("ORA-28000", Kind.AUTHENTICATION),
        ("ORA-01045", Kind.PERMISSION),
        ("ORA-28003", Kind.POLICY),
        ("ORA-20001", Kind.POLICY),
        ("DPY-6006", Kind.TLS),
        ("ORA-12514", Kind.POLICY),
        ("ORA-00600", Kind.SERVER),
    ],
)
def test_errors_are_sorted_by_who_can_mend_them(code: str, kind: Kind) -> None:
    assert explained(code)[0] is kind


def test_names_are_in_capitals_unless_the_secret_quotes_them() -> None:
    assert [user_name(ORACLE.login(1, user=user)) for user in ("app", "App", '"App"')] == ["APP", "APP", "App"]
    assert identifier("App x") == '"App x"'
    with pytest.raises(RotationError, match="no name of a user"):
        user_name(ORACLE.login(1, user='a"b'))


# what the manuals say of a rollover period, and the fake keeps to


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOracle]:
    with FakeOracle() as running:
        monkeypatch.setattr(oracledb, "connect_async", running.connect)
        running.users["APP"] = FakeUser(password=FIRST, privileges={("CREATE SESSION", "NO")}, rollover="1")
        yield running


def change(fake: FakeOracle, sql: str, password: str = FIRST) -> None:
    with Session(ORACLE.login(fake.port, password=password, host="127.0.0.1", tls=False), deadline=Deadline.after(60)) as session:
        session.run(sql)


def taken(fake: FakeOracle, *passwords: str) -> list[bool]:
    there = [ORACLE.login(fake.port, password=one, host="127.0.0.1", tls=False) for one in passwords]
    return [logs_in(one, deadline=Deadline.after(60)) for one in there]


def test_in_a_rollover_period_the_first_and_the_latest_password_are_taken(fake: FakeOracle) -> None:
    change(fake, f'ALTER USER "APP" IDENTIFIED BY "{SECOND}" REPLACE "{FIRST}"')
    assert taken(fake, FIRST, SECOND, THIRD) == [True, True, False]
    change(fake, f'ALTER USER "APP" IDENTIFIED BY "{THIRD}" REPLACE "{FIRST}"')
    assert taken(fake, FIRST, SECOND, THIRD) == [True, False, True]


def test_ending_the_rollover_period_leaves_the_latest_password(fake: FakeOracle) -> None:
    change(fake, f'ALTER USER "APP" IDENTIFIED BY "{SECOND}" REPLACE "{FIRST}"')
    change(fake, 'ALTER USER "APP" EXPIRE PASSWORD ROLLOVER PERIOD')
    assert taken(fake, FIRST, SECOND) == [False, True]


def test_the_fake_takes_no_option_that_the_driver_has_not_and_no_statement_that_it_does_not_know(fake: FakeOracle) -> None:
    with pytest.raises(TypeError):
        asyncio.run(fake.connect(port=fake.port, encrypt=True))
    with pytest.raises(AssertionError, match="does not know"):
        change(fake, 'ALTER USER "APP" PASSWORD EXPIRE')
