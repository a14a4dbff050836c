"""Rotations over TLS, which the wheel's PostgreSQL lacks: on Debian's, an older one besides."""

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.rotators.worlds import PASSWORD, Shop
from tests.support.debian import install

from keyturn_lab.backends.postgres import Postgres, Tls
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def binaries() -> Path:
    return install("postgresql").parent


class Authority:
    """A certificate authority of one test run."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.bundle = directory / f"{name}.pem"
        certificate = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.bundle.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def certificate_for(self, address: str) -> Tls:
        """A server's certificate for an IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        signed = self._builder(subject, key).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        files = Tls(certificate=self._directory / f"{address}.crt", key=self._directory / f"{address}.key")
        files.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return files

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def server(binaries: Path, authority: Authority) -> Iterator[Postgres]:
    """It takes connections with TLS only, and notes all statements."""
    tls = authority.certificate_for("127.0.0.1")
    with Postgres(binaries=binaries, tls=tls, plaintext=False, settings={"log_statement": "all"}) as running:
        yield running


@pytest.fixture
def shop(server: Postgres, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Secrets without `ssl`, which means TLS, in a process that knows our authority."""
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.bundle))
    shop = Shop(server)
    for secret in ("app", "superuser"):
        shop.set_value(secret, ssl=None)
    return shop


def failure_of_set(shop: Shop) -> RotationError:
    token = shop.store.start("app")
    shop.step(Step.CREATE, token)
    with pytest.raises(RotationError) as failed:
        shop.step(Step.SET, token)
    assert PASSWORD not in str(failed.value)
    return failed.value


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
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(Authority(tmp_path, "other").bundle))
    error = failure_of_set(shop)
    assert error.kind is Kind.TLS
    assert "KEYTURN_CA_BUNDLE" in error.check


def test_without_a_bundle_only_the_systems_authorities_count(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_CA_BUNDLE")
    assert failure_of_set(shop).kind is Kind.TLS


def test_a_bundle_that_is_not_there_is_told_as_such(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    error = failure_of_set(shop)
    assert error.kind is Kind.TLS
    assert "not there" in str(error)


def test_a_certificate_for_another_host_is_refused(binaries: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.bundle))
    with Postgres(binaries=binaries, tls=authority.certificate_for("10.9.8.7")) as impostor:
        shop = Shop(impostor)
        shop.set_value("app", ssl=True)
        shop.set_value("superuser", ssl=True)
        error = failure_of_set(shop)
    assert error.kind is Kind.TLS
    assert "127.0.0.1" in str(error)


def test_plaintext_is_refused_by_the_server_and_told_as_such(shop: Shop) -> None:
    for secret in ("app", "superuser"):
        shop.set_value(secret, ssl=False)
    error = failure_of_set(shop)
    assert error.kind is Kind.TLS
    assert "no encryption" in str(error)
    assert "the field ssl" in error.check
