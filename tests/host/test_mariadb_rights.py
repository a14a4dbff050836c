"""Two users in turn on MariaDB: what either may do is made equal at every rotation, by an admin who is no superuser."""

from collections.abc import Iterator

import pytest
from pymysql.err import MySQLError
from tests.rotators.bench import APP
from tests.rotators.mysql_benches import MySqlBench, made
from tests.support.debian import install

from keyturn_lab.backends.mariadb import MariaDb
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step

pytestmark = pytest.mark.host
ALTERNATIONS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    install("mariadb-server-core")
    with MariaDb() as running:
        yield running


@pytest.fixture
def bench(server: MariaDb) -> Iterator[MySqlBench]:
    yield from made(server, "AlternatingUsers")


def grants(bench: MySqlBench, user: str, host: str = "%") -> set[str]:
    """What SHOW GRANTS says, with one name for both users and without the password's hash."""
    lines = (str(line).replace(bench.clone, bench.app) for (line,) in bench.own("SHOW GRANTS FOR %s@%s", user, host))
    return {before + after.partition("'")[2] for before, _, after in (line.partition(" IDENTIFIED BY PASSWORD '") for line in lines)}


def assert_alike(bench: MySqlBench) -> None:
    assert grants(bench, bench.app) == grants(bench, bench.clone)


class Things:
    """Objects that rights are about, and an admin who may pass the rights on."""

    def __init__(self, bench: MySqlBench) -> None:
        self.bench, self.db = bench, bench.database
        self.place = f"`{bench.server.granted(self.db)}`.*"  # of the many that match, MariaDB takes one: it must be the same everywhere
        self.role, self.other_role = f"role_{self.db}", f"other_{self.db}"
        for sql in (
            f"CREATE TABLE {self.db}.t (a int, b int)",
            f"CREATE PROCEDURE {self.db}.p() SELECT 1",
            f"CREATE FUNCTION {self.db}.f() RETURNS int RETURN 1",
            f"CREATE ROLE {self.role}",
            f"CREATE ROLE {self.other_role}",
            f"GRANT SELECT ON {self.place} TO {self.role}",
            f"GRANT {self.role} TO {bench.admin} WITH ADMIN OPTION",
            f"GRANT {self.other_role} TO {bench.admin} WITH ADMIN OPTION",
            f"GRANT ALL PRIVILEGES ON {self.place} TO {bench.admin} WITH GRANT OPTION",
            f"GRANT ALL PRIVILEGES ON `{self.db}\\_archive%`.* TO {bench.admin} WITH GRANT OPTION",
            f"GRANT SHOW DATABASES, PROCESS ON *.* TO {bench.admin} WITH GRANT OPTION",
        ):
            bench.own(sql)

    def changes(self) -> list[str]:
        """Statements about `{user}`, for many alternations."""
        return [
            f"GRANT SELECT (a), UPDATE (a, b) ON {self.db}.t TO {{user}}",
            f"GRANT DELETE ON {self.db}.t TO {{user}} WITH GRANT OPTION",
            f"GRANT EXECUTE ON PROCEDURE {self.db}.p TO {{user}}",
            f"GRANT EXECUTE, ALTER ROUTINE ON FUNCTION {self.db}.f TO {{user}}",
            f"GRANT {self.role} TO {{user}}",
            "ALTER USER {user} WITH MAX_USER_CONNECTIONS 80",
            f"SET DEFAULT ROLE {self.role} FOR {{user}}",
            f"GRANT {self.other_role} TO {{user}} WITH ADMIN OPTION",
            f"REVOKE UPDATE (b) ON {self.db}.t FROM {{user}}",
            f"GRANT ALL PRIVILEGES ON `{self.db}\\_archive%`.* TO {{user}}",
            "ALTER USER {user} WITH MAX_USER_CONNECTIONS 90 MAX_STATEMENT_TIME 30",
            f"REVOKE ALL PRIVILEGES ON `{self.db}\\_archive%`.* FROM {{user}}",
            f"GRANT SELECT ON `{self.db}\\_archive%`.* TO {{user}}",
            "ALTER USER {user} WITH MAX_USER_CONNECTIONS 0 MAX_QUERIES_PER_HOUR 100000 MAX_STATEMENT_TIME 0",
            f"SET DEFAULT ROLE {self.other_role} FOR {{user}}",
            f"REVOKE {self.role} FROM {{user}}",
            f"REVOKE GRANT OPTION ON {self.db}.t FROM {{user}}",
            "GRANT SHOW DATABASES ON *.* TO {user} WITH GRANT OPTION",
            "SET DEFAULT ROLE NONE FOR {user}",
            f"REVOKE ADMIN OPTION FOR {self.other_role} FROM {{user}}",
        ]


def test_grants_stay_equal_over_twenty_alternations_in_which_one_thing_changes_each_time(bench: MySqlBench) -> None:
    changes = Things(bench).changes()
    assert len(changes) == ALTERNATIONS
    seen = set()
    for change in changes:
        bench.own(change.replace("{user}", f"{bench.current.username}@'%'"))
        before = grants(bench, bench.current.username)
        bench.rotate()
        assert_alike(bench)
        assert grants(bench, bench.current.username) == before, change
        seen.add(frozenset(before))
    assert len(seen) > ALTERNATIONS // 2


def test_what_the_idle_user_has_besides_is_taken_from_it(bench: MySqlBench) -> None:
    things = Things(bench)
    bench.rotate()
    for right in (f"GRANT DELETE HISTORY ON {things.place} TO", f"GRANT SELECT (b) ON {things.db}.t TO", f"GRANT {things.role} TO"):
        bench.own(f"{right} {bench.app}@'%'")
    bench.own(f"SET DEFAULT ROLE {things.role} FOR {bench.app}@'%'")
    bench.rotate()
    assert_alike(bench)
    assert not [line for line in grants(bench, bench.app) if things.role in line or "`t`" in line]


