"""The lab's own PostgreSQL: up quickly, closed to everybody without a password, and gone without a trace."""

from pathlib import Path

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError
from tests.support.orphans import ends_with_its_owner

from keyturn_lab.backends import Postgres
from keyturn_lab.processes import ProcessFailed


def test_it_is_the_real_thing_and_asks_even_its_superuser_for_a_scram_password(pg: Postgres) -> None:
    assert pg.execute("SELECT current_setting('server_version_num')::int >= 180000") == [[True]]
    assert pg.execute("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == [[0]]
    with pytest.raises(DatabaseError):
        pg.execute("SELECT 1", password="wrong")


def test_its_password_is_not_shown(pg: Postgres) -> None:
    assert pg.superuser_password not in repr(pg)
    assert pg.superuser_password not in pg.log.read_text(errors="replace")


def test_two_run_side_by_side_and_leave_neither_processes_nor_files() -> None:
    with Postgres() as first, Postgres() as second:
        assert first.port != second.port
        assert first.execute("SELECT 1") == second.execute("SELECT 1") == [[1]]
        pid = int((first.log.parent / "data" / "postmaster.pid").read_text().splitlines()[0])
        data, port = first.log.parent, first.port
    assert not data.exists()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(InterfaceError):
        first.execute("SELECT 1")
    assert port == first.port


def test_it_is_cleaned_up_when_the_block_fails() -> None:
    server = Postgres()
    with pytest.raises(KeyboardInterrupt):
        _interrupted_in(server)
    assert server.port
    assert not server.log.parent.exists()


def test_it_ends_with_a_process_that_is_killed_in_its_block() -> None:
    ends_with_its_owner("postgres", "Postgres", pid_file="postmaster.pid")


def _interrupted_in(server: Postgres) -> None:
    with server:
        assert server.log.parent.exists()
        raise KeyboardInterrupt


def test_a_server_that_does_not_start_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed) as failed, Postgres(settings={"no_such_setting": "1"}):
        pytest.fail("it started")
    assert "no_such_setting" in str(failed.value)
    log = Path(str(failed.value).split("its log is ")[1].split(",")[0])
    assert "no_such_setting" in log.read_text()
    log.unlink()


def test_a_user_of_an_application_can_use_its_database_with_the_secrets_fields(pg: Postgres) -> None:
    pg.create_app_user("reader", "throw-away", database="books")
    secret = pg.secret("reader", "throw-away", dbname="books", note="kept")
    assert secret["ssl"] is False
    assert secret["note"] == "kept"
    assert pg.execute("SELECT current_user::text, $1::int + 1", 41, user="reader", password="throw-away", database="books") == [
        ["reader", 42]
    ]


def test_the_admin_it_makes_is_no_superuser_and_no_member_that_acts_as_the_user(pg: Postgres) -> None:
    pg.create_app_user("clerk", "throw-away", database="books")
    pg.create_admin("registrar", "throw-away", rotates=("clerk",))
    assert pg.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'registrar'") == [[False, True]]
    assert pg.execute("SELECT admin_option, inherit_option, set_option FROM pg_auth_members WHERE member = 'registrar'::regrole") == [
        [True, False, False]
    ]
