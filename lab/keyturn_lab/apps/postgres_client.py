"""Logs in to PostgreSQL over and over with the credential that its pod was given: `python -m keyturn_lab.apps.postgres_client`."""

import sys
from contextlib import suppress

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT, DATABASE = 5432, "postgres"
AUTHENTICATION = ("28P01", "28000")


class _Session:
    def __init__(self, login: Login) -> None:
        self._connection = Connection(
            login.user,
            password=login.password,
            host=login.host,
            port=login.port or PORT,
            database=login.database or DATABASE,
            timeout=TIMEOUT,
            ssl_context=None,
        )

    def use(self) -> None:
        self._connection.run("SELECT 1")

    def close(self) -> None:
        with suppress(InterfaceError, OSError):  # the server was quicker
            self._connection.close()


def connect(login: Login) -> Session:
    """A connection that has logged in."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the SQLSTATE."""
    if isinstance(error, DatabaseError):
        state = error.args[0].get("C") if error.args and isinstance(error.args[0], dict) else None
        return "authentication" if state in AUTHENTICATION else f"server {state}"
    return "network"


DRIVER = Driver(name="postgres", connect=connect, errors=(DatabaseError, InterfaceError, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
