"""What Redshift's two users may do, after each rotation: compared by what the server lets them do, and by its catalogue."""

import uuid
from collections.abc import Iterator

import pytest
from pg8000.exceptions import DatabaseError
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.redshift_bench import StandInBench, stand_in, superuser_statements

from keyturn_lab.backends.redshift_stand_in import RedshiftStandIn
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.redshift.connection import Session
from keyturn_rotators.engines.redshift.rights import Rights, rights
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

ODD = '"odd ""name"'
ATTRIBUTES = "SELECT createdb, syslog_access, connection_limit, session_timeout FROM svv_user_info WHERE user_name = $1"


@pytest.fixture
def bench(redshift: RedshiftStandIn) -> Iterator[StandInBench]:
    with stand_in(redshift, alternating=True, database=f"rights_{uuid.uuid4().hex[:8]}") as bench:
        for statement in (
            "CREATE SCHEMA sales",
            f"CREATE TABLE sales.{ODD} (id int, total int)",
            f"CREATE GROUP writers_{bench.app}",
            f"CREATE GROUP readers_{bench.app}",
            f"CREATE ROLE loader_{bench.app}",
            f"CREATE ROLE auditor_{bench.app}",
        ):
            bench.run(statement)
        yield bench


def has(bench: StandInBench, user: str) -> Rights:
    admin = bench.store.credential(SUPERUSER).replaced(dbname=bench.database)
    with Session(admin, deadline=Deadline.after(60)) as session:
        return rights(session, user, pair=(bench.app, bench.clone))


def granted(bench: StandInBench, user: str) -> list[str]:
    return sorted(str(right) for right in has(bench, user).granted)


def may(bench: StandInBench, sql: str) -> bool:
    """Whether the server does it for the current user."""
    try:
        bench.run(sql, user=bench.current.username, password=bench.current.password)
    except DatabaseError as refused:
        if refused.args[0]["C"] != "42501":
            raise
        return False
    return True


GRANTS = (
    "GRANT TEMP ON DATABASE {database} TO {user}",
    "GRANT CREATE ON DATABASE {database} TO {user} WITH GRANT OPTION",
    "GRANT USAGE ON SCHEMA sales TO {user}",
    f"GRANT SELECT ON TABLE sales.{ODD} TO {{user}} WITH GRANT OPTION",
    f"GRANT UPDATE (total) ON TABLE sales.{ODD} TO {{user}}",
    "GRANT USAGE ON LANGUAGE plpgsql TO {user}",
    "GRANT SELECT FOR TABLES IN SCHEMA sales TO {user}",
    "GRANT USAGE FOR SCHEMAS IN DATABASE {database} TO {user} WITH GRANT OPTION",
    "ALTER DEFAULT PRIVILEGES FOR USER {admin} IN SCHEMA sales GRANT SELECT ON TABLES TO {user} WITH GRANT OPTION",
    "ALTER DEFAULT PRIVILEGES FOR USER {admin} GRANT EXECUTE ON FUNCTIONS TO {user}",
    "ALTER GROUP writers_{app} ADD USER {user}",
    "GRANT ROLE loader_{app} TO {user}",
    "GRANT ROLE auditor_{app} TO {user} WITH ADMIN OPTION",
)


def grant(bench: StandInBench, user: str, statements: tuple[str, ...] = GRANTS) -> None:
    for statement in statements:
        bench.run(statement.format(user=user, app=bench.app, admin=bench.admin, database=bench.database))


def test_the_second_user_has_the_groups_roles_and_grants_of_the_first(bench: StandInBench) -> None:
    grant(bench, bench.app)
    bench.rotate()
    assert len(granted(bench, bench.app)) == len(GRANTS)
    assert has(bench, bench.clone) == has(bench, bench.app)


def test_the_second_user_can_do_what_the_first_could(bench: StandInBench) -> None:
    grant(bench, bench.app)
    for _ in range(3):
        assert may(bench, f"SELECT * FROM sales.{ODD}")
        assert may(bench, f"UPDATE sales.{ODD} SET total = 1")
        assert not may(bench, f"DELETE FROM sales.{ODD}")
        bench.rotate()


