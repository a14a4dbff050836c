"""MariaDB through the common suite, with the least admin of docs/rotators/mysql.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench, Capability
from tests.rotators.mysql_benches import made
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.mariadb import MariaDb

pytestmark = pytest.mark.host
COMMON = frozenset({Capability.HOST, Capability.TLS, Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    install("mariadb-server-core")
    with MariaDb() as running:
        yield running


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, server: MariaDb) -> Iterator[Bench]:
        yield from made(server, "SingleUser")


class TestAlternatingUsers(EngineSuite):
    capabilities = COMMON | {Capability.SUPERUSER, Capability.OVERLAP, Capability.SESSIONS}

    @pytest.fixture
    def bench(self, server: MariaDb) -> Iterator[Bench]:
        yield from made(server, "AlternatingUsers")
