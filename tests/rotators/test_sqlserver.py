"""SQL Server through the common suite, on a strict fake of it (sqlserver_fake.py): no SQL Server can be had here."""

from collections.abc import Iterator

import pytds
import pytest
from tests.rotators.bench import APP, BY_SUPERUSER, COMMON, IN_TURN, SUPERUSER, Bench, Held
from tests.rotators.sqlserver_fake import LEAST, FakeConnection, FakeLogin, FakeSqlServer, FakeUser
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step
from keyturn_rotators.versions import PENDING

PASSWORD, ADMIN_PASSWORD = "First-password-0f-the-app", "Password-0f-the-admin"


class Session(Held):
    """A connection of the application."""

    def __init__(self, server: FakeSqlServer, credential: Credential) -> None:
        self._connection = FakeConnection(server, credential.username, credential.password, "orders")

    def is_alive(self) -> bool:
        try:
            return self._connection.execute("SELECT @@SPID", []) is not None
        except pytds.OperationalError:
            return False

    def close(self) -> None:
        self._connection.close()


class SqlServerBench(Bench):
    """The login `app` has the user `app` in the database `orders`; the admin is the one of the documentation."""

    longest_password = 128

    def __init__(self, server: FakeSqlServer, *, strategy: str, by_superuser: bool) -> None:
        self.server = server
        self.app = server.logins["app"] = FakeLogin(password=PASSWORD, settings=("orders", "us_english", True, False))
        self.app.permissions.add(("SERVER", "CONNECT SQL", "G", None, None, None))
        server.logins["admin"] = FakeLogin(password=ADMIN_PASSWORD, may=LEAST)
        self.orders = server.databases["orders"]
        self.orders.owners = {"admin"}
        self.user = self.orders.users["app"] = FakeUser(login="app", schema="shop", roles={"db_datareader"})
        self.user.permissions |= {("DATABASE", "CONNECT", "G", None, None, None), ("SCHEMA", "INSERT", "G", None, "shop", None)}
        place = {"engine": "sqlserver", "host": "127.0.0.1", "port": server.port, "ssl": False}
        value = place | {"username": "app", "password": PASSWORD, "dbname": "orders"} | ({"masterarn": SUPERUSER} if by_superuser else {})
        super().__init__(server.life, value, superuser=place | {"username": "admin", "password": ADMIN_PASSWORD})
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        try:
            self.server.log_in(credential.username, credential.password, "orders")
        except pytds.OperationalError:
            return False
        return True

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSqlServer]:
    with FakeSqlServer(Life()) as running:
        monkeypatch.setattr(pytds, "connect", running.connect)
        yield running


@pytest.fixture
def single(server: FakeSqlServer) -> SqlServerBench:
    return SqlServerBench(server, strategy="SingleUser", by_superuser=False)


@pytest.fixture
def alternating(server: FakeSqlServer) -> SqlServerBench:
    return SqlServerBench(server, strategy="AlternatingUsers", by_superuser=True)


class OnTheFake(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: FakeSqlServer) -> Bench:
        return SqlServerBench(server, strategy=self.strategy, by_superuser=self.by_superuser)


class TestSingleUserByTheLoginItself(OnTheFake):
    capabilities, strategy = COMMON, "SingleUser"


class TestSingleUserByTheSuperuser(OnTheFake):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"


class TestAlternatingUsers(OnTheFake):
    capabilities, strategy = IN_TURN, "AlternatingUsers"


