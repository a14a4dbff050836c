"""MySQL's protocol, with caching_sha2_password over verified TLS: go-mysql-server through the common suite.

It is a stand-in, and no MySQL: what it lacks (ACCOUNT LOCK, a user's change of its own password, sessions by user) is not declared.
"""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, BY_SUPERUSER, SUPERUSER, Bench, Capability
from tests.rotators.mysql_benches import MySqlBench, made
from tests.rotators.suite import EngineSuite

from keyturn_lab.backends.mysql_wire import MySqlWire
from keyturn_lab.controlplane.certificates import Authority

pytestmark = pytest.mark.timeout(900)  # the first one builds the server


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[MySqlWire]:
    with MySqlWire(tls=authority.issue("server", common_name="mysql", hosts=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def alternating(server: MySqlWire, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[MySqlBench]:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    yield from made(server, "AlternatingUsers")


class Spoiled(MySqlBench):
    def spoil_tls(self) -> None:
        """The server has TLS always: an address that its certificate does not name."""
        for secret in self.store.values:
            self.edit(secret, host="localhost")


class OverTls(EngineSuite, complete=False):
    strides = (1, 1)

    @pytest.fixture
    def bench(self, server: MySqlWire, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
        for bench in made(server, self.strategy, kind=Spoiled):
            bench.edit(APP, masterarn=SUPERUSER)
            bench.strides = self.strides
            yield bench


class TestSingleUserByTheSuperuser(OverTls):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"
    strides = (1, 2)  # a retirement begins with a rotation each time


class TestAlternatingUsers(OverTls):
    capabilities, strategy = BY_SUPERUSER - {Capability.RETIRE} | {Capability.OVERLAP}, "AlternatingUsers"
    strides = (3, 3)


def plugins(bench: MySqlBench) -> dict[object, object]:
    rows = bench.own("SELECT User, plugin FROM mysql.user WHERE User = %s OR User = %s", bench.app, bench.clone)
    return {row[0]: row[1] for row in rows}


def grants(bench: MySqlBench, user: str) -> set[str]:
    return {str(line).replace(bench.clone, bench.app) for (line,) in bench.own("SHOW GRANTS FOR %s@'%%'", user)}


def test_users_keep_caching_sha2_password_and_so_does_the_one_that_is_made(alternating: MySqlBench) -> None:
    for _ in range(3):
        alternating.rotate()
    assert plugins(alternating) == {alternating.app: "caching_sha2_password", alternating.clone: "caching_sha2_password"}


def test_a_user_with_the_native_plugin_keeps_it(alternating: MySqlBench) -> None:
    password = alternating.current.password
    alternating.own("ALTER USER %s@'%%' IDENTIFIED WITH mysql_native_password BY %s", alternating.app, password)
    for _ in range(3):
        alternating.rotate()
    assert plugins(alternating) == {alternating.app: "mysql_native_password", alternating.clone: "mysql_native_password"}


def test_grants_and_roles_as_mysql_8_writes_them_are_made_equal(alternating: MySqlBench) -> None:
    role, database = f"role_{alternating.database}", alternating.database
    alternating.own(f"CREATE TABLE {database}.t (a int)")
    alternating.own("CREATE ROLE %s", role)
    alternating.own(f"GRANT SELECT ON {database}.* TO %s", role)
    alternating.own("GRANT %s TO %s@'%%' WITH ADMIN OPTION", role, alternating.admin)
    alternating.own("GRANT %s TO %s@'%%'", role, alternating.app)
    alternating.rotate()
    assert grants(alternating, alternating.clone) == grants(alternating, alternating.app)
    alternating.own("REVOKE %s FROM %s@'%%'", role, alternating.clone)
    alternating.own(f"REVOKE DROP ON {database}.* FROM %s@'%%'", alternating.clone)
    alternating.own(f"GRANT DELETE ON {database}.t TO %s@'%%' WITH GRANT OPTION", alternating.clone)
    alternating.own(f"GRANT DELETE ON {database}.t TO %s@'%%' WITH GRANT OPTION", alternating.admin)
    alternating.rotate()
    assert grants(alternating, alternating.app) == grants(alternating, alternating.clone)
    assert not [line for line in grants(alternating, alternating.app) if role in line]
    assert [line for line in grants(alternating, alternating.app) if "`t`" in line and line.endswith("WITH GRANT OPTION")]
