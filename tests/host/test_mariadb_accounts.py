"""What an account is on MariaDB: host parts, plugins, demands; and what of a password gets into the server's own log."""

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.mariadb_programs import plugins
from tests.rotators.mysql_benches import ADMIN_PASSWORD, PASSWORD, MySqlBench, made

from keyturn_lab.backends.mariadb import MariaDb
from keyturn_rotators.engines.mysql import locking
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step

pytestmark = pytest.mark.host
NATIVE, ED25519 = "mysql_native_password", "ed25519"


@pytest.fixture(scope="module")
def plugin_folder() -> Iterator[Path]:
    with plugins() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(plugin_folder: Path) -> Iterator[MariaDb]:
    """It notes all statements."""
    with MariaDb(settings={"general-log": "1"}, plugins=plugin_folder, load=("auth_ed25519",)) as running:
        yield running


@pytest.fixture
def bench(server: MariaDb) -> Iterator[MySqlBench]:
    yield from made(server, "AlternatingUsers")


@pytest.fixture
def single(server: MariaDb) -> Iterator[MySqlBench]:
    yield from made(server, "SingleUser")


def plugins_of(bench: MySqlBench, user: str) -> dict[object, object]:
    return {row[0]: row[1] for row in bench.own("SELECT Host, plugin FROM mysql.user WHERE User = %s", user)}


def use_ed25519(bench: MySqlBench) -> None:
    bench.own("ALTER USER %s@'%%' IDENTIFIED VIA ed25519 USING PASSWORD(%s)", bench.app, bench.current.password)


def test_an_account_with_ed25519_keeps_it_and_its_clone_is_made_with_it(bench: MySqlBench) -> None:
    use_ed25519(bench)
    for _ in range(3):
        bench.rotate()
        assert bench.can_login(bench.current)
    assert plugins_of(bench, bench.app) == plugins_of(bench, bench.clone) == {"%": ED25519}


def test_a_single_user_with_ed25519_keeps_it(single: MySqlBench) -> None:
    use_ed25519(single)
    before = single.current
    single.rotate()
    assert single.can_login(single.current)
    assert not single.can_login(before)
    assert plugins_of(single, single.app) == {"%": ED25519}


def test_two_users_with_different_plugins_keep_each_its_own(bench: MySqlBench) -> None:
    bench.rotate()
    use_ed25519(bench) if bench.current.username == bench.app else bench.own(
        "ALTER USER %s@'%%' IDENTIFIED VIA ed25519 USING PASSWORD('x')", bench.app
    )
    for _ in range(2):
        bench.rotate()
        assert bench.can_login(bench.current)
    assert plugins_of(bench, bench.app) == {"%": ED25519}
    assert plugins_of(bench, bench.clone) == {"%": NATIVE}


def test_an_account_without_a_password_is_refused_before_anything_is_changed(bench: MySqlBench) -> None:
    bench.rotate()
    bench.own("ALTER USER %s@'%%' IDENTIFIED VIA unix_socket", bench.app)
    error = bench.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "unix_socket" in str(error)
    assert bench.can_login(bench.current)


def test_every_host_part_of_the_user_gets_its_account_and_password(bench: MySqlBench) -> None:
    for host in ("10.1.%", "192.168.%"):
        bench.own("CREATE USER %s@%s IDENTIFIED BY %s WITH MAX_USER_CONNECTIONS 7", bench.app, host, PASSWORD)
        bench.own(f"GRANT SELECT ON `{bench.server.granted(bench.database)}`.* TO %s@%s", bench.app, host)
    for _ in range(2):
        bench.rotate()
    hosts = {"%", "10.1.%", "192.168.%"}
    assert set(plugins_of(bench, bench.clone)) == hosts
    for user in (bench.app, bench.clone):
        stored = bench.own("SELECT DISTINCT authentication_string FROM mysql.user WHERE User = %s", user)
        assert len(stored) == 1, "all accounts of a user have the same password"
        limits = bench.own("SELECT max_user_connections FROM mysql.user WHERE User = %s AND Host = '10.1.%%'", user)
        assert limits == [(7,)]


