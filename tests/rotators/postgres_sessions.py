"""What an application does at a server of PostgreSQL's protocol: it is let in or refused, and holds a session open."""

from collections.abc import Callable

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection
from tests.rotators.bench import Held

from keyturn_rotators.credential import Credential

REFUSED = ("28P01", "28000")  # SQLSTATE: wrong password, may not log in


class Session(Held):
    """A connection of the application, not by way of a proxy: `port` is the server's own."""

    def __init__(self, host: str, port: int, credential: Credential) -> None:
        self._connection = Connection(
            credential.username,
            password=credential.password,
            host=host,
            port=port,
            database=credential.database("?"),
            ssl_context=False,
        )

    def run(self, sql: str) -> None:
        self._connection.run(sql)

    def is_alive(self) -> bool:
        try:
            self.run("SELECT 1")
        except (DatabaseError, InterfaceError, OSError):  # OSError: the server was gone before its farewell was read
            return False
        return True

    def close(self) -> None:
        try:
            self._connection.close()
        except (InterfaceError, OSError):
            return  # it was ended


def is_let_in(log_in: Callable[[], object]) -> bool:
    """Whether a login, which is tried, is taken. What is no refusal is raised."""
    try:
        log_in()
    except DatabaseError as refused:
        if refused.args[0]["C"] not in REFUSED:
            raise
        return False
    return True
