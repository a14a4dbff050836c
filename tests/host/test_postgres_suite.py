"""Debian's PostgreSQL, an older one, through the common suite: over verified TLS, and by the rules for memberships before PostgreSQL 16."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.test_postgres_tls import Authority, authority, binaries
from tests.rotators.bench import Capability
from tests.rotators.suite import EngineSuite
from tests.rotators.test_postgres import COMMON, PostgresBench, made

from keyturn_lab.backends import Postgres

pytestmark = pytest.mark.host

__all__ = ["authority", "binaries"]  # fixtures


@pytest.fixture(scope="module")
def pg(binaries: Path, authority: Authority) -> Iterator[Postgres]:
    with Postgres(binaries=binaries, tls=authority.certificate_for("127.0.0.1")) as server:
        yield server


class Tls(EngineSuite):
    """Secrets without `ssl`, which means TLS, in a process that knows the server's authority."""

    strategy: str

    @pytest.fixture
    def bench(self, pg: Postgres, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresBench]:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.bundle))
        other = Authority(tmp_path, "other").bundle
        for bench in made(pg, self.strategy):
            for secret in bench.store.values:
                bench.edit(secret, ssl=None)
            monkeypatch.setattr(bench, "spoil_tls", lambda: monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(other)))
            bench.strides = (23, 11)  # TLS has more packets, and the wheel's server has met every death
            yield bench


class TestSingleUserOnDebian(Tls):
    capabilities = COMMON
    strategy = "SingleUser"


class TestAlternatingUsersOnDebian(Tls):
    capabilities = COMMON | {Capability.SUPERUSER, Capability.OVERLAP, Capability.SESSIONS}
    strategy = "AlternatingUsers"


def test_the_server_is_one_that_knows_no_membership_options(pg: Postgres) -> None:
    assert pg.execute("SELECT current_setting('server_version_num')::int < 160000") == [[True]]
