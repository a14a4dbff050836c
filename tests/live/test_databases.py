"""The common suite against real servers: `KEYTURN_LIVE_ORACLE=oracle://... pytest -m live tests/live -k oracle`.

Each variable names one server by URL. A test without its variable fails, and says so. Never run by make: no server of these can be had
from a package registry.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.servers import Db2, MySql, Oracle, SqlServer, live
from tests.rotators.bench import Bench, Capability
from tests.rotators.suite import EngineSuite

pytestmark = [pytest.mark.live, pytest.mark.timeout(3600)]
COMMON = frozenset({Capability.HOST, Capability.TLS, Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})
BY_SUPERUSER = COMMON | {Capability.SUPERUSER}
IN_TURN = BY_SUPERUSER | {Capability.OVERLAP, Capability.SESSIONS}


class TestMySqlOverlap(EngineSuite):
    """RETAIN CURRENT PASSWORD and DISCARD OLD PASSWORD."""

    capabilities = COMMON | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(MySql(), "Overlap", by_superuser=False, monkeypatch=monkeypatch, directory=tmp_path)


class TestMySqlOverlapBySuperuser(EngineSuite):
    capabilities = BY_SUPERUSER | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(MySql(), "Overlap", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestMySqlSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(MySql(), "SingleUser", by_superuser=False, monkeypatch=monkeypatch, directory=tmp_path)


class TestMySqlAlternatingUsers(EngineSuite):
    capabilities = IN_TURN

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(MySql(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestSqlServerSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(SqlServer(), "SingleUser", by_superuser=False, monkeypatch=monkeypatch, directory=tmp_path)


class TestSqlServerAlternatingUsers(EngineSuite):
    capabilities = IN_TURN

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(SqlServer(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestOracleSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Oracle(), "SingleUser", by_superuser=False, monkeypatch=monkeypatch, directory=tmp_path)


class TestOracleOverlap(EngineSuite):
    """Gradual password rollover: 19.12 and later."""

    capabilities = COMMON | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Oracle(), "Overlap", by_superuser=False, monkeypatch=monkeypatch, directory=tmp_path)


class TestOracleOverlapBySuperuser(EngineSuite):
    capabilities = BY_SUPERUSER | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Oracle(), "Overlap", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestOracleAlternatingUsers(EngineSuite):
    capabilities = IN_TURN

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Oracle(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestDb2SingleUser(EngineSuite):
    capabilities = BY_SUPERUSER

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Db2(), "SingleUser", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


class TestDb2AlternatingUsers(EngineSuite):
    capabilities = BY_SUPERUSER | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
        yield from live(Db2(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)
