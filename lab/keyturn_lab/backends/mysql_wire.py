"""A server that speaks MySQL 8's protocol, in memory: go-mysql-server, built once per user from its pinned Go module.

It stands in for MySQL where MariaDB cannot: logins with caching_sha2_password, and roles and grants as MySQL 8 writes them. It is not
MySQL: it has no ACCOUNT LOCK, no second password and no column grants, it does not know ALTER USER USER(), and it does not tell whose a
session is.
"""

import os
from pathlib import Path

from keyturn_lab.backends.mysql_client import MySqlServer
from keyturn_lab.controlplane.binaries import Module
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.go_programs import program
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess

PROGRAM = "keyturn-mysql-wire"
MODULE = Module(directory=Path(__file__).parent / "modules" / "mysql_wire", flags=("-ldflags=-s -w",), packages={PROGRAM: "."})


class MySqlWire(MySqlServer):
    """The server: `with MySqlWire(tls=...) as server:`. It has TLS always, since it offers caching_sha2_password with TLS only."""

    tls = True

    def __init__(self, *, tls: KeyPair) -> None:
        super().__init__()
        self._certificate = tls

    def _prepare(self) -> None:
        self._scratch = self._folder("mysql-wire")
        self._program = program(MODULE)

    @staticmethod
    def granted(database: str) -> str:
        """It knows no patterns."""
        return database

    def _launch(self) -> ChildProcess:
        self.port = free_port()
        command = [str(self._program), f"{self.host}:{self.port}", str(self._certificate.certificate), str(self._certificate.key)]
        return ChildProcess("mysql-wire", command, log=self._scratch / "log", env=os.environ | {"ROOT_PASSWORD": self._password})

    def _create_user(self, username: str, password: str, *, host: str) -> None:
        self.execute("CREATE USER %s@%s IDENTIFIED WITH caching_sha2_password BY %s", username, host, password)
