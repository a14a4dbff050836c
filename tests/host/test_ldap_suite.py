"""Debian's OpenLDAP through the common suite, with the least administrator of docs/rotators/ldap.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench
from tests.rotators.ldap_bench import ALTERNATING, COMMON, access_rules, ldap_bench
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.openldap import OpenLdap
from keyturn_lab.controlplane.certificates import Authority

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[OpenLdap]:
    install("slapd")
    certificate = authority.issue("server", common_name="slapd", hosts=["127.0.0.1"])
    with OpenLdap(tls=certificate, access=access_rules()) as running:
        yield running


class TestSingleUser(EngineSuite):
    """Without an administrator: the user changes its own password."""

    capabilities = COMMON

    @pytest.fixture
    def bench(self, server: OpenLdap) -> Iterator[Bench]:
        with ldap_bench(server, "SingleUser", superuser=False) as bench:
            yield bench


class TestAlternatingUsers(EngineSuite):
    capabilities = ALTERNATING

    @pytest.fixture
    def bench(self, server: OpenLdap) -> Iterator[Bench]:
        with ldap_bench(server, "AlternatingUsers", superuser=True) as bench:
            yield bench
