"""MySQL's two passwords of one user through the common suite, on a fake of MySQL 8 (mysql_fake.py): no MySQL 8 can be had here."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, BY_SUPERUSER, COMMON, SUPERUSER, Bench, Capability
from tests.rotators.mysql_fake import CREATE_USER, DUAL, FakeConnection, FakeMySql
from tests.rotators.suite import EngineSuite
from tests.rotators.two_passwords import TwoPasswords, TwoPasswordsBench
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.mysql import connection
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

PASSWORD, ADMIN_PASSWORD = "first-password-of-the-app", "password-of-the-admin"


class FakeBench(TwoPasswordsBench):
    def __init__(self, server: FakeMySql, *, strategy: str, by_superuser: bool) -> None:
        self.server = server
        self.app = server.create("app", PASSWORD, *([] if by_superuser else [DUAL]))
        server.create("admin", ADMIN_PASSWORD, CREATE_USER)
        place = {"engine": "mysql", "host": "127.0.0.1", "port": server.port, "ssl": False}
        value = place | {"username": "app", "password": PASSWORD} | ({"masterarn": SUPERUSER} if by_superuser else {})
        super().__init__(server.life, value, superuser=place | {"username": "admin", "password": ADMIN_PASSWORD})
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def older(self) -> str | None:
        return self.app.secondary

    def can_login(self, credential: Credential) -> bool:
        return self.app.takes(credential.password)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMySql]:
    monkeypatch.setattr(connection, "_Connection", FakeConnection)
    with FakeMySql(Life()) as running:
        yield running


@pytest.fixture
def overlap(server: FakeMySql) -> FakeBench:
    return FakeBench(server, strategy="Overlap", by_superuser=False)


class OnTheFake(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: FakeMySql) -> Bench:
        return FakeBench(server, strategy=self.strategy, by_superuser=self.by_superuser)


class TestOverlapByTheUserItself(OnTheFake):
    capabilities, strategy = COMMON | {Capability.OVERLAP}, "Overlap"


class TestOverlapByTheSuperuser(OnTheFake):
    capabilities, strategy = BY_SUPERUSER | {Capability.OVERLAP}, "Overlap"


class TestSingleUserByTheUserItself(OnTheFake):
    """As MySQL has it: ALTER USER USER()."""

    capabilities, strategy = COMMON, "SingleUser"


@pytest.mark.parametrize("strategy", ["Overlap", "SingleUser"])
def test_a_user_who_must_say_its_current_password_says_it(server: FakeMySql, strategy: str) -> None:
    bench = FakeBench(server, strategy=strategy, by_superuser=False)
    bench.app.require_current = True
    for _ in range(3):
        bench.rotate()
        assert bench.can_login(bench.current)


class TestTwoPasswords(TwoPasswords):
    """The primary and the secondary one."""


def test_a_user_without_the_right_to_two_passwords_is_told_what_it_lacks(overlap: FakeBench) -> None:
    overlap.app.privileges = frozenset()
    assert overlap.failure_of_set().kind is Kind.PERMISSION
    assert overlap.can_login(overlap.current)


def test_a_password_history_that_forbids_the_current_one_again_is_told_as_such(overlap: FakeBench) -> None:
    overlap.app.history = []
    error = overlap.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "password history" in error.check
    assert overlap.can_login(overlap.current)


def test_all_accounts_of_the_user_are_changed_by_the_superuser(server: FakeMySql) -> None:
    bench = FakeBench(server, strategy="Overlap", by_superuser=True)
    elsewhere = server.create("app", PASSWORD, host="10.%")
    for _ in range(2):
        before = bench.current_version()
        bench.rotate()
        assert elsewhere.takes(bench.current.password)
        assert elsewhere.takes(bench.version(before).password)
        bench.step(Step.RETIRE, before)
        assert not elsewhere.takes(bench.version(before).password)


def test_mariadb_has_no_second_password_and_is_told_so(overlap: FakeBench) -> None:
    overlap.server.version = "10.11.19-MariaDB"
    assert "MariaDB has no second password" in str(overlap.failure_of_set())
    overlap.edit(APP, engine="mariadb")
    with pytest.raises(RotationError, match="MariaDB has no second password"):
        overlap.step(Step.CREATE, overlap.store.start(APP))


def test_two_steps_for_one_user_are_kept_apart(overlap: FakeBench) -> None:
    overlap.server.locks["keyturn/app"] = "somebody else"
    error = overlap.failure_of_set()
    assert "another step" in str(error)
    assert "IS_USED_LOCK" in error.check


def test_no_password_is_written_into_a_statement(overlap: FakeBench) -> None:
    for _ in range(2):
        before = overlap.current_version()
        overlap.rotate()
        overlap.step(Step.RETIRE, before)
    said = "\n".join(overlap.server.statements)
    assert "RETAIN CURRENT PASSWORD" in said
    assert not [version for version in overlap.store.values[APP] if overlap.version(version).password in said]
