"""Which certificate authorities are trusted, and that Amazon RDS's are what they are said to be."""

import datetime
import re
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from keyturn_rotators import tls
from keyturn_rotators.errors import Kind, RotationError

SPARE = datetime.timedelta(days=365)


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tls.CA_BUNDLE, raising=False)


def rds_certificates() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(tls.rds_authorities().encode())


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


def test_server_and_host_name_are_verified_whatever_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(tls.rds_authorities())
    contexts = [tls.client_context(), tls.client_context(rds=True)]
    monkeypatch.setenv(tls.CA_BUNDLE, str(bundle))
    for context in [*contexts, tls.client_context()]:
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_rdss_authorities_are_trusted_besides_the_systems_and_only_where_asked_for() -> None:
    system, both = subjects(tls.client_context()), subjects(tls.client_context(rds=True))
    assert system < both
    assert any("Amazon RDS eu-west-1 Root CA RSA2048 G1" in subject for subject in both - system)


def test_a_file_that_is_named_is_trusted_instead_of_all_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    certificates = re.findall(r"-----BEGIN.*?END CERTIFICATE-----", tls.rds_authorities(), re.DOTALL)
    bundle.write_text(certificates[0])
    monkeypatch.setenv(tls.CA_BUNDLE, str(bundle))
    assert len(subjects(tls.client_context(rds=True))) == 1


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_is_missing_or_holds_none_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(tls.CA_BUNDLE, str(bundle))
    with pytest.raises(RotationError, match="cannot be read" if content else "not there") as refused:
        tls.client_context()
    assert refused.value.kind is Kind.TLS
    assert tls.CA_BUNDLE in refused.value.check


def test_without_the_bundle_the_system_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "RDS_BUNDLE", "data/not-there.pem")
    assert subjects(tls.client_context(rds=True)) == subjects(tls.client_context())


def test_each_of_rdss_certificates_is_a_self_signed_authority_of_rds_that_is_valid_for_a_year_to_come() -> None:
    certificates = rds_certificates()
    assert len(certificates) > 80
    now = datetime.datetime.now(datetime.UTC)
    for certificate in certificates:
        name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        assert str(name).startswith("Amazon RDS "), name
        assert certificate.issuer == certificate.subject, name
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, name
        assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc - SPARE, name


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-northeast-1", "sa-east-1", "me-central-1"])
@pytest.mark.parametrize("kind", ["RSA2048", "RSA4096", "ECC384"])
def test_every_kind_of_key_is_there_for_a_region(region: str, kind: str) -> None:
    names = {str(each.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for each in rds_certificates()}
    assert f"Amazon RDS {region} Root CA {kind} G1" in names