def test_all_accounts_of_a_single_user_are_changed_where_a_superuser_is_named(single: MySqlBench) -> None:
    single.own("CREATE USER %s@'10.1.%%' IDENTIFIED BY %s", single.app, PASSWORD)
    single.edit(APP, masterarn=SUPERUSER)
    single.rotate()
    assert len(single.own("SELECT DISTINCT authentication_string FROM mysql.user WHERE User = %s", single.app)) == 1
    assert single.can_login(single.current)


def test_a_clone_for_a_host_that_the_user_lacks_is_told_with_what_to_do(bench: MySqlBench) -> None:
    bench.rotate()
    bench.own("CREATE USER %s@'10.9.%%' IDENTIFIED BY 'x'", bench.app)
    error = bench.failure_of_set()
    assert error.kind is Kind.POLICY
    assert f"{bench.app}@10.9.%" in str(error)
    assert "RENAME USER" in error.check
    assert bench.can_login(bench.current)


def test_all_accounts_of_a_retired_user_are_locked_and_opened_again(bench: MySqlBench) -> None:
    bench.own("CREATE USER %s@'10.1.%%' IDENTIFIED BY %s", bench.app, PASSWORD)

    def locked() -> int:
        rows = bench.own("SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User = %s", bench.app)
        return [row[0] for row in rows].count("1")

    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    assert locked() == 2
    bench.rotate()
    assert locked() == 0
    assert bench.can_login(bench.current)


@pytest.mark.parametrize("locked_before", ["the first rotation", "the second"])
def test_an_account_that_somebody_has_locked_stays_so_for_both_users(bench: MySqlBench, locked_before: str) -> None:
    bench.own("CREATE USER %s@'10.1.%%' IDENTIFIED BY %s", bench.app, PASSWORD)
    if locked_before == "the second":
        bench.rotate()
    bench.own("ALTER USER %s@'10.1.%%' ACCOUNT LOCK", bench.current.username)
    for _ in range(3):
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old_version)
        bench.step(Step.RESTORE, old_version)
    query = "SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User IN (%s, %s) AND Host = %s"
    assert bench.own(query, bench.app, bench.clone, "10.1.%") == [("1",), ("1",)]
    assert {str(row[0] or 0) for row in bench.own(query, bench.app, bench.clone, "%")} == {"0"}


@pytest.mark.timeout(600)
def test_wherever_a_rotation_dies_all_accounts_of_a_user_come_to_the_same_password(bench: MySqlBench) -> None:
    bench.own("CREATE USER %s@'10.1.%%' IDENTIFIED BY %s", bench.app, PASSWORD)
    for end in itertools.count():
        token = bench.store.start(APP)
        survived = bench.survives(ROTATION, token, ends_before=end)
        bench.steps(ROTATION, token)
        user = bench.current.username
        stored = bench.own("SELECT DISTINCT authentication_string FROM mysql.user WHERE User = %s", user)
        assert len(stored) == 1, f"after the death before request {end}"
        if survived:
            break
    assert end > len(ROTATION)


def test_what_tls_and_limits_are_asked_of_one_user_is_asked_of_the_other(bench: MySqlBench) -> None:
    bench.rotate()
    demands = "REQUIRE SUBJECT '/CN=it''s me' AND ISSUER '/CN=50%% \\\\ca' WITH MAX_QUERIES_PER_HOUR 90 MAX_STATEMENT_TIME 1.5"
    bench.own(f"CREATE USER %s@'10.1.%%' IDENTIFIED BY 'x' {demands}", bench.clone)
    bench.own("CREATE USER %s@'10.1.%%' IDENTIFIED BY 'y' REQUIRE SSL", bench.app)
    bench.rotate()
    columns = "ssl_type, x509_subject, x509_issuer, ssl_cipher, max_questions, max_statement_time"
    [one, other] = [
        bench.own(f"SELECT {columns} FROM mysql.user WHERE Host = '10.1.%%' AND User = %s", user) for user in (bench.app, bench.clone)
    ]
    assert one == other
    assert "it's me" in str(one)


