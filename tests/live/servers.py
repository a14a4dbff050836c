"""Real servers, each named by a variable as URL, and what the common suite needs of them: a user of its own, made by the URL's user.

What the engine asks of the server is counted at its session, and not by a proxy between, whose address no certificate would be for.
"""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tests.rotators.bench import SUPERUSER, Bench, Held
from tests.unit.rotators.stores import Life

from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines import db2, mysql, oracle, sqlserver  # noqa: F401  # so that a driver that is not there is told at once
from keyturn_rotators.engines.db2 import connection as db2_connection
from keyturn_rotators.engines.mysql import connection as mysql_connection
from keyturn_rotators.engines.oracle import connection as oracle_connection
from keyturn_rotators.engines.sqlserver import connection as sqlserver_connection
from keyturn_rotators.errors import RotationError

PASSWORD = "First-password-0f-the-app"
SECONDS = 120.0


class Server(ABC):
    """One kind of server."""

    engine: str
    connection: Any  # the engine's module of that name
    harmless: str  # a statement that everybody may run
    longest_password = 100
    forbidden = ""

    @property
    def variable(self) -> str:
        return f"KEYTURN_LIVE_{self.engine.upper()}"

    def place(self) -> dict[str, object]:
        """The superuser's secret. Fails the test where the variable is not set."""
        url = os.environ.get(self.variable)
        if not url:
            pytest.fail(f"{self.variable} is not set: it names the server, as {self.engine}://user:password@host:port/database?ssl=true")
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        found: dict[str, object] = {"engine": self.engine, "host": parts.hostname, "ssl": query.get("ssl", ["true"])[0] != "false"}
        found |= {"port": parts.port} if parts.port else {}
        found |= {"dbname": parts.path.strip("/")} if parts.path.strip("/") else {}
        return found | {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}

    def session(self, fields: dict[str, object], **more: object) -> Any:
        return self.connection.Session(Credential(fields, secret="live"), deadline=Deadline.after(SECONDS), **more)

    def name(self) -> str:
        return f"keyturn_live_{secrets.token_hex(3)}"

    @abstractmethod
    def create(self, admin: dict[str, object], name: str, strategy: str) -> None:
        """Make the user, as somebody does for an application."""

    @abstractmethod
    def drop(self, admin: dict[str, object], name: str) -> None:
        """Drop the user and its clone."""


class MySql(Server):
    """MySQL 8: dual passwords above all, of which there is a fake besides."""

    engine, connection, harmless = "mysql", mysql_connection, "SELECT 1"

    def create(self, admin: dict[str, object], name: str, strategy: str) -> None:
        with self.session(admin) as session:
            session.run("CREATE USER %s@'%%' IDENTIFIED BY %s", name, PASSWORD, secret=True)
            if admin.get("dbname"):
                session.run(f"GRANT SELECT ON `{admin['dbname']}`.* TO %s@'%%'", name)
            if strategy == "Overlap":
                session.run("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO %s@'%%'", name)

    def drop(self, admin: dict[str, object], name: str) -> None:
        with self.session(admin) as session:
            for user in (name, f"{name}_clone"):
                session.run("DROP USER IF EXISTS %s@'%%'", user)


class SqlServer(Server):
    engine, connection, harmless = "sqlserver", sqlserver_connection, "SELECT 1"

    def create(self, admin: dict[str, object], name: str, strategy: str) -> None:
        with self.session(admin, database=str(admin.get("dbname", "master"))) as session:
            session.run(f"CREATE LOGIN [{name}] WITH PASSWORD = '{PASSWORD}'", secret=True)
            session.run(f"CREATE USER [{name}] FOR LOGIN [{name}]")
            session.run(f"ALTER ROLE db_datareader ADD MEMBER [{name}]")

    def drop(self, admin: dict[str, object], name: str) -> None:
        with self.session(admin, database=str(admin.get("dbname", "master"))) as session:
            for user in (name, f"{name}_clone"):
                session.run(f"DROP USER IF EXISTS [{user}]")
                session.run(f"IF SUSER_ID('{user}') IS NOT NULL DROP LOGIN [{user}]")


class Oracle(Server):
    engine, connection, harmless = "oracle", oracle_connection, "SELECT SYSDATE FROM dual"
    longest_password, forbidden = 30, '"'

    def name(self) -> str:
        return super().name().upper()

    def create(self, admin: dict[str, object], name: str, strategy: str) -> None:
        with self.session(admin) as session:
            session.run(f'CREATE USER "{name}" IDENTIFIED BY "{PASSWORD}"', secret=True)
            session.run(f'GRANT CREATE SESSION TO "{name}"')
            if strategy == "Overlap":
                session.run(f'CREATE PROFILE "{name}" LIMIT PASSWORD_ROLLOVER_TIME 1')
                session.run(f'ALTER USER "{name}" PROFILE "{name}"')

    def drop(self, admin: dict[str, object], name: str) -> None:
        with self.session(admin) as session:
            for statement in (f'DROP USER "{name}" CASCADE', f'DROP USER "{name}_CLONE" CASCADE', f'DROP PROFILE "{name}" CASCADE'):
                with suppress(RotationError):  # it was never made
                    session.run(statement)