def test_rights_are_equal_after_every_rotation_whatever_was_granted_and_revoked_meanwhile(bench: StandInBench) -> None:
    grant(bench, bench.app)
    bench.rotate()
    for statement in (
        f"ALTER GROUP writers_{bench.app} DROP USER {bench.clone}",
        f"ALTER GROUP readers_{bench.app} ADD USER {bench.clone}",
        f"GRANT ROLE loader_{bench.app} TO {bench.clone} WITH ADMIN OPTION",
        f"REVOKE ROLE auditor_{bench.app} FROM {bench.clone}",
        f"REVOKE TEMP ON DATABASE {bench.database} FROM {bench.clone}",
        f"REVOKE SELECT ON TABLE sales.{ODD} FROM {bench.clone}",
        f"GRANT SELECT ON TABLE sales.{ODD} TO {bench.clone}",
        f"GRANT SELECT (id) ON TABLE sales.{ODD} TO {bench.clone}",
        f"REVOKE SELECT FOR TABLES IN SCHEMA sales FROM {bench.clone}",
        f"ALTER DEFAULT PRIVILEGES FOR USER {bench.admin} IN SCHEMA sales REVOKE SELECT ON TABLES FROM {bench.clone}",
    ):
        bench.run(statement)
    wanted = granted(bench, bench.clone)
    bench.rotate()
    assert bench.current.username == bench.app
    assert granted(bench, bench.app) == granted(bench, bench.clone) == wanted
    assert f"ROLE loader_{bench.app} with the option to pass it on" in wanted


def test_a_column_that_may_be_read_stays_so_when_its_table_may_not_be_any_more(bench: StandInBench) -> None:
    grant(bench, bench.app, (GRANTS[2], GRANTS[3], f"GRANT SELECT (id) ON TABLE sales.{ODD} TO {{user}}"))
    bench.rotate()
    grant(bench, bench.clone, (f"REVOKE SELECT ON TABLE sales.{ODD} FROM {{user}}", f"GRANT SELECT (id) ON TABLE sales.{ODD} TO {{user}}"))
    bench.rotate()
    assert may(bench, f"SELECT id FROM sales.{ODD}")
    assert not may(bench, f"SELECT total FROM sales.{ODD}")


def test_what_either_user_makes_is_open_to_the_other_after_the_next_rotation(bench: StandInBench) -> None:
    grant(bench, bench.app, ("GRANT USAGE ON SCHEMA sales TO {user}", "GRANT CREATE ON SCHEMA sales TO {user}"))
    for table in ("of_app", "of_clone", "of_app_again"):
        assert may(bench, f"CREATE TABLE sales.{table} (id int)")
        bench.rotate()
        assert may(bench, f"INSERT INTO sales.{table} VALUES (1)")
    for table in ("of_app", "of_clone", "of_app_again"):
        assert may(bench, f"DELETE FROM sales.{table}")


def test_what_the_idle_user_makes_is_open_to_the_other_too_and_stays_its_own(bench: StandInBench) -> None:
    grant(bench, bench.app, ("GRANT USAGE ON SCHEMA sales TO {user}", "GRANT CREATE ON SCHEMA sales TO {user}"))
    before = bench.current
    bench.rotate()
    for statement in ("CREATE TABLE sales.late (id int)", "GRANT SELECT ON TABLE sales.late TO PUBLIC"):
        bench.run(statement, user=before.username, password=before.password)
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    bench.step(Step.SET, token)
    assert may(bench, "INSERT INTO sales.late VALUES (1)")
    bench.step(Step.TEST, token)
    bench.step(Step.FINISH, token)
    assert bench.current.username == bench.app
    assert may(bench, "INSERT INTO sales.late VALUES (1)")


def test_default_privileges_by_which_one_user_opens_to_the_other_what_it_makes_are_no_difference(bench: StandInBench) -> None:
    grant(bench, bench.app, ("GRANT USAGE ON SCHEMA sales TO {user}", "GRANT CREATE ON SCHEMA sales TO {user}"))
    bench.rotate()
    bench.run(f"ALTER DEFAULT PRIVILEGES FOR USER {bench.app} GRANT ALL ON TABLES TO {bench.clone}")
    bench.run(f"ALTER DEFAULT PRIVILEGES FOR USER {bench.clone} GRANT ALL ON TABLES TO {bench.app}")
    for table, other in (("of_app", bench.clone), ("of_clone", bench.app)):
        bench.rotate()
        assert may(bench, f"CREATE TABLE sales.{table} (id int)")
        [[open_to_it]] = bench.run("SELECT has_table_privilege($1, $2, 'TRUNCATE')", other, f"sales.{table}")
        assert open_to_it
    bench.rotate()
    assert may(bench, "TRUNCATE sales.of_clone")


