"""The common suite against real servers: `KEYTURN_LIVE_ORACLE=oracle://... pytest -m live tests/live -k oracle`.

Each variable names one server by URL. A test without its variable fails, and says so. Never run by make: no server of these can be had
from a package registry.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.live.servers import Db2, MySql, Oracle, Server, SqlServer, live
from tests.rotators.bench import BY_SUPERUSER, COMMON, IN_TURN, Bench, Capability
from tests.rotators.suite import EngineSuite

pytestmark = [pytest.mark.live, pytest.mark.timeout(3600)]


class OnARealServer(EngineSuite, complete=False):
    server: ClassVar[type[Server]]

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(self.server(), self.strategy, by_superuser=self.by_superuser, monkeypatch=monkeypatch, directory=tmp_path)


class TestMySqlOverlap(OnARealServer):
    """RETAIN CURRENT PASSWORD and DISCARD OLD PASSWORD."""

    server, capabilities, strategy = MySql, COMMON | {Capability.OVERLAP}, "Overlap"


class TestMySqlOverlapBySuperuser(OnARealServer):
    server, capabilities, strategy = MySql, BY_SUPERUSER | {Capability.OVERLAP}, "Overlap"


class TestMySqlSingleUser(OnARealServer):
    server, capabilities, strategy = MySql, COMMON, "SingleUser"


class TestMySqlAlternatingUsers(OnARealServer):
    server, capabilities, strategy = MySql, IN_TURN, "AlternatingUsers"


class TestSqlServerSingleUser(OnARealServer):
    server, capabilities, strategy = SqlServer, COMMON, "SingleUser"


class TestSqlServerAlternatingUsers(OnARealServer):
    server, capabilities, strategy = SqlServer, IN_TURN, "AlternatingUsers"


class TestOracleSingleUser(OnARealServer):
    server, capabilities, strategy = Oracle, COMMON, "SingleUser"


class TestOracleOverlap(OnARealServer):
    """Gradual password rollover: 19.12 and later."""

    server, capabilities, strategy = Oracle, COMMON | {Capability.OVERLAP}, "Overlap"


class TestOracleOverlapBySuperuser(OnARealServer):
    server, capabilities, strategy = Oracle, BY_SUPERUSER | {Capability.OVERLAP}, "Overlap"


class TestOracleAlternatingUsers(OnARealServer):
    server, capabilities, strategy = Oracle, IN_TURN, "AlternatingUsers"


class TestDb2SingleUser(OnARealServer):
    server, capabilities, strategy = Db2, BY_SUPERUSER, "SingleUser"


class TestDb2AlternatingUsers(OnARealServer):
    server, capabilities, strategy = Db2, BY_SUPERUSER | {Capability.OVERLAP}, "AlternatingUsers"