def test_rights_are_kept_equal_over_many_alternations_whatever_is_granted_and_revoked_between(alternating: SqlServerBench) -> None:
    on = ("shop", "or[d]]ers {}", "na me")
    granted = [
        ("OBJECT_OR_COLUMN", "SELECT", "G", "shop", "or[d]]ers {}", None),
        ("OBJECT_OR_COLUMN", "UPDATE", "D", *on),
        ("OBJECT_OR_COLUMN", "UPDATE", "W", *on),
        ("SCHEMA", "EXECUTE", "W", None, "shop", None),
        ("TYPE", "REFERENCES", "G", "shop", "money", None),
        ("DATABASE_ROLE", "VIEW DEFINITION", "G", None, "reporting", None),
    ]
    alternating.server.databases["audit"].owners = {"admin"}
    for number in range(20):
        name = alternating.current.username
        user = alternating.orders.users[name]
        user.roles = {"db_datareader", f"role {number}"}
        user.permissions = {("DATABASE", "CONNECT", "G", None, None, None), granted[number % len(granted)]}
        user.schema = f"schema{number}"
        alternating.server.logins[name].settings = ("orders", f"language{number}", bool(number % 2), False)
        audit = alternating.server.databases["audit"].users
        audit.clear() if number % 3 == 0 else audit.setdefault(name, FakeUser(login=name, schema="dbo"))
        alternating.rotate()
        partner = alternating.orders.users[alternating.current.username]
        assert (partner.roles, partner.permissions, partner.schema) == (user.roles, user.permissions, user.schema)
        assert alternating.server.logins[alternating.current.username].settings == alternating.server.logins[name].settings
        assert len(audit) == (0 if number % 3 == 0 else 2)


def test_what_several_have_said_is_granted_once_and_a_denial_wins(alternating: SqlServerBench) -> None:
    kept = set(alternating.user.permissions)
    alternating.user.permissions |= {("DATABASE", "EXECUTE", state, None, None, None) for state in "GW"}
    alternating.user.permissions |= {("DATABASE", "SELECT", state, None, None, None) for state in "GD"}
    alternating.rotate()
    said = {("DATABASE", "EXECUTE", "W", None, None, None), ("DATABASE", "SELECT", "D", None, None, None)}
    assert alternating.orders.users["app_clone"].permissions == kept | said


def test_what_the_superuser_may_not_grant_is_told_and_the_current_login_goes_on(alternating: SqlServerBench) -> None:
    alternating.app.roles.add("processadmin")
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert "ALTER SERVER ROLE [processadmin] ADD MEMBER [app_clone]" in error.check
    assert alternating.can_login(alternating.current)


def test_what_the_superuser_may_grant_on_the_server_is_granted(alternating: SqlServerBench) -> None:
    more = {"ALTER SERVER ROLE monitors", "GRANT VIEW ANY DATABASE", "GRANT IMPERSONATE"}
    alternating.server.logins["admin"].may |= more
    alternating.app.roles.add("monitors")
    alternating.app.permissions |= {
        ("SERVER", "VIEW ANY DATABASE", "G", None, None, None),
        ("SERVER_PRINCIPAL", "IMPERSONATE", "W", None, "batch", None),
    }
    alternating.rotate()
    clone = alternating.server.logins["app_clone"]
    assert (clone.roles, clone.permissions) == (alternating.app.roles, alternating.app.permissions)


def test_a_right_of_a_class_that_is_not_known_is_told_and_never_run(alternating: SqlServerBench) -> None:
    alternating.user.permissions.add(("SERVICE", "SEND", "G", None, "x\nDROP TABLE y", None))
    assert "SERVICE" in alternating.failure_of_set().check
    assert not [said for said in alternating.server.statements if "DROP TABLE" in said]


def test_a_schema_that_the_user_owns_is_told(alternating: SqlServerBench) -> None:
    alternating.user.owns.append(("SCHEMA", "shop"))
    assert "ALTER AUTHORIZATION ON SCHEMA [shop]" in alternating.failure_of_set().check


def test_the_owner_of_a_database_is_refused(alternating: SqlServerBench) -> None:
    alternating.orders.users["dbo"] = alternating.orders.users.pop("app")
    error = alternating.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "owns the database orders" in str(error)


def test_a_database_that_the_superuser_cannot_enter_is_told(alternating: SqlServerBench) -> None:
    alternating.server.databases["audit"].users["app"] = FakeUser(login="app")
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert "audit" in str(error)


