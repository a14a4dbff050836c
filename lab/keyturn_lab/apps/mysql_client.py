"""Logs in to MySQL or MariaDB over and over with the credential that its pod was given: `python -m keyturn_lab.apps.mysql_client`."""

import sys
from contextlib import suppress

from pymysql.connections import Connection
from pymysql.err import Error, MySQLError

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 3306
AUTHENTICATION = (1045, 3118, 4151)  # the password; an account that is locked, of MySQL and of MariaDB
NETWORK = (0, *range(2000, 3000))  # the driver's own numbers; 0: the connection is closed


class _Session:
    def __init__(self, login: Login) -> None:
        self._connection = Connection(
            host=login.host,
            port=login.port or PORT,
            user=login.user,
            password=login.password.encode(),
            database=login.database or None,
            ssl_disabled=True,
            connect_timeout=TIMEOUT,
            read_timeout=TIMEOUT,
            write_timeout=TIMEOUT,
        )

    def use(self) -> None:
        self._connection.query("SELECT 1")

    def close(self) -> None:
        with suppress(Error, OSError):  # the server was quicker
            self._connection.close()


def connect(login: Login) -> Session:
    """A connection that has logged in."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the server's number."""
    if isinstance(error, MySQLError):
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number in AUTHENTICATION:
            return "authentication"
        if number not in NETWORK:
            return f"server {number}"
    return "network"


DRIVER = Driver(name="mysql", connect=connect, errors=(MySQLError, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
