"""The lab's client program for SSH, at Debian's OpenSSH."""

import paramiko
import pytest
from tests.host.test_ssh_suite import server
from tests.support.login_programs import client, until

from keyturn_lab.apps import ssh_client
from keyturn_lab.backends.openssh import OpenSsh, new_key
from keyturn_lab.ports import free_port

pytestmark = pytest.mark.host

__all__ = ["server"]  # a fixture

USER = "visitor"


@pytest.fixture(scope="module")
def environ(server: OpenSsh) -> dict[str, str]:
    private, public = new_key()
    server.add_account(USER, keys=f"{public}\n")
    return {"DB_HOST": server.host, "DB_PORT": str(server.port), "DB_USER": USER, "DB_PASSWORD": private, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="ssh_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_a_key_that_is_not_the_accounts_is_a_failure_of_authentication(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PASSWORD": new_key()[0]}, program="ssh_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


def test_a_server_that_is_away_is_a_failure_of_the_network(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PORT": str(free_port())}, program="ssh_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"


def test_a_channel_that_is_not_granted_is_told_by_its_code() -> None:
    assert ssh_client.DRIVER.kind(paramiko.ChannelException(4, "Resource shortage")) == "server 4"
