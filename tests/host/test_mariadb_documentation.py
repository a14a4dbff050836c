"""What docs/rotators/mysql.md says is enough, is enough, as far as it is about MariaDB."""

from collections.abc import Iterator

import pytest
from pymysql.err import MySQLError
from tests.rotators.bench import SUPERUSER
from tests.rotators.mysql_benches import MySqlBench, made
from tests.support.debian import install
from tests.support.rotator_pages import RotatorPage

from keyturn_lab.backends.mariadb import MariaDb
from keyturn_rotators.engines.registry import BY_NAME
from keyturn_rotators.passwords import EXCLUDED
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host
PAGE = RotatorPage("mysql")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    install("mariadb-server-core")
    with MariaDb() as running:
        yield running


@pytest.fixture
def bench(server: MariaDb) -> Iterator[MySqlBench]:
    """An application with the rights of the page, rotated by the admin of the page."""
    for bench in made(server, "AlternatingUsers"):
        admin = f"documented_{bench.database}"
        granted = f"`{server.granted(bench.database)}`.*"
        statements = PAGE.block("sql", having="CONNECTION ADMIN")
        for statement in statements.replace("keyturn_admin", admin).replace("orders.*", granted).split(";\n"):
            if statement.strip():
                bench.own(statement)
        bench.own(f"REVOKE ALL PRIVILEGES ON {granted} FROM {bench.app}@'%'")
        bench.own(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {granted} TO {bench.app}@'%'")
        bench.edit(SUPERUSER, username=admin, password="choose one")
        yield bench


def test_the_admin_of_the_page_rotates_both_users_retires_and_restores(bench: MySqlBench) -> None:
    users = []
    for _ in range(4):
        before = bench.current_version()
        bench.rotate()
        users.append(bench.current.username)
        bench.step(Step.RETIRE, before)
        assert not bench.can_login(bench.version(before))
        bench.step(Step.RESTORE, before)
        assert bench.can_login(bench.version(before))
        assert bench.can_login(bench.current)
    assert users == [bench.clone, bench.app] * 2


def test_the_admin_of_the_page_cannot_change_what_it_was_not_granted(bench: MySqlBench) -> None:
    bench.rotate()
    admin = bench.store.credential(SUPERUSER)
    for sql in ("DROP TABLE mysql.global_priv", "CREATE DATABASE another", "SET GLOBAL general_log = 1"):
        with pytest.raises(MySQLError):
            bench.server.execute(sql, user=admin.username, password=admin.password)


def test_the_policy_of_the_page_allows_the_calls_that_are_made_and_no_others(bench: MySqlBench) -> None:
    before = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, before)
    bench.step(Step.RESTORE, before)
    PAGE.assert_policy_is_for(bench.store.calls)


def test_the_secret_of_the_page_is_one_that_the_rotator_reads() -> None:
    credential = PAGE.secret()
    assert (credential.username, credential.port(1), credential.tls) == ("app", 3306, True)
    assert BY_NAME[credential.engine].module == "mysql"
    assert credential.superuser_secret is not None


def test_the_names_and_characters_of_the_page_are_the_codes() -> None:
    assert f"`{EXCLUDED}`" in PAGE
    for name in (*BY_NAME["mysql"].names, *BY_NAME["mysql"].strategies):
        assert name in PAGE