def test_attributes_are_made_equal_both_ways(bench: StandInBench) -> None:
    for attribute in ("CREATEDB", "SYSLOG ACCESS UNRESTRICTED", "CONNECTION LIMIT 7", "SESSION TIMEOUT 120"):
        bench.run(f"ALTER USER {bench.app} {attribute}")
    bench.rotate()
    assert bench.run(ATTRIBUTES, bench.clone) == [[True, "UNRESTRICTED", "7", 120]]
    for attribute in ("NOCREATEDB", "SYSLOG ACCESS RESTRICTED", "CONNECTION LIMIT UNLIMITED", "RESET SESSION TIMEOUT"):
        bench.run(f"ALTER USER {bench.clone} {attribute}")
    bench.rotate()
    assert bench.run(ATTRIBUTES, bench.app) == [[False, "RESTRICTED", "UNLIMITED", 0]]


def test_a_right_that_is_not_copied_is_named_and_the_second_user_is_not_let_in(bench: StandInBench) -> None:
    bench.run("CREATE FUNCTION sales.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'")
    bench.run(f"GRANT EXECUTE ON FUNCTION sales.f(int) TO {bench.app}")
    with pytest.raises(RotationError, match=r"it lacks EXECUTE ON FUNCTION sales\.f\.integer") as refused:
        bench.rotate()
    assert refused.value.kind is Kind.PERMISSION
    assert bench.can_login(bench.current)
    assert not bench.can_login(bench.pending)
    bench.run(f"GRANT EXECUTE ON FUNCTION sales.f(int) TO {bench.clone}")
    bench.rotate()
    assert bench.current.username == bench.clone


@pytest.mark.parametrize("serverless", [False, True])
def test_retiring_ends_sessions_and_keeps_the_rights(bench: StandInBench, serverless: bool) -> None:
    if serverless:  # where sessions are in another view
        for secret in (APP, SUPERUSER):
            bench.edit(secret, namespaceName="orders")
    grant(bench, bench.app)
    old = bench.current_version()
    held = bench.hold(bench.current)
    bench.rotate()
    bench.step(Step.RETIRE, old)
    assert not held.is_alive()
    assert not bench.can_login(bench.version(old))
    assert has(bench, bench.clone) == has(bench, bench.app)


def test_a_superuser_is_not_given_a_second_user(bench: StandInBench) -> None:
    bench.run(f"ALTER USER {bench.app} CREATEUSER")
    with pytest.raises(RotationError, match="is a superuser"):
        bench.rotate()
    assert bench.run("SELECT 1 FROM svv_user_info WHERE user_name = $1", bench.clone) == []


def test_a_superuser_who_is_none_is_told_so(bench: StandInBench) -> None:
    bench.run(f"ALTER USER {bench.admin} NOCREATEUSER")
    with pytest.raises(RotationError, match="permission denied") as refused:
        bench.rotate()
    assert refused.value.kind is Kind.PERMISSION
    assert bench.can_login(bench.current)


def test_a_version_of_neither_user_is_not_retired(bench: StandInBench) -> None:
    old = bench.current_version()
    bench.rotate()
    other = bench.version(old).replaced(username=f"other_{bench.app}")
    bench.run(f"CREATE USER {other.username} PASSWORD '{other.password}'")
    bench.store.values[APP][old] = other.to_json()
    with pytest.raises(RotationError, match="partner"):
        bench.step(Step.RETIRE, old)
    assert bench.can_login(other)


def test_the_superuser_is_made_by_the_one_statement_of_the_page() -> None:
    assert superuser_statements() == ["CREATE USER keyturn_admin PASSWORD '...' CREATEUSER;"]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE app PASSWORD 'Fine-password-1'",
        "CREATE ROLE app LOGIN",
        "GRANT writers TO app",
        "GRANT SELECT ON ALL TABLES IN SCHEMA sales TO app",
        "ALTER USER app SET role = 'writers'",
        "ALTER USER app PASSWORD NULL",
        "DO $$ BEGIN END $$",
    ],
)
def test_the_stand_in_refuses_what_only_postgresql_takes(bench: StandInBench, sql: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        bench.run(sql)
    assert refused.value.args[0]["C"] == "42601"
