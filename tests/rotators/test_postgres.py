"""PostgreSQL through the common suite, with an admin who is no superuser: the one of docs/rotators/postgres.md."""

import uuid
from collections.abc import Iterator

import pytest
from tests.rotators.bench import COMMON, IN_TURN, SUPERUSER, Bench
from tests.rotators.postgres_sessions import Session, is_let_in
from tests.rotators.proxies import MortalProxy
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_lab.backends import Postgres
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"


class PostgresBench(Bench):
    """A database, its user and an admin of the least rights; names are unique, so that all tests share one server."""

    def __init__(self, pg: Postgres, life: Life, proxy: MortalProxy, *, strategy: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self._pg, database, app, admin = pg, f"bench_{mark}", f"app_{mark}", f"admin_{mark}"
        pg.create_app_user(app, PASSWORD, database=database)
        pg.create_admin(admin, ADMIN_PASSWORD, rotates=(app,))
        place: dict[str, object] = {"port": proxy.port}
        value = pg.secret(app, PASSWORD, dbname=database, masterarn=SUPERUSER) | place
        super().__init__(life, value, superuser=pg.secret(admin, ADMIN_PASSWORD) | place)
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        login = {"user": credential.username, "password": credential.password, "database": credential.database("?")}
        return is_let_in(lambda: self._pg.execute("SELECT 1", **login))

    def hold(self, credential: Credential) -> Session:
        return Session(self._pg.host, self._pg.port, credential)


def made(pg: Postgres, strategy: str) -> Iterator[PostgresBench]:
    life = Life()
    with MortalProxy(pg.host, pg.port, life=life) as proxy:
        yield PostgresBench(pg, life, proxy, strategy=strategy)


class OnPostgres(EngineSuite, complete=False):
    strides = (1, 1)

    @pytest.fixture
    def bench(self, pg: Postgres) -> Iterator[Bench]:
        for bench in made(pg, self.strategy):
            bench.strides = self.strides
            yield bench


class TestSingleUser(OnPostgres):
    capabilities, strategy = COMMON, "SingleUser"


class TestAlternatingUsers(OnPostgres):
    capabilities, strategy = IN_TURN, "AlternatingUsers"
    strides = (5, 5)
    """One statement is two or three packets, and users change places between the deaths, so that both directions are met. Every single
    request is met by SingleUser above, which has the same connection."""
