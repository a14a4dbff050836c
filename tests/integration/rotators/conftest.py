"""One PostgreSQL for all tests of this folder; it logs every statement, so that what must not be in its log can be looked for."""

from collections.abc import Iterator

import pytest
from tests.integration.rotators.worlds import Shop

from keyturn_lab.backends import Postgres


@pytest.fixture(scope="session")
def pg() -> Iterator[Postgres]:
    with Postgres(settings={"log_statement": "all", "log_connections": "on"}) as server:
        yield server


@pytest.fixture
def shop(pg: Postgres) -> Shop:
    return Shop(pg)
