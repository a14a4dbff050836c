"""A server that speaks MySQL 8's protocol, in memory: go-mysql-server, built once per user from its pinned Go module.

It stands in for MySQL where MariaDB cannot: logins with caching_sha2_password, and roles and grants as MySQL 8 writes them. It is not
MySQL: it has no ACCOUNT LOCK, no second password and no column grants, it does not know ALTER USER USER(), and it does not tell whose a
session is.
"""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pymysql.err import MySQLError

from keyturn_lab.backends.mysql_client import Certificate, MySqlServer
from keyturn_lab.controlplane.binaries import Module, cache_root, complete, digest
from keyturn_lab.controlplane.build import build
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess, wait_until

PROGRAM = "keyturn-mysql-wire"
MODULE = Module(directory=Path(__file__).parent / "modules" / "mysql_wire", flags=("-ldflags=-s -w",), packages={PROGRAM: "."})
READY_WITHIN = 60.0  # seconds; on a quiet machine it takes a third of one


class MySqlWire(MySqlServer):
    """The server: `with MySqlWire(tls=...) as server:`. It has TLS always, since it offers caching_sha2_password with TLS only."""

    tls = True

    def __init__(self, *, tls: Certificate) -> None:
        super().__init__()
        self._certificate = tls
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    @staticmethod
    def granted(database: str) -> str:
        """It knows no patterns."""
        return database

    def _start(self) -> None:
        self.port = free_port()
        scratch = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-mysql-wire-")))
        arguments = [f"{self.host}:{self.port}", str(self._certificate.certificate), str(self._certificate.key)]
        process = ChildProcess(
            "mysql-wire", [str(program()), *arguments], log=scratch / "log", env=os.environ | {"ROOT_PASSWORD": self._password}
        )
        self._cleanup.callback(process.stop)
        process.start()
        wait_until(self._answers, timeout=READY_WITHIN, waiting_for=process)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (MySQLError, OSError):
            return False
        return True

    def _create_user(self, username: str, password: str, *, host: str) -> None:
        self.execute("CREATE USER %s@%s IDENTIFIED WITH caching_sha2_password BY %s", username, host, password)


def program() -> Path:
    """The server's program; built where the user's cache does not have it, which takes minutes."""
    directory = cache_root() / digest([MODULE])
    if not complete(directory, [MODULE]):
        build(directory, [MODULE])
    return directory / PROGRAM
