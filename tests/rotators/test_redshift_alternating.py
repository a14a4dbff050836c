"""Redshift's AlternatingUsers against a strict fake at the driver's boundary: no server with its catalogue is to be had."""

import pytest
from tests.rotators.bench import APP, SUPERUSER, Bench, Capability, Held
from tests.rotators.redshift_fake import FakeRedshift, Known
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.redshift import connection
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN, LONGEST
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

PASSWORD = "First-password-of-the-app-1"
ADMIN_PASSWORD = "Password-of-the-admin-1"
GRANTS = {
    ("DATABASE", ("orders",), "TEMP", False),
    ("SCHEMA", ("sales",), "USAGE", False),
    ("TABLE", ("sales", 'odd"name'), "SELECT", True),
}


class Session(Held):
    def __init__(self, server: FakeRedshift, user: str) -> None:
        self._server, self._process = server, 1000 + len(server.sessions)
        server.sessions[self._process] = user

    def is_alive(self) -> bool:
        return self._process in self._server.sessions

    def close(self) -> None:
        self._server.sessions.pop(self._process, None)


class FakeBench(Bench):
    longest_password = LONGEST
    forbidden = FORBIDDEN

    def __init__(self, server: FakeRedshift) -> None:
        server.users["app"] = Known(PASSWORD, groups={"writers"}, roles={("loader", False)}, grants=set(GRANTS))
        server.users["admin"] = Known(ADMIN_PASSWORD, superuser=True)
        value = {"engine": "redshift", "host": "orders.example.com", "username": "app", "password": PASSWORD, "dbname": "orders"}
        super().__init__(server.life, value | {"masterarn": SUPERUSER}, superuser=value | {"username": "admin", "password": ADMIN_PASSWORD})
        self.server = server

    def can_login(self, credential: Credential) -> bool:
        known = self.server.users.get(credential.username)
        return known is not None and known.password == credential.password

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential.username)

    @property
    def app(self) -> Known:
        return self.server.users["app"]

    @property
    def clone(self) -> Known:
        return self.server.users["app_clone"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeBench:
    server = FakeRedshift(Life())
    monkeypatch.setattr(connection, "_Connection", server.connection)
    monkeypatch.setattr(connection, "reach", lambda *_, **__: None)
    return FakeBench(server)


class TestAlternatingUsers(EngineSuite):
    capabilities = frozenset(
        {Capability.PASSWORD, Capability.SUPERUSER, Capability.OVERLAP, Capability.RETIRE, Capability.RESTORE, Capability.SESSIONS}
    )

    @pytest.fixture
    def bench(self, fake: FakeBench) -> Bench:
        fake.strides = (3, 3)
        return fake


def rights(known: Known) -> tuple[object, ...]:
    return known.groups, known.roles, known.grants


def test_the_second_user_has_the_groups_roles_and_grants_of_the_first(fake: FakeBench) -> None:
    fake.rotate()
    assert rights(fake.clone) == ({"writers"}, {("loader", False)}, GRANTS)


def test_rights_are_equal_after_every_rotation_whatever_was_granted_and_revoked_meanwhile(fake: FakeBench) -> None:
    fake.rotate()
    fake.clone.groups = {"readers"}
    fake.clone.roles = {("loader", True), ("auditor", False)}
    fake.clone.grants = (GRANTS - {("SCHEMA", ("sales",), "USAGE", False)}) | {("DATABASE", ("orders",), "CREATE", True)}
    fake.rotate()
    assert fake.current.username == "app"
    assert rights(fake.app) == rights(fake.clone)
    assert fake.app.roles == {("loader", True), ("auditor", False)}


def test_attributes_are_made_equal_both_ways(fake: FakeBench) -> None:
    fake.app.createdb, fake.app.syslog, fake.app.limit, fake.app.timeout = True, "UNRESTRICTED", "7", 120
    fake.rotate()
    assert (fake.clone.createdb, fake.clone.syslog, fake.clone.limit, fake.clone.timeout) == (True, "UNRESTRICTED", "7", 120)
    fake.clone.createdb, fake.clone.syslog, fake.clone.limit, fake.clone.timeout = False, "RESTRICTED", "UNLIMITED", 0
    fake.rotate()
    assert (fake.app.createdb, fake.app.syslog, fake.app.limit, fake.app.timeout) == (False, "RESTRICTED", "UNLIMITED", 0)


def test_a_rotation_of_equal_users_changes_nothing_but_the_password(fake: FakeBench) -> None:
    for _ in range(2):
        fake.rotate()
    fake.server.ran.clear()
    fake.rotate()
    [changed] = [sql for sql in fake.server.ran if not sql.startswith("SELECT")]
    assert changed.startswith('ALTER USER "app_clone" PASSWORD')


@pytest.mark.parametrize(
    ("grant", "told"),
    [
        (("COLUMN", ("sales", "orders", "total"), "SELECT", False), "it lacks SELECT ON COLUMN sales.orders.total"),
        (("FUNCTION", ("sales", "f", "integer"), "EXECUTE", False), "it lacks EXECUTE ON FUNCTION sales.f.integer"),
        (("TABLES IN SCHEMA", ("sales",), "SELECT", False), "it lacks SELECT ON TABLES IN SCHEMA sales"),
        (("DEFAULT", ("owner",), "SELECT", False), "it lacks SELECT ON DEFAULT RELATION owner.sales"),
    ],
)
def test_a_right_that_is_not_copied_is_named_and_the_second_user_is_not_let_in(
    fake: FakeBench, grant: tuple[str, tuple[str, ...], str, bool], told: str
) -> None:
    fake.app.grants.add(grant)
    with pytest.raises(RotationError, match=told) as refused:
        fake.rotate()
    assert refused.value.kind is Kind.PERMISSION
    assert fake.clone.password is None
    assert fake.can_login(fake.current)


def test_retiring_disables_the_password_and_keeps_the_rights(fake: FakeBench) -> None:
    old = fake.current_version()
    fake.rotate()
    fake.step(Step.RETIRE, old)
    assert fake.app.password is None
    assert rights(fake.app) == rights(fake.clone)


def test_a_superuser_is_not_given_a_second_user(fake: FakeBench) -> None:
    fake.app.superuser = True
    with pytest.raises(RotationError, match="app is a superuser"):
        fake.rotate()
    assert "app_clone" not in fake.server.users


def test_an_admin_who_is_no_superuser_is_told_so(fake: FakeBench) -> None:
    fake.server.users["admin"].superuser = False
    with pytest.raises(RotationError, match="permission denied") as refused:
        fake.rotate()
    assert refused.value.kind is Kind.PERMISSION


def test_a_server_that_quotes_a_password_is_not_passed_on(fake: FakeBench) -> None:
    token = fake.store.start(APP)
    fake.step(Step.CREATE, token)
    fake.edit(APP, label="AWSPENDING", password="canary-without-the-classes")
    with pytest.raises(RotationError) as refused:
        fake.step(Step.SET, token)
    assert refused.value.kind is Kind.POLICY
    assert "canary" not in str(refused.value)
