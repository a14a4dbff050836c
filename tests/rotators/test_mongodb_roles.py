"""Roles, restrictions and sessions of MongoDB and DocumentDB, against a strict fake at the driver's boundary: FerretDB has none of them."""

from collections.abc import Callable

import pytest
from tests.rotators.bench import APP, SUPERUSER, Bench, Capability, Held
from tests.rotators.mongodb_fake import OWN_PASSWORD, FakeMongo, Known
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.mongodb import connection, driver
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

HOST = "mongo.example.com"
ADMIN = Known("password-of-the-admin", {("userAdminAnyDatabase", "admin")})
RESTRICTIONS = [{"clientSource": ["10.0.0.0/8"], "serverAddress": ["10.0.0.1"]}]


class Session(Held):
    """A connection of the application, which may do what its user's roles let it: they are looked at with every command."""

    def __init__(self, server: FakeMongo, username: str) -> None:
        self._server, self._username = server, username

    def is_alive(self) -> bool:
        return bool(self._server.users["admin", self._username].roles)

    def close(self) -> None: ...


class FakeBench(Bench):
    def __init__(self, server: FakeMongo, *, strategy: str = "AlternatingUsers") -> None:
        server.users["admin", "app"] = Known("first-password-of-the-app", {("readWrite", "orders"), ("read", "audit"), OWN_PASSWORD})
        server.users["admin", "admin"] = Known(ADMIN.password, set(ADMIN.roles))
        alternating = {"masterarn": SUPERUSER} if strategy == "AlternatingUsers" else {}
        value = {"engine": "mongo", "host": HOST, "username": "app", "password": server.users["admin", "app"].password, "ssl": False}
        super().__init__(server.life, value | alternating, superuser=value | {"username": "admin", "password": ADMIN.password})
        self.server = server
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        known = self.server.users.get(("admin", credential.username))
        return known is not None and known.password == credential.password

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential.username)

    @property
    def app(self) -> Known:
        return self.server.users["admin", "app"]

    @property
    def clone(self) -> Known:
        return self.server.users["admin", "app_clone"]


Make = Callable[..., FakeBench]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """`make(strategy=..., documentdb=..., keeps_a_role=...)`."""

    def made(*, strategy: str = "AlternatingUsers", **options: bool) -> FakeBench:
        server = FakeMongo(Life(), **options)
        monkeypatch.setattr(driver, "MongoClient", server.client)
        monkeypatch.setattr(connection, "reach", lambda *_, **__: None)
        return FakeBench(server, strategy=strategy)

    return made


COMMON = frozenset({Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})


class TestAlternatingUsersOfMongoDb(EngineSuite):
    capabilities = COMMON | {Capability.SUPERUSER, Capability.OVERLAP, Capability.SESSIONS}

    @pytest.fixture
    def bench(self, make: Make) -> Bench:
        return make()


class TestAlternatingUsersOfDocumentDb(EngineSuite):
    capabilities = COMMON | {Capability.SUPERUSER, Capability.OVERLAP}

    @pytest.fixture
    def bench(self, make: Make) -> Bench:
        return make(documentdb=True, keeps_a_role=True)


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, make: Make) -> Bench:
        return make(strategy="SingleUser")


def test_roles_are_equal_after_every_rotation_whatever_was_granted_and_revoked_meanwhile(make: Make) -> None:
    bench = make()
    bench.rotate()
    assert bench.clone.roles == bench.app.roles
    bench.clone.roles |= {("reports", "orders")}
    bench.clone.roles -= {("read", "audit")}
    bench.rotate()
    assert bench.current.username == "app"
    assert bench.app.roles == {("readWrite", "orders"), ("reports", "orders"), OWN_PASSWORD} == bench.clone.roles


def test_the_user_in_use_is_never_changed(make: Make) -> None:
    bench = make()
    bench.rotate()
    before = repr(bench.clone)
    token = bench.store.start(APP)
    for step in (Step.CREATE, Step.SET, Step.TEST):
        bench.step(step, token)
    assert repr(bench.clone) == before


def test_restrictions_mechanisms_and_custom_data_are_made_equal_both_ways(make: Make) -> None:
    bench = make()
    bench.app.restrictions, bench.app.mechanisms, bench.app.custom = RESTRICTIONS, ["SCRAM-SHA-256"], {"team": "orders"}
    bench.rotate()
    assert (bench.clone.restrictions, bench.clone.mechanisms, bench.clone.custom) == (RESTRICTIONS, ["SCRAM-SHA-256"], {"team": "orders"})
    bench.clone.restrictions, bench.clone.custom = [], {}
    bench.rotate()
    assert (bench.app.restrictions, bench.app.custom) == ([], {})


def test_a_rotation_of_equal_users_changes_nothing_but_the_password(make: Make) -> None:
    bench = make()
    for _ in range(2):
        bench.rotate()
    bench.server.sent.clear()
    bench.rotate()
    assert set(bench.server.sent) == {"ping", "usersInfo", "updateUser"}
    assert bench.server.sent.count("updateUser") == 1


def test_retiring_takes_the_roles_and_ends_the_sessions_where_the_superuser_may(make: Make) -> None:
    bench = make()
    bench.server.users["admin", "admin"].roles = {("root", "admin")}
    old = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old)
    assert bench.app.roles == set()
    assert bench.server.ended == [("admin", "app")]
    assert bench.clone.roles


def test_what_was_retired_is_restored_with_its_password_and_roles(make: Make) -> None:
    bench = make()
    old, roles = bench.current_version(), set(bench.app.roles)
    bench.rotate()
    bench.step(Step.RETIRE, old)
    bench.step(Step.RESTORE, old)
    assert bench.app.roles == roles
    assert bench.can_login(bench.version(old))


def test_a_superuser_who_may_not_grant_is_told_what_it_lacks_and_the_current_user_goes_on(make: Make) -> None:
    bench = make()
    bench.rotate()
    bench.clone.roles |= {("reports", "orders")}
    bench.server.users["admin", "admin"].roles = {("userAdmin", "admin")}
    with pytest.raises(RotationError, match="not authorized on orders") as refused:
        bench.rotate()
    assert refused.value.kind is Kind.PERMISSION
    assert bench.can_login(bench.current)


def test_a_role_that_is_gone_is_told(make: Make) -> None:
    bench = make()
    bench.server.roles.discard(("read", "audit"))
    with pytest.raises(RotationError, match="RoleNotFound") as refused:
        bench.rotate()
    assert refused.value.kind is Kind.POLICY


def test_a_user_without_the_right_to_its_own_password_is_told_so(make: Make) -> None:
    bench = make(strategy="SingleUser")
    bench.app.roles.discard(OWN_PASSWORD)
    with pytest.raises(RotationError) as refused:
        bench.rotate()
    assert refused.value.kind is Kind.PERMISSION


def test_a_servers_words_about_a_password_are_not_passed_on(make: Make) -> None:
    bench = make()
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.edit(APP, label="AWSPENDING", password="weak-canary")
    bench.server.users["admin", "app_clone"] = Known("another")
    with pytest.raises(RotationError, match="error 8000") as refused:
        bench.step(Step.SET, token)
    assert "canary" not in str(refused.value)


def test_users_of_another_database_than_the_superusers_are_changed_there(make: Make) -> None:
    bench = make()
    bench.server.users["orders", "app"] = bench.server.users.pop(("admin", "app"))
    bench.edit(APP, authSource="orders")
    bench.rotate()
    assert bench.server.users["orders", "app_clone"].password == bench.current.password
    assert ("admin", "app_clone") not in bench.server.users
