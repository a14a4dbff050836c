"""The lab's client program for MongoDB, against FerretDB."""

from collections.abc import Iterator

import pytest
from pymongo.errors import AutoReconnect, ConfigurationError, OperationFailure
from tests.support.login_programs import client, until

from keyturn_lab.apps import mongo_client
from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_lab.ports import free_port

pytestmark = pytest.mark.timeout(900)  # the first one builds the server
USER, PASSWORD = "visitor", "throw-away"


@pytest.fixture(scope="module")
def server() -> Iterator[MongoWire]:
    with MongoWire() as running:
        running.create_user(USER, PASSWORD)
        yield running


@pytest.fixture
def environ(server: MongoWire) -> dict[str, str]:
    server.run("updateUser", USER, pwd=PASSWORD)
    return {"DB_HOST": server.host, "DB_PORT": str(server.port), "DB_USER": USER, "DB_PASSWORD": PASSWORD, "POD_IP": "127.0.0.1"}


@pytest.mark.parametrize("options", [[], ["--pooled"]])
def test_logins_that_work_are_counted(environ: dict[str, str], options: list[str]) -> None:
    with client(*options, environ=environ, program="mongo_client") as running:
        until(lambda: running.get()[1].get("successes", 0) >= 3)
        assert running.stop()["failures"] == 0


def test_each_use_without_a_pool_is_a_login_and_one_of_a_pool_is_not(server: MongoWire, environ: dict[str, str]) -> None:
    with (
        client(environ=environ, program="mongo_client") as fresh,
        client("--pooled", environ=environ, program="mongo_client") as pooled,
    ):
        until(lambda: fresh.get("/healthz")[0] == pooled.get("/healthz")[0] == 200)
        server.run("updateUser", USER, pwd="changed")
        until(lambda: fresh.get("/healthz")[0] == 503)
        seen = pooled.get()[1]["successes"]
        until(lambda: pooled.get()[1]["successes"] >= seen + 3)
        assert fresh.stop()["last_error_kind"] == "authentication"
        assert pooled.stop()["failures"] == 0


def test_the_user_of_another_database_logs_in_there(server: MongoWire, environ: dict[str, str]) -> None:
    with server.connect() as root:
        root["orders"].command("createUser", "visitor_there", pwd=PASSWORD, roles=[])
    with client(environ=environ | {"DB_USER": "visitor_there", "DB_NAME": "orders"}, program="mongo_client") as running:
        until(lambda: running.get("/healthz")[0] == 200)


def test_a_server_that_is_away_is_a_failure_of_the_network(environ: dict[str, str]) -> None:
    with client(environ=environ | {"DB_PORT": str(free_port())}, program="mongo_client") as running:
        until(lambda: running.get()[1].get("failures", 0) >= 1)  # the driver looks for it for as long as it may
        assert running.get()[1]["last_error_kind"] == "network"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperationFailure("Authentication failed", 18), "authentication"),
        (OperationFailure("not authorized", 13), "server 13"),
        (AutoReconnect("closed"), "network"),
        (ConfigurationError("no such option"), "driver ConfigurationError"),
    ],
)
def test_what_mongodb_says_is_told_by_its_number(error: Exception, said: str) -> None:
    assert mongo_client.DRIVER.kind(error) == said
