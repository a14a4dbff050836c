"""A secret, its user in a database of its own and the least admin, on any of the lab's servers that speak MySQL's protocol."""

import uuid
from collections.abc import Iterator
from contextlib import suppress

from pymysql.err import Error, MySQLError, OperationalError
from tests.rotators.bench import SUPERUSER, Bench, Held
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.mysql_client import MySqlServer
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"
REFUSED = (1045, 2012, 3118, 4151)  # the password, no such user (go-mysql-server), an account that is locked (MySQL, MariaDB)


class Session(Held):
    """A connection of the application, not by way of the proxy."""

    def __init__(self, server: MySqlServer, credential: Credential) -> None:
        self._connection = server.connect(user=credential.username, password=credential.password)

    def is_alive(self) -> bool:
        try:
            self._connection.query("SELECT 1")
        except MySQLError:
            return False
        return True

    def close(self) -> None:
        with suppress(Error):  # it was ended
            self._connection.close()


class MySqlBench(Bench):
    """Names are unique, so that all tests share one server."""

    def __init__(
        self,
        server: MySqlServer,
        life: Life,
        proxy: MortalProxy,
        *,
        strategy: str,
        password: str = PASSWORD,
        admin_password: str = ADMIN_PASSWORD,
    ) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server = server
        self.database, self.app, self.admin = f"bench_{mark}", f"app_{mark}", f"admin_{mark}"
        server.create_app_user(self.app, password, database=self.database)
        server.create_admin(self.admin, admin_password, databases=(self.database,))
        place: dict[str, object] = {"port": proxy.port}
        value = server.secret(self.app, password, dbname=self.database) | place
        if strategy == "AlternatingUsers":
            value["masterarn"] = SUPERUSER
        super().__init__(life, value, superuser=server.secret(self.admin, admin_password) | place)
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    def can_login(self, credential: Credential) -> bool:
        try:
            self.server.execute("SELECT 1", user=credential.username, password=credential.password, database=self.database)
        except OperationalError as refused:
            if refused.args[0] not in REFUSED:
                raise
            return False
        return True

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential)

    def own(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        """Run a statement as root."""
        return self.server.execute(sql, *params)


def made(server: MySqlServer, strategy: str, *, kind: type[MySqlBench] = MySqlBench, **passwords: str) -> Iterator[MySqlBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield kind(server, life, proxy, strategy=strategy, **passwords)
