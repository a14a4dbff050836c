"""What the engine takes for granted of MySQL 8, statement by statement: the fake keeps to it, and of what it knows, go-mysql-server too.

Each rule about two passwords is the manual's: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords
"""

from collections.abc import Iterator

import pytest
from tests.rotators.mysql_fake import CACHING, CREATE_USER, DUAL, FakeConnection, FakeMySql
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.mysql_wire import MySqlWire
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mysql import connection
from keyturn_rotators.engines.mysql.accounts import accounts, set_password
from keyturn_rotators.engines.mysql.connection import Session, logs_in
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.errors import Kind, RotationError

pytestmark = pytest.mark.timeout(900)  # the first one builds go-mysql-server
FIRST, SECOND, THIRD, ADMIN = "first-password", "second-password", "third-password", "admin-password"


class Server:
    """A server with the user `app` and an admin."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._place = {"engine": "mysql", "host": "127.0.0.1", "port": port, "ssl": tls}

    def login(self, password: str, user: str = "app") -> Credential:
        return Credential(self._place | {"username": user, "password": password})

    def session(self, password: str = ADMIN, user: str = "admin") -> Session:
        return Session(self.login(password, user), deadline=Deadline.after(60)).prepared()

    def takes(self, *passwords: str) -> list[bool]:
        return [logs_in(self.login(password), deadline=Deadline.after(60)) for password in passwords]


@pytest.fixture(scope="module")
def wire(authority: Authority) -> Iterator[MySqlWire]:
    with MySqlWire(tls=authority.issue("server", common_name="mysql", hosts=["127.0.0.1"])) as running:
        running.create_admin("admin", ADMIN)
        yield running


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(connection, "_Connection", FakeConnection)
    with FakeMySql(Life()) as running:
        running.create("app", FIRST, DUAL)
        running.create("admin", ADMIN, CREATE_USER)
        yield Server(running.port, tls=False)


@pytest.fixture(params=["fake", "go-mysql-server"])
def server(request: pytest.FixtureRequest, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Server:
    if request.param == "fake":
        fake: Server = request.getfixturevalue("fake")
        return fake
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    wire: MySqlWire = request.getfixturevalue("wire")
    wire.execute("DROP USER IF EXISTS app@'%'")
    wire.create_app_user("app", FIRST)
    return Server(wire.port, tls=True)


def test_a_right_password_is_taken_and_a_wrong_one_is_a_failure_of_authentication(server: Server) -> None:
    assert server.takes(FIRST, SECOND) == [True, False]
    with pytest.raises(RotationError) as refused:
        server.session(SECOND, "app")
    assert refused.value.kind is Kind.AUTHENTICATION


def test_an_account_is_told_with_its_plugin_and_demands(server: Server) -> None:
    with server.session() as session:
        [account] = accounts(session, "app").values()
    assert (account.user, account.host, account.plugin, account.locked) == ("app", "%", CACHING, False)
    assert account.demands[0].startswith("REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0")


def test_a_password_that_is_set_replaces_the_other_and_keeps_the_plugin(server: Server) -> None:
    with server.session() as session:
        [account] = accounts(session, "app").values()
        set_password(session, account, server.login(SECOND))
        assert accounts(session, "app") == {"%": account}
    assert server.takes(FIRST, SECOND) == [False, True]


def test_the_lock_ends_with_the_session_that_holds_it(server: Server) -> None:
    for _ in range(2):
        with server.session() as session:
            lock(session, "app", deadline=Deadline.after(60))


def test_the_session_knows_the_host_part_of_its_account(server: Server) -> None:
    with server.session(FIRST, "app") as session:
        assert session.host == "%"


RETAINED = "ALTER USER USER() IDENTIFIED BY %s RETAIN CURRENT PASSWORD"
PLAIN = "ALTER USER USER() IDENTIFIED BY %s"
DISCARD = "ALTER USER USER() DISCARD OLD PASSWORD"


def test_a_retained_password_is_valid_beside_the_new_one(fake: Server) -> None:
    with fake.session(FIRST, "app") as session:
        session.run(RETAINED, SECOND)
    assert fake.takes(FIRST, SECOND) == [True, True]


def test_retaining_again_pushes_out_the_oldest_whichever_password_has_logged_in(fake: Server) -> None:
    with fake.session(FIRST, "app") as session:
        session.run(RETAINED, SECOND)
    with fake.session(FIRST, "app") as session:
        session.run(RETAINED, THIRD)
    assert fake.takes(FIRST, SECOND, THIRD) == [False, True, True]


def test_a_plain_change_replaces_the_primary_password_and_leaves_the_secondary(fake: Server) -> None:
    with fake.session(FIRST, "app") as session:
        session.run(RETAINED, SECOND)
        session.run(PLAIN, THIRD)
    assert fake.takes(FIRST, SECOND, THIRD) == [True, False, True]


def test_discarding_forgets_the_secondary_and_is_harmless_where_there_is_none(fake: Server) -> None:
    with fake.session(FIRST, "app") as session:
        session.run(RETAINED, SECOND)
        session.run(DISCARD)
        session.run(DISCARD)
    assert fake.takes(FIRST, SECOND) == [False, True]


def test_nothing_is_retained_when_the_plugin_changes(fake: Server) -> None:
    with fake.session() as session, pytest.raises(RotationError, match="3894"):
        session.run("ALTER USER %s@%s IDENTIFIED WITH sha256_password BY %s RETAIN CURRENT PASSWORD", "app", "%", SECOND)
    assert fake.takes(FIRST, SECOND) == [True, False]


def test_the_fake_takes_no_statement_that_it_does_not_know(fake: Server) -> None:
    with fake.session(FIRST, "app") as session, pytest.raises(AssertionError, match="does not know"):
        session.run("ALTER USER USER() IDENTIFIED BY %s RETAIN OLD PASSWORD", SECOND)
