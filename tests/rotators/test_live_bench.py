"""The bench of the live suite (tests/live), tried on a fake: what runs against real servers only shall not fail there by itself."""

from collections.abc import Iterator
from pathlib import Path

import ibm_db_dbi
import pytest
from tests.live.servers import Db2, LiveBench, live
from tests.rotators.bench import APP
from tests.rotators.db2_fake import AUTHORITIES, FakeDb2, FakeUser

from keyturn_rotators.rotation import ROTATION, Step

ADMIN = "p@ss/word"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDb2]:
    with FakeDb2() as running:
        monkeypatch.setattr(ibm_db_dbi, "connect", running.connect)
        monkeypatch.setenv("KEYTURN_LIVE_DB2", f"db2://admin:p%40ss%2Fword@127.0.0.1:{running.port}/ORDERS?ssl=false")
        running.users["admin"] = FakeUser(password=ADMIN, may=AUTHORITIES | {"rdsadmin"})
        yield running


@pytest.fixture
def bench(server: FakeDb2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LiveBench]:
    yield from live(Db2(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)


def test_a_user_of_its_own_is_rotated_and_retired(bench: LiveBench) -> None:
    old = bench.current_version()
    bench.rotate()
    assert bench.can_login(bench.current)
    bench.step(Step.RETIRE, old)
    assert not bench.can_login(bench.version(old))


def test_logins_and_statements_of_the_engine_are_counted_and_the_suites_own_are_not(bench: LiveBench) -> None:
    token = bench.store.start(APP)
    assert not bench.survives(ROTATION, token, ends_before=12)
    before = bench.life.requests
    assert bench.can_login(bench.current)
    assert bench.life.requests == before
    bench.steps(ROTATION, token)
    assert bench.life.requests > 12


def test_what_was_made_is_removed(server: FakeDb2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running = live(Db2(), "AlternatingUsers", by_superuser=True, monkeypatch=monkeypatch, directory=tmp_path)
    bench = next(running)
    bench.rotate()
    assert len(server.users) == 3
    assert next(running, None) is None
    assert set(server.users) == {"admin"}


def test_a_session_that_is_held_is_alive(bench: LiveBench) -> None:
    held = bench.hold(bench.current)
    assert held.is_alive()
    held.close()