def test_a_superuser_that_is_not_shown_everything_is_told_before_anything_is_changed(alternating: SqlServerBench) -> None:
    alternating.app.roles = {"made for apps"}
    alternating.server.databases["msdb"].users["app"] = FakeUser(login="app", roles={"SQLAgentUserRole"})
    alternating.server.logins["admin"].may = LEAST - {"VIEW ANY DEFINITION"}
    error = alternating.failure_of_set()
    assert (error.kind, "VIEW ANY DEFINITION" in error.check) == (Kind.PERMISSION, True)
    assert "app_clone" not in alternating.server.logins


def test_a_user_in_a_database_where_the_superuser_is_a_guest_is_told(alternating: SqlServerBench) -> None:
    alternating.server.databases["msdb"].users["app"] = FakeUser(login="app", roles={"SQLAgentUserRole"})
    assert "in msdb: CREATE USER [app_clone]" in alternating.failure_of_set().check


def test_a_database_that_the_login_cannot_open_is_told_from_a_wrong_password(single: SqlServerBench) -> None:
    single.orders.users.clear()
    error = single.failure_of_set()
    assert (error.kind, "dbname" in error.check) == (Kind.POLICY, True)


def test_sessions_that_cannot_be_seen_or_ended_fail_retirement(alternating: SqlServerBench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    held = alternating.hold(alternating.version(old))
    for right, grant in (("VIEW SERVER STATE", "VIEW SERVER STATE"), ("ALTER ANY CONNECTION", "ALTER ANY CONNECTION")):
        alternating.server.logins["admin"].may = LEAST - {right}
        with pytest.raises(RotationError) as failed:
            alternating.step(Step.RETIRE, old)
        assert failed.value.kind is Kind.PERMISSION
        assert grant in failed.value.check
    held.close()


def test_a_password_that_the_policy_refuses_is_told_as_such(single: SqlServerBench) -> None:
    single.server.shortest = 100
    error = single.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "15116" in str(error)
    assert single.can_login(single.current)


def test_a_step_that_died_between_password_and_enable_does_not_set_the_password_again(alternating: SqlServerBench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    alternating.app.history = []
    alternating.step(Step.RETIRE, old)
    token = alternating.store.start(APP)
    alternating.step(Step.CREATE, token)
    alternating.app.password = alternating.pending.password  # what an attempt that died here has left
    alternating.steps(ROTATION[1:], token)
    assert alternating.can_login(alternating.current)


def test_a_password_longer_than_the_server_takes_is_refused_before_anything_is_sent(single: SqlServerBench) -> None:
    token = single.store.start(APP)
    single.step(Step.CREATE, token)
    single.edit(APP, label=PENDING, password="x" * 129)
    with pytest.raises(RotationError, match="longer than the 128"):
        single.step(Step.SET, token)
    assert single.can_login(single.current)


def test_two_steps_for_one_pair_are_kept_apart(alternating: SqlServerBench) -> None:
    alternating.server.locks["master/keyturn/app"] = "somebody else"
    assert "another step" in str(alternating.failure_of_set())


@pytest.mark.parametrize("by_superuser", [False, True])
def test_a_user_of_a_contained_database_is_rotated_there(server: FakeSqlServer, by_superuser: bool) -> None:
    bench = SqlServerBench(server, strategy="SingleUser", by_superuser=by_superuser)
    del server.logins["app"], bench.orders.users["app"]
    bench.orders.contained["app"] = bench.app
    for _ in range(2):
        bench.rotate()
        assert bench.can_login(bench.current)
    assert [said for said in server.statements if "ALTER USER" in said]
    assert not [said for said in server.statements if "ALTER LOGIN" in said]


def test_no_password_is_written_into_a_statement(alternating: SqlServerBench) -> None:
    for _ in range(3):
        alternating.rotate()
    said = "\n".join(alternating.server.statements)
    assert "ALTER LOGIN" in said
    assert not [version for version in alternating.store.values[APP] if alternating.version(version).password in said]
