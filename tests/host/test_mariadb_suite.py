"""MariaDB through the common suite, with the least admin of docs/rotators/mysql.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import COMMON, IN_TURN, Bench
from tests.rotators.mysql_benches import made
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.mariadb import MariaDb

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    install("mariadb-server-core")
    with MariaDb() as running:
        yield running


class OnMariaDb(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: MariaDb) -> Iterator[Bench]:
        yield from made(server, self.strategy)


class TestSingleUser(OnMariaDb):
    capabilities, strategy = COMMON, "SingleUser"


class TestAlternatingUsers(OnMariaDb):
    capabilities, strategy = IN_TURN, "AlternatingUsers"
