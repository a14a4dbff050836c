"""The lab's client program for RabbitMQ, at Debian's."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.support.debian import install
from tests.support.login_programs import client, until

from keyturn_lab.backends.rabbitmq import RabbitMq

pytestmark = pytest.mark.host
USER, PASSWORD = "visitor", "throw-away"


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMq]:
    install("rabbitmq-server")
    with RabbitMq() as running:
        yield running


@pytest.fixture
def environ(server: RabbitMq) -> dict[str, str]:
    server.create_app_user(USER, PASSWORD)
    return {"DB_HOST": server.host, "DB_PORT": str(server.port), "DB_USER": USER, "DB_PASSWORD": PASSWORD, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="rabbitmq_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_a_wrong_password_is_a_failure_of_authentication(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PASSWORD": "wrong"}, program="rabbitmq_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


def test_a_virtual_host_that_is_not_opened_is_a_failure_of_the_server(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_NAME": "elsewhere"}, program="rabbitmq_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "server 530"


def test_a_connection_that_is_kept_outlives_the_password_and_more_uses_than_it_may_have_channels(
    server: RabbitMq, environ: dict[str, str]
) -> None:
    with closing(server.connect(USER, PASSWORD)) as kept:
        server.api("PUT", "users", USER, password="changed", tags="")
        for _ in range(2100):  # 2047 channels is what the server allows
            kept.use()


def test_a_pool_is_not_let_in_again_with_the_old_password_once_its_connection_is_ended(server: RabbitMq, environ: dict[str, str]) -> None:
    with client("--pooled", environ=environ, program="rabbitmq_client") as running:
        until(lambda: running.get("/healthz")[0] == 200)
        server.api("PUT", "users", USER, password="changed", tags="")
        seen = running.get()[1]["successes"]
        until(lambda: running.get()[1]["successes"] >= seen + 3)
        server.api("DELETE", "users", USER)
        until(lambda: running.get("/healthz")[0] == 503)
        assert running.stop()["last_error_kind"] == "authentication"
