"""The lab's client program for MySQL, at Debian's MariaDB."""

from collections.abc import Iterator

import pytest
from tests.support.debian import install
from tests.support.login_programs import client, until

from keyturn_lab.backends.mariadb import MariaDb

pytestmark = pytest.mark.host
USER, PASSWORD = "visitor", "throw-away"


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    install("mariadb-server-core")
    with MariaDb() as server:
        server.create_app_user(USER, PASSWORD)
        yield {
            "DB_HOST": server.host,
            "DB_PORT": str(server.port),
            "DB_USER": USER,
            "DB_PASSWORD": PASSWORD,
            "DB_NAME": "app",
            "POD_IP": "127.0.0.1",
        }


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="mysql_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_a_wrong_password_is_a_failure_of_authentication(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PASSWORD": "wrong"}, program="mysql_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")
