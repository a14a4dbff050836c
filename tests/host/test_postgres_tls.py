"""Rotations over TLS, which the wheel's PostgreSQL lacks: on Debian's, an older one besides."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.rotators.worlds import Shop
from tests.support.debian import install

from keyturn_lab.backends.postgres import Postgres
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.errors import Kind

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def binaries() -> Path:
    return install("postgresql").parent


@pytest.fixture(scope="module")
def server(binaries: Path, authority: Authority) -> Iterator[Postgres]:
    """It takes connections with TLS only, and notes all statements."""
    tls = authority.issue("server", common_name="postgres", hosts=["127.0.0.1"])
    with Postgres(binaries=binaries, tls=tls, plaintext=False, settings={"log_statement": "all"}) as running:
        yield running


@pytest.fixture
def shop(server: Postgres, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Secrets without `ssl`, which means TLS, in a process that knows our authority."""
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    shop = Shop(server)
    for secret in ("app", "superuser"):
        shop.set_value(secret, ssl=None)
    return shop


def test_two_users_are_rotated_in_turn_over_verified_tls_on_an_older_server_too(shop: Shop) -> None:
    users = []
    for number in range(4):
        before = shop.current
        users.append(shop.rotate().username)
        shop.use(f"CREATE TABLE {shop.app}.t{number} (a int)")
        shop.use(f"ALTER TABLE {shop.app}.t{number} ADD COLUMN b int", credential=before)
    assert users == [shop.clone, shop.app] * 2


def test_grants_are_made_equal_on_an_older_server_too(shop: Shop) -> None:
    shop.own("CREATE SCHEMA dba; CREATE TABLE dba.t (a int)")
    shop.own(f"CREATE ROLE dba_{shop.database}; GRANT dba_{shop.database} TO {shop.admin}")
    shop.own(f"ALTER SCHEMA dba OWNER TO dba_{shop.database}; ALTER TABLE dba.t OWNER TO dba_{shop.database}")
    shop.rotate()
    shop.own(f"GRANT USAGE ON SCHEMA dba TO {shop.clone}; GRANT SELECT ON dba.t TO {shop.clone}")
    assert shop.rotate().username == shop.app
    assert shop.use("SELECT a FROM dba.t") == []


def test_a_single_user_is_rotated_over_verified_tls(server: Postgres, shop: Shop) -> None:
    shop.environ = {"KEYTURN_STRATEGY": "SingleUser"}
    password = shop.rotate().password
    assert shop.use("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [[True]]
    assert password not in server.log.read_text(errors="replace")


def test_a_server_of_an_authority_that_is_not_ours_is_refused(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(Authority(tmp_path).certificate))
    error = shop.failure_of_set()
    assert error.kind is Kind.TLS
    assert "KEYTURN_CA_BUNDLE" in error.check


def test_without_a_bundle_only_the_systems_authorities_count(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_CA_BUNDLE")
    assert shop.failure_of_set().kind is Kind.TLS


def test_a_bundle_that_is_not_there_is_told_as_such(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    error = shop.failure_of_set()
    assert error.kind is Kind.TLS
    assert "not there" in str(error)


def test_a_certificate_for_another_host_is_refused(binaries: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    with Postgres(binaries=binaries, tls=authority.issue("impostor", common_name="postgres", hosts=["10.9.8.7"])) as impostor:
        shop = Shop(impostor)
        shop.set_value("app", ssl=True)
        shop.set_value("superuser", ssl=True)
        error = shop.failure_of_set()
    assert error.kind is Kind.TLS
    assert "127.0.0.1" in str(error)


def test_plaintext_is_refused_by_the_server_and_told_as_such(shop: Shop) -> None:
    for secret in ("app", "superuser"):
        shop.set_value(secret, ssl=False)
    error = shop.failure_of_set()
    assert error.kind is Kind.TLS
    assert "no encryption" in str(error)
    assert "the field ssl" in error.check
