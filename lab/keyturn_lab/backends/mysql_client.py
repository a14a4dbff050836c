"""What the lab asks of its servers that speak MySQL's protocol: statements, users, admins, and the secrets that name them."""

import ssl
from typing import Any

from pymysql.connections import Connection
from pymysql.err import MySQLError

from keyturn_lab.parts import Server

CLIENT_TIMEOUT = 30.0
ROOT = "root"


class MySqlServer(Server):
    """A server at a loopback port, with a root whose password nobody else knows."""

    engine = "mysql"
    superuser = ROOT
    privileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX"  # of an application in its database
    admin_privileges = "CREATE USER"
    tls = False

    def __init__(self) -> None:
        super().__init__()
        self._password += "aA1-"  # one of each, for servers that judge passwords

    def connect(self, *, user: str = ROOT, password: str | None = None, database: str | None = None) -> Connection:
        """A connection that the caller closes; the server's certificate is not looked at."""
        return Connection(
            host=self.host,
            port=self.port,
            user=user,
            password=(password or self._password).encode(),
            database=database,
            ssl=_unverified() if self.tls else None,
            ssl_disabled=not self.tls,
            autocommit=True,
            connect_timeout=CLIENT_TIMEOUT,
            read_timeout=CLIENT_TIMEOUT,
        )

    def execute(
        self, sql: str, *params: object, user: str = ROOT, password: str | None = None, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement, by default as root; `%s` in it is the next of `params`."""
        with self.connect(user=user, password=password, database=database) as connection, connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> None:
        self.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(name)}")

    def create_app_user(self, username: str, password: str, *, database: str = "app", host: str = "%") -> None:
        """Create an ordinary user with the rights of an application in the database, which is created if it is not there."""
        self.create_database(database)
        self._create_user(username, password, host=host)
        self._grant(database, username, host=host)

    def create_admin(self, username: str, password: str, *, databases: tuple[str, ...] = ()) -> None:
        """Create the least admin that can rotate users of the databases in turn: it may pass on the rights of an application there."""
        self._create_user(username, password, host="%")
        self.execute(f"GRANT {self.admin_privileges} ON *.* TO %s@'%%'", username)
        self.execute("GRANT SELECT ON mysql.* TO %s@'%%'", username)
        for database in databases:
            self._grant(database, username, host="%", option=" WITH GRANT OPTION")

    def secret(self, username: str, password: str, **extra: object) -> dict[str, object]:
        """The value of a secret for a user, with the fields that AWS documents."""
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": username,
            "password": password,
            "dbname": "app",
            "ssl": self.tls,
        } | extra

    @staticmethod
    def granted(database: str) -> str:
        """The name of a database as GRANT takes it, where `_` and `%` stand for other characters."""
        return database.replace("_", "\\_").replace("%", "\\%")

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (MySQLError, OSError):
            return False
        return True

    def _grant(self, database: str, username: str, *, host: str, option: str = "") -> None:
        where = quoted(self.granted(database)).replace("%", "%%")
        self.execute(f"GRANT {self.privileges} ON {where}.* TO %s@%s{option}", username, host)

    def _create_user(self, username: str, password: str, *, host: str) -> None:
        self.execute("CREATE USER %s@%s IDENTIFIED BY %s", username, host, password)


def quoted(name: str) -> str:
    """A name as SQL."""
    return "`" + name.replace("`", "``") + "`"


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
