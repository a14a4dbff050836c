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

USER, ANOTHER = "visitor", "guest"
PASSWORD = "throw-away"


@pytest.fixture(scope="module")
def by_key(server: OpenSsh) -> dict[str, str]:
    private, public = new_key()
    server.add_account(USER, keys=f"{public}\n")
    return environ(server, USER, private)


@pytest.fixture(scope="module")
def by_password(server: OpenSsh) -> dict[str, str]:
    server.add_account(ANOTHER, password=PASSWORD)
    return environ(server, ANOTHER, PASSWORD)


def environ(server: OpenSsh, user: str, credential: str) -> dict[str, str]:
    return {"DB_HOST": server.host, "DB_PORT": str(server.port), "DB_USER": user, "DB_PASSWORD": credential, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("given", ["by_key", "by_password"])
@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(request: pytest.FixtureRequest, given: str, options: list[str]) -> None:
    with client(*options, environ=request.getfixturevalue(given), program="ssh_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


@pytest.mark.parametrize(("given", "other"), [("by_key", new_key()[0]), ("by_password", "wrong")], ids=["key", "password"])
def test_what_is_not_the_accounts_is_a_failure_of_authentication(request: pytest.FixtureRequest, given: str, other: str) -> None:
    with client(environ=request.getfixturevalue(given) | {"DB_PASSWORD": other}, program="ssh_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


def test_a_server_that_is_away_is_a_failure_of_the_network(by_password: dict[str, str]) -> None:
    with client(environ=by_password | {"DB_PORT": str(free_port())}, program="ssh_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"


def test_a_channel_that_is_not_granted_is_told_by_its_code() -> None:
    assert ssh_client.DRIVER.kind(paramiko.ChannelException(4, "Resource shortage")) == "server 4"