def test_all_privileges_of_the_idle_user_are_cut_down_to_what_the_other_has(bench: MySqlBench) -> None:
    Things(bench)
    bench.rotate()
    where = bench.server.granted(bench.database)
    bench.own(f"GRANT ALL PRIVILEGES ON `{where}`.* TO {bench.app}@'%' WITH GRANT OPTION")
    bench.own(f"GRANT ALL PRIVILEGES ON `{where}`.* TO {bench.admin} WITH GRANT OPTION")
    bench.rotate()
    assert_alike(bench)
    assert not [line for line in grants(bench, bench.app) if "ALL PRIVILEGES" in line]


def test_a_user_that_may_pass_on_its_rights_needs_no_admin_who_has_them(bench: MySqlBench) -> None:
    bench.own("CREATE DATABASE IF NOT EXISTS elsewhere")
    bench.own(f"GRANT SELECT ON elsewhere.* TO {bench.app}@'%' WITH GRANT OPTION")
    bench.rotate()
    assert_alike(bench)
    assert [line for line in grants(bench, bench.clone) if "elsewhere" in line]


def test_a_right_that_nobody_may_pass_on_fails_the_step_by_name_and_the_current_credential_goes_on(bench: MySqlBench) -> None:
    bench.own(f"GRANT FILE ON *.* TO {bench.app}@'%'")
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    with pytest.raises(RotationError, match=r"it lacks FILE ON \*\.\*") as refused:
        bench.step(Step.SET, token)
    assert refused.value.kind is Kind.PERMISSION
    assert bench.can_login(bench.current)
    bench.own(f"REVOKE FILE ON *.* FROM {bench.app}@'%'")
    bench.steps(ROTATION, token)
    assert bench.can_login(bench.current)


def test_a_default_role_is_active_in_the_apps_sessions(bench: MySqlBench) -> None:
    things = Things(bench)
    bench.own(f"REVOKE ALL PRIVILEGES ON `{bench.server.granted(bench.database)}`.* FROM {bench.app}@'%'")
    bench.own(f"GRANT {things.role} TO {bench.app}@'%'")
    bench.own(f"SET DEFAULT ROLE {things.role} FOR {bench.app}@'%'")
    for _ in range(2):
        bench.rotate()
        login = bench.current
        select = f"SELECT a FROM {things.db}.t"
        assert bench.server.execute(select, user=login.username, password=login.password, database=things.db) == []


def test_the_admin_cannot_read_what_it_was_not_granted(bench: MySqlBench) -> None:
    bench.own("CREATE DATABASE IF NOT EXISTS private")
    bench.own("CREATE TABLE IF NOT EXISTS private.t (a int)")
    bench.rotate()
    admin = bench.store.credential("superuser")
    with pytest.raises(MySQLError):
        bench.server.execute("SELECT a FROM private.t", user=admin.username, password=admin.password)


def test_an_admin_who_may_not_read_the_grants_is_told_as_such(bench: MySqlBench) -> None:
    bench.own(f"REVOKE SELECT ON mysql.* FROM {bench.admin}")
    error = bench.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert "mysql" in str(error)


@pytest.mark.parametrize(("lacking", "told"), [("PROCESS", "PROCESS"), ("CONNECTION ADMIN", "CONNECTION ADMIN")])
def test_an_admin_who_may_not_end_sessions_retires_nobody_as_if_it_had(bench: MySqlBench, lacking: str, told: str) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.own(f"REVOKE {lacking} ON *.* FROM {bench.admin}")
    held = bench.hold(bench.version(old_version))
    try:
        with pytest.raises(RotationError) as refused:
            bench.step(Step.RETIRE, old_version)
    finally:
        held.close()
    assert refused.value.kind is Kind.PERMISSION
    assert told in refused.value.check
    bench.own(f"GRANT {lacking} ON *.* TO {bench.admin}")
    bench.step(Step.RETIRE, old_version)


@pytest.mark.parametrize("letter", ["A", "ä"])
def test_sessions_of_another_user_whose_name_differs_in_case_or_accents_go_on(bench: MySqlBench, letter: str) -> None:
    other, old_version = bench.app.replace("a", letter, 1), bench.current_version()
    bench.server.create_app_user(other, "of-somebody-else", database=bench.database)
    bench.rotate()
    with bench.server.connect(user=other, password="of-somebody-else") as session:
        bench.step(Step.RETIRE, old_version)
        session.query("SELECT 1")
    assert not bench.can_login(bench.version(old_version))


def test_a_retired_user_is_locked_and_still_has_its_rights_and_views(bench: MySqlBench) -> None:
    old_version = bench.current_version()
    login, place = bench.current, f"`{bench.server.granted(bench.database)}`.*"
    bench.own(f"GRANT CREATE VIEW ON {place} TO {bench.app}@'%'")
    bench.own(f"GRANT CREATE VIEW ON {place} TO {bench.admin} WITH GRANT OPTION")
    bench.own(f"CREATE TABLE {bench.database}.t (a int)")
    bench.server.execute("CREATE VIEW v AS SELECT a FROM t", user=login.username, password=login.password, database=bench.database)
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    assert "ACCOUNT LOCK" in str(bench.own("SHOW CREATE USER %s@'%%'", bench.app))
    login = bench.current
    assert bench.server.execute("SELECT a FROM v", user=login.username, password=login.password, database=bench.database) == []