class Db2(Server):
    engine, connection, harmless = "db2", db2_connection, "VALUES CURRENT TIMESTAMP"
    forbidden = ";{}"

    def name(self) -> str:
        return f"kt{secrets.token_hex(3)}"  # with its clone, not longer than 16 characters

    def create(self, admin: dict[str, object], name: str, strategy: str) -> None:
        with self.session(admin, database="rdsadmin") as rds, self.session(admin) as session:
            rds.run("CALL rdsadmin.add_user(?, ?, ?)", name, PASSWORD, "", secret=True)
            session.run(f'GRANT CONNECT ON DATABASE TO USER "{name.upper()}"')

    def drop(self, admin: dict[str, object], name: str) -> None:
        with self.session(admin, database="rdsadmin") as rds:
            for user in (name, f"{name}_clone"):
                with suppress(RotationError):  # it was never made
                    rds.run("CALL rdsadmin.remove_user(?)", user)


class LiveBench(Bench):
    """A user of its own on a real server; the URL's user is the superuser."""

    strides = (7, 5)  # a server that is far away is slow

    def __init__(self, server: Server, life: Life, admin: dict[str, object], *, name: str, strategy: str, by_superuser: bool) -> None:
        self.server = server
        self.counting = True
        self.longest_password, self.forbidden = server.longest_password, server.forbidden
        value = admin | {"username": name, "password": PASSWORD} | ({"masterarn": SUPERUSER} if by_superuser else {})
        super().__init__(life, value, superuser=admin)
        self.environ = {"KEYTURN_STRATEGY": strategy}
        self.stranger: Path | None = None

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        self.counting = False
        try:
            yield
        finally:
            self.counting = True

    def can_login(self, credential: Credential) -> bool:
        """By the engine's own session: that this tells a refusal from anything else is what its driver's tests are for."""
        with self.uncounted():
            taken: bool = self.server.connection.logs_in(credential, deadline=Deadline.after(SECONDS))
        return taken

    def hold(self, credential: Credential) -> Held:
        return Connection(self, credential)

    def spoil_tls(self) -> None:
        """Where there is TLS, its authority becomes one that nobody knows; where there is none, it is asked for."""
        super().spoil_tls()
        assert self.stranger is not None
        os.environ["KEYTURN_CA_BUNDLE"] = str(self.stranger)


class Connection(Held):
    """A session that an application holds open."""

    def __init__(self, bench: LiveBench, credential: Credential) -> None:
        self._bench = bench
        with bench.uncounted():
            self._session = bench.server.connection.Session(credential, deadline=Deadline.after(600))

    def is_alive(self) -> bool:
        with self._bench.uncounted():
            try:
                self._session.run(self._bench.server.harmless)
            except RotationError:
                return False
            return True

    def close(self) -> None:
        self._session.close()


def live(server: Server, strategy: str, *, by_superuser: bool, monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[LiveBench]:
    """A bench, whose user is dropped in the end."""
    admin, life, name = server.place(), Life(), server.name()
    bench = LiveBench(server, life, admin, name=name, strategy=strategy, by_superuser=by_superuser)
    bench.stranger = Authority(directory).certificate
    if bundle := os.environ.get("KEYTURN_CA_BUNDLE"):
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", bundle)  # so that it is put back after `spoil_tls`
    else:
        monkeypatch.delenv("KEYTURN_CA_BUNDLE", raising=False)
    server.create(admin, name, strategy)
    with monkeypatch.context() as patched:
        _count(patched, server.connection.Session, bench)
        yield bench
    os.environ.pop("KEYTURN_CA_BUNDLE", None)
    if bundle:
        os.environ["KEYTURN_CA_BUNDLE"] = bundle
    server.drop(admin, name)


def _count(patched: pytest.MonkeyPatch, session: type, bench: LiveBench) -> None:
    """Each login and each statement is a request of the bench's life."""
    for method in ("__init__", "run", "call"):
        real = getattr(session, method, None)
        if real is not None:
            patched.setattr(session, method, _counted(real, bench))


def _counted(real: Any, bench: LiveBench) -> Any:
    def counted(*args: object, **options: object) -> object:
        if bench.counting:
            bench.life.request()
        return real(*args, **options)

    return counted
