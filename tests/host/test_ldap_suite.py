"""Debian's OpenLDAP through the common suite, with the least administrator of docs/rotators/ldap.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import BY_SUPERUSER, COMMON, Bench, Capability
from tests.rotators.ldap_bench import access_rules, ldap_bench
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.openldap import OpenLdap
from keyturn_lab.controlplane.certificates import Authority

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[OpenLdap]:
    install("slapd")
    certificate = authority.issue("server", common_name="slapd", hosts=["127.0.0.1"])
    with OpenLdap(tls=certificate, access=access_rules()) as running:
        yield running


class OnOpenLdap(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: OpenLdap) -> Iterator[Bench]:
        with ldap_bench(server, self.strategy, superuser=self.by_superuser) as bench:
            yield bench


class TestSingleUser(OnOpenLdap):
    """Without an administrator: the user changes its own password."""

    capabilities, strategy = COMMON, "SingleUser"


class TestAlternatingUsers(OnOpenLdap):
    capabilities, strategy = BY_SUPERUSER | {Capability.OVERLAP}, "AlternatingUsers"
