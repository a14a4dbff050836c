"""The lab's client program for directories, at Debian's OpenLDAP."""

import pytest
from ldap3.core.exceptions import LDAPBusyResult
from tests.host.test_ldap_suite import server
from tests.support.login_programs import client, until

from keyturn_lab.apps import ldap_client
from keyturn_lab.backends.openldap import OpenLdap
from keyturn_lab.ports import free_port

pytestmark = pytest.mark.host

__all__ = ["server"]  # a fixture

PASSWORD = "throw-away"


@pytest.fixture(scope="module")
def environ(server: OpenLdap) -> dict[str, str]:
    user = server.add_user("visitor", PASSWORD)
    return {"DB_HOST": server.host, "DB_PORT": str(server.port), "DB_USER": user, "DB_PASSWORD": PASSWORD, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="ldap_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_a_wrong_password_is_a_failure_of_authentication(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PASSWORD": "wrong"}, program="ldap_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


def test_a_server_that_is_away_is_a_failure_of_the_network(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PORT": str(free_port())}, program="ldap_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"


def test_what_else_a_directory_says_is_told_by_its_code() -> None:
    assert ldap_client.DRIVER.kind(LDAPBusyResult(result=51)) == "server 51"
