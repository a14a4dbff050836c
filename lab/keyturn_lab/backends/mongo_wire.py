"""A server that speaks MongoDB's protocol, on SQLite: FerretDB 1.24, built once per user from its pinned Go module.

It stands in for MongoDB and DocumentDB, neither of which is to be had as a package: users, passwords, SCRAM logins and refusals are real.
It is neither of the two: it has no roles, so that every user may do everything, no restrictions of where a user comes from, and it ends
nobody's sessions.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from keyturn_lab.controlplane.binaries import Module
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.go_programs import program
from keyturn_lab.parts import Server
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess

PROGRAM = "keyturn-mongo-wire"
# Without its back end for PostgreSQL, which takes as long to compile as the rest.
FLAGS = ("-tags=ferretdb_no_postgresql", "-ldflags=-s -w")
MODULE = Module(directory=Path(__file__).parent / "modules" / "mongo_wire", flags=FLAGS, packages={PROGRAM: "."})
CLIENT_TIMEOUT = 30_000  # milliseconds
ROOT = "root"
DATABASE = "admin"


class MongoWire(Server):
    """The server: `with MongoWire() as server:`. With `tls`, it takes TLS only."""

    superuser = ROOT

    def __init__(self, *, tls: KeyPair | None = None, replica_set: str = "") -> None:
        """`replica_set`: the name of the set of which it says that it is the only member."""
        super().__init__()
        self._certificate = tls
        self._replica_set = replica_set

    def connect(self, *, user: str = ROOT, password: str | None = None) -> MongoClient[dict[str, Any]]:
        """A client that the caller closes; the server's certificate is not looked at."""
        tls: dict[str, Any] = {"tls": True, "tlsAllowInvalidCertificates": True} if self._certificate else {}
        return MongoClient(
            self.host,
            self.port,
            username=user,
            password=password or self._password,
            directConnection=True,
            serverSelectionTimeoutMS=CLIENT_TIMEOUT,
            socketTimeoutMS=CLIENT_TIMEOUT,
            **tls,
        )

    def run(self, command: str, value: object, *, user: str = ROOT, password: str | None = None, **fields: object) -> dict[str, Any]:
        """Run one command in the database of the users, by default as root."""
        with self.connect(user=user, password=password) as client:
            return client[DATABASE].command({command: value, **fields})

    def create_user(self, username: str, password: str) -> None:
        self.run("createUser", username, pwd=password, roles=[])

    def secret(self, username: str, password: str, **extra: object) -> dict[str, object]:
        """The value of a secret for a user, with the fields that AWS documents."""
        return {
            "engine": "mongo",
            "host": self.host,
            "port": self.port,
            "username": username,
            "password": password,
            "ssl": self._certificate is not None,
        } | extra

    def _prepare(self) -> None:
        self._scratch = self._folder("mongo-wire")
        self._program = program(MODULE)

    def _launch(self) -> ChildProcess:
        self.port = free_port()
        data = tempfile.mkdtemp(prefix="data-", dir=self._scratch)
        arguments = [f"{self.host}:{self.port}", data]
        if self._certificate:
            arguments += [str(self._certificate.certificate), str(self._certificate.key)]
        environ = os.environ | {"ROOT_PASSWORD": self._password, "REPLICA_SET": self._replica_set}
        return ChildProcess("mongo-wire", [str(self._program), *arguments], log=self._scratch / "log", env=environ)

    def _answers(self) -> bool:
        try:
            self.run("ping", 1)
        except PyMongoError:
            return False
        return True
