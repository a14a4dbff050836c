"""The lab's client program for domains, at Debian's Samba."""

import pytest
from tests.host.test_activedirectory_suite import server
from tests.support.login_programs import client, until

from keyturn_lab.backends.samba import DOMAIN, Samba
from keyturn_lab.ports import free_port

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

__all__ = ["server"]  # a fixture

USER, PASSWORD = "visitor", "Throw-away-1"


@pytest.fixture(scope="module")
def environ(server: Samba) -> dict[str, str]:
    server.add_user(USER, PASSWORD)
    place = {"DB_HOST": server.host, "DB_PORT": str(server.tls_port), "DB_NAME": DOMAIN}
    return place | {"DB_USER": USER, "DB_PASSWORD": PASSWORD, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="activedirectory_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_a_wrong_password_is_a_failure_of_authentication(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PASSWORD": "wrong"}, program="activedirectory_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


def test_a_server_that_is_away_is_a_failure_of_the_network(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PORT": str(free_port())}, program="activedirectory_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"
