"""MariaDB over TLS: verified unless the secret says `"ssl": false`; and the back end itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.err import OperationalError
from tests.rotators.bench import APP
from tests.rotators.mysql_benches import MySqlBench, made
from tests.support.debian import install
from tests.support.orphans import ends_with_its_owner

from keyturn_lab.backends.mariadb import MariaDb
from keyturn_lab.controlplane.certificates import Authority
from keyturn_lab.processes import ProcessFailed
from keyturn_rotators.errors import Kind
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host
STRATEGIES = ("SingleUser", "AlternatingUsers")


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[MariaDb]:
    """It takes connections with TLS only."""
    install("mariadb-server-core")
    with MariaDb(tls=authority.issue("server", common_name="mariadb", hosts=["127.0.0.1"]), plaintext=False) as running:
        yield running


@pytest.fixture(params=STRATEGIES)
def bench(request: pytest.FixtureRequest, server: MariaDb, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[MySqlBench]:
    """Secrets that say nothing of `ssl`, which means TLS, in a process that knows our authority."""
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    for bench in made(server, request.param):
        for secret in bench.store.values:
            bench.edit(secret, ssl=None)
        yield bench


def test_users_that_must_come_with_tls_are_rotated_over_verified_tls(bench: MySqlBench) -> None:
    bench.own("ALTER USER %s@'%%' REQUIRE SSL", bench.app)
    for _ in range(3):
        bench.rotate()
        assert bench.can_login(bench.current)
    bench.step(Step.RETIRE, list(bench.store.values[APP])[-2])
    assert bench.can_login(bench.current)


def test_a_server_of_an_authority_that_is_not_ours_is_refused(bench: MySqlBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(Authority(tmp_path).certificate))
    error = bench.failure_of_set()
    assert error.kind is Kind.TLS
    assert "KEYTURN_CA_BUNDLE" in error.check


def test_without_a_bundle_only_the_systems_authorities_and_amazons_count(bench: MySqlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_CA_BUNDLE")
    assert bench.failure_of_set().kind is Kind.TLS


def test_a_certificate_for_another_host_is_refused(bench: MySqlBench) -> None:
    for secret in bench.store.values:
        bench.edit(secret, host="localhost")
    error = bench.failure_of_set()
    assert error.kind is Kind.TLS
    assert "localhost" in str(error)


def test_plaintext_is_refused_by_the_server_and_told_as_such(bench: MySqlBench) -> None:
    for secret in bench.store.values:
        bench.edit(secret, ssl=False)
    error = bench.failure_of_set()
    assert error.kind is Kind.AUTHENTICATION, "MariaDB says no more than that access is denied"
    assert "without TLS" in error.check


def test_a_server_without_tls_gets_no_password_unless_the_secret_says_ssl_false() -> None:
    install("mariadb-server-core")
    with MariaDb(settings={"general-log": "1"}) as plain:
        for strategy in STRATEGIES:
            for bench in made(plain, strategy):
                bench.rotate()
                bench.edit(APP, ssl=None)
                error = bench.failure_of_set()
                assert error.kind is Kind.TLS
                assert '"ssl": false' in error.check


def test_two_servers_run_at_once_and_leave_neither_processes_nor_files() -> None:
    install("mariadb-server-core")
    with MariaDb() as first, MariaDb() as second:
        assert first.port != second.port
        assert first.execute("SELECT 1") == second.execute("SELECT 1") == [(1,)]
        pid = int((first.log.parent / "data" / "pid").read_text())
        data = first.log.parent
    assert not data.exists()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(OperationalError):
        first.execute("SELECT 1")


def test_a_server_that_does_not_start_names_its_log() -> None:
    install("mariadb-server-core")
    with pytest.raises(ProcessFailed) as failed, MariaDb(settings={"no-such-setting": "1"}):
        pytest.fail("it started")
    assert "no-such-setting" in str(failed.value)
    log = Path(str(failed.value).split("its log is ")[1].split(",")[0])
    assert "no-such-setting" in log.read_text()
    log.unlink()


def test_a_server_ends_with_a_process_that_is_killed_in_its_block() -> None:
    install("mariadb-server-core")
    ends_with_its_owner("mariadb", "MariaDb", pid_file="pid")
