"""The client programs of the other back ends: what they count as a success, and what they call a failure."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql.err import InterfaceError, OperationalError
from redis.exceptions import ResponseError
from tests.support.login_programs import client, until

from keyturn_lab.apps import http_client, mysql_client, redis_client
from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_lab.backends.oauth_server import METADATA, OAuthServer
from keyturn_lab.backends.redis import Redis
from keyturn_lab.ports import free_port

WAYS = pytest.mark.parametrize("options", [[], ["--pooled"]])
PASSWORD = "throw-away"


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        server.create_app_user("visitor", PASSWORD)
        yield server


@pytest.fixture
def oauth() -> Iterator[OAuthServer]:
    with OAuthServer() as running:
        yield running


@pytest.fixture
def provider() -> Iterator[HttpProvider]:
    with HttpProvider(tls=False) as running:
        yield running


def environ(host: str, port: int, user: str, password: str) -> dict[str, str]:
    return {"DB_HOST": host, "DB_PORT": str(port), "DB_USER": user, "DB_PASSWORD": password, "POD_IP": "127.0.0.1", "POD_NAME": "p"}


@WAYS
def test_a_login_at_redis_counts(redis: Redis, options: list[str]) -> None:
    with client(*options, environ=environ(redis.host, redis.port, "visitor", PASSWORD), program="redis_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_redis_refuses_a_wrong_password(redis: Redis) -> None:
    with client(environ=environ(redis.host, redis.port, "visitor", "wrong"), program="redis_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 2)
        counts = running.stop()
    assert (counts["successes"], counts["last_error_kind"]) == (0, "authentication")


@WAYS
def test_a_key_counts_until_it_is_revoked(provider: HttpProvider, options: list[str]) -> None:
    key = provider.create_key("shop")
    with client(*options, environ=environ(provider.host, provider.port, key.id, key.secret), program="http_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.get()[1]["failures"] == 0
        provider.revoke(key.id)
        until(lambda: running.get("/healthz")[0] == 503)
        assert running.stop()["last_error_kind"] == "authentication"


def test_a_program_that_is_told_to_be_nice_is_so_among_all_sessions(provider: HttpProvider) -> None:
    key = provider.create_key("shop")
    with client("--nice=7", environ=environ(provider.host, provider.port, key.id, key.secret), program="http_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 2)
        pid = running.process.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
        sessions = Path(f"/proc/{pid}/autogroup")
        assert not sessions.exists() or sessions.read_text().endswith(" nice 7\n")


@WAYS
def test_a_clients_secret_counts_until_it_is_replaced(oauth: OAuthServer, options: list[str]) -> None:
    registered = oauth.register(**METADATA)
    secret = registered.secrets[0].value
    given = environ("", 0, registered.id, secret) | {"DB_HOST": oauth.token_endpoint}
    with client(*options, environ=given, program="oauth_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.get()[1]["failures"] == 0
        registered.secrets.clear()
        until(lambda: running.get("/healthz")[0] == 503)
        assert running.stop()["last_error_kind"] == "authentication"


@pytest.mark.parametrize("program", ["redis_client", "http_client", "mysql_client", "rabbitmq_client"])
def test_a_server_that_is_away_is_a_failure_of_the_network(program: str) -> None:
    with client(environ=environ("127.0.0.1", free_port(), "nobody", "nothing"), program=program) as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)
        assert running.stop()["last_error_kind"] == "network"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperationalError(1045, "Access denied"), "authentication"),
        (OperationalError(4151, "Access denied, this account is locked"), "authentication"),
        (OperationalError(2003, "Can't connect"), "network"),
        (OperationalError(1040, "Too many connections"), "server 1040"),
        (InterfaceError(0, ""), "network"),
    ],
)
def test_what_mysql_says_is_told_by_its_number(error: Exception, said: str) -> None:
    assert mysql_client.DRIVER.kind(error) == said


@pytest.mark.parametrize(("status", "said"), [(401, "authentication"), (503, "server 503")])
def test_what_a_provider_says_is_told_by_its_status(status: int, said: str) -> None:
    assert http_client.DRIVER.kind(http_client.Refused(status)) == said


def test_what_redis_says_is_told_without_its_text() -> None:
    assert redis_client.DRIVER.kind(ResponseError("OOM command not allowed")) == "server ResponseError"