@pytest.mark.parametrize("name", ["we`ird'us\"er", "50%", "per%sent", "ünïcode", "back\\slash", "x" * 74])
def test_users_of_any_name_are_rotated_in_turn(server: MariaDb, bench: MySqlBench, name: str) -> None:
    server.create_app_user(name, PASSWORD, database=bench.database)
    bench.edit(APP, username=name)
    bench.app = name
    for _ in range(2):
        bench.rotate()
        assert bench.can_login(bench.current)
    assert bench.current.username == name
    for user in (name, f"{name}_clone"):
        server.execute("DROP USER %s@'%%'", user)


def test_a_name_that_leaves_no_room_for_the_second_is_refused_before_a_version_is_written(bench: MySqlBench) -> None:
    bench.edit(APP, username="x" * 75)
    with pytest.raises(RotationError, match="80 characters"):
        bench.step(Step.CREATE, bench.store.start(APP))
    bench.edit(APP, engine="mysql", username="x" * 27)
    with pytest.raises(RotationError, match="32 characters"):
        bench.step(Step.CREATE, bench.store.start(APP))


def test_no_password_is_in_the_servers_log_of_all_statements(server: MariaDb, bench: MySqlBench, single: MySqlBench) -> None:
    secrets = [bench.current.password]
    for one in (bench, bench, bench, single, single):
        one.rotate()
        secrets.append(one.current.password)
    said = server.statements.read_text(errors="replace")
    assert "IDENTIFIED VIA mysql_native_password USING" in said
    assert "SET PASSWORD = " in said
    assert not [secret for secret in secrets[1:] if secret in said]
    assert ADMIN_PASSWORD in said, "the log does show what root has set in the clear"


def test_a_server_that_wants_to_see_passwords_judges_them(plugin_folder: Path) -> None:
    with MariaDb(plugins=plugin_folder, load=("simple_password_check",), settings={"simple-password-check-minimal-length": "0"}) as strict:
        for strategy in ("AlternatingUsers", "SingleUser"):
            for bench in made(strict, strategy, password=f"{string.ascii_letters}1-", admin_password=f"{string.ascii_letters}2-"):
                bench.rotate()
                assert bench.can_login(bench.current)
                bench.environ |= {"EXCLUDE_PUNCTUATION": "true"}
                error = bench.failure_of_set()
                assert error.kind is Kind.POLICY
                assert "password policy" in error.check
                assert bench.pending.password not in str(error)
                assert bench.can_login(bench.current)


def test_retiring_waits_for_a_step_that_is_at_work_and_gives_up_with_a_reason(bench: MySqlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "WAIT", 1.0)
    old_version = bench.current_version()
    bench.rotate()
    with bench.server.connect() as at_work, at_work.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", (f"keyturn/{bench.app}",))
        with pytest.raises(RotationError, match="another step") as refused:
            bench.step(Step.RETIRE, old_version)
    assert refused.value.kind is Kind.SERVER
    assert bench.can_login(bench.version(old_version))
    bench.step(Step.RETIRE, old_version)
    assert not bench.can_login(bench.version(old_version))


def test_the_lock_of_a_long_name_is_as_long_as_the_server_takes(bench: MySqlBench) -> None:
    name = "y" * 74
    bench.server.create_app_user(name, PASSWORD, database=bench.database)
    bench.edit(APP, username=name)
    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    assert not bench.can_login(bench.version(old_version))
    for user in (name, f"{name}_clone"):
        bench.own("DROP USER %s@'%%'", user)
