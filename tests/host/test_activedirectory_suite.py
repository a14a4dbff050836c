"""Debian's Samba as a domain controller through the common suite, over verified TLS, with the least administrator of the docs."""

import os
from collections.abc import Iterator

import pytest
from tests.rotators.activedirectory_bench import activedirectory_bench, add_administrator
from tests.rotators.bench import BY_SUPERUSER, Bench, Capability
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.samba import Samba
from keyturn_lab.controlplane.certificates import Authority

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


def domain(authority: Authority, *, grace_minutes: int) -> Samba:
    assert os.geteuid() == 0, "a domain controller needs namespaces: run this test as root"
    install("samba-ad-dc")
    install("samba-ad-provision")
    install("iproute2")
    certificate = authority.issue("server", common_name="dc1", hosts=["127.0.0.1"])
    return Samba(tls=certificate, authority=authority.certificate, grace_minutes=grace_minutes)


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Samba]:
    """Without a grace period: the suite wants to see the old password refused at once."""
    with domain(authority, grace_minutes=0) as running:
        add_administrator(running)
        yield running


class OverTls(EngineSuite, complete=False):
    """In a process that knows the server's authority."""

    @pytest.fixture
    def bench(
        self, server: Samba, authority: Authority, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Bench]:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
        other = Authority(tmp_path_factory.mktemp("other")).certificate
        with activedirectory_bench(server, self.strategy) as bench:
            monkeypatch.setattr(bench, "spoil_tls", lambda: monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(other)))
            yield bench


class TestSingleUser(OverTls):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"


class TestAlternatingUsers(OverTls):
    capabilities, strategy = BY_SUPERUSER | {Capability.OVERLAP}, "AlternatingUsers"
