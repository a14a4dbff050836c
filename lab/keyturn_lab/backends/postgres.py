"""A real PostgreSQL on a loopback port, for as long as a `with` block lasts.

The server asks everybody for a SCRAM password, as a server in production does. The wheel's build has no TLS; with `binaries` another
installation is run, and with `tls` it gets a certificate.
"""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier, literal

from keyturn_lab.backends import binaries as programs
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.parts import Server
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess
from keyturn_lab.serving import failure

SUPERUSER = "postgres"
CLIENT_TIMEOUT = 30.0
INITDB = ("--auth=scram-sha-256", "--no-sync", "--no-instructions")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "200",
}
HBA = "{connection} all all 127.0.0.1/32 {method}\n"


class Postgres(Server):
    """A PostgreSQL server of our own: `with Postgres() as pg:`."""

    superuser = SUPERUSER

    def __init__(
        self,
        *,
        binaries: Path | None = None,
        settings: Mapping[str, str] | None = None,
        tls: KeyPair | None = None,
        plaintext: bool = True,
        method: str = "scram-sha-256",
    ) -> None:
        """`plaintext=False` refuses connections without TLS. `settings` are of postgresql.conf, `method` of pg_hba.conf."""
        super().__init__()
        self._binaries = binaries or programs.wheel()
        self._settings = SETTINGS | dict(settings or {})
        self._tls = tls
        self._plaintext = plaintext
        self._method = method
        self.log = Path()

    def execute(
        self, sql: str, *params: object, database: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None
    ) -> list[list[Any]]:
        """Run one statement, by default as superuser; `$1` in it is the first of `params`."""
        named = {f"p{number}": value for number, value in enumerate(params)}
        with Connection(
            user,
            password=password or self._password,
            host=self.host,
            port=self.port,
            database=database,
            timeout=CLIENT_TIMEOUT,
            ssl_context=None if self._tls else False,
        ) as connection:
            rows: list[list[Any]] | None = connection.run(sql, **named)
            return rows or []

    def create_database(self, name: str) -> None:
        """Create a database in which nobody but its owner may create objects in `public`."""
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = $1", name):
            self.execute(f"CREATE DATABASE {identifier(name)}")

    def create_app_user(self, username: str, password: str, *, database: str = "app") -> None:
        """Create an ordinary user with a schema of its own name in the database, which is created if it is not there."""
        self.create_database(database)
        self.execute(f"CREATE ROLE {identifier(username)} LOGIN PASSWORD {literal(password)}")
        self.execute(f"CREATE SCHEMA {identifier(username)} AUTHORIZATION {identifier(username)}", database=database)

    def create_admin(self, username: str, password: str, *, rotates: tuple[str, ...] = ()) -> None:
        """Create the least admin that can rotate the named users in turn: it may change them and let others in, and not act as them."""
        self.execute(f"CREATE ROLE {identifier(username)} LOGIN CREATEROLE PASSWORD {literal(password)}")
        for user in rotates:
            self.execute(f"GRANT {identifier(user)} TO {identifier(username)} WITH {self._admin_option()}")

    def secret(self, username: str, password: str, **extra: object) -> dict[str, object]:
        """The value of a secret for a user, with the fields that AWS documents."""
        return {
            "engine": "postgres",
            "host": self.host,
            "port": self.port,
            "username": username,
            "password": password,
            "dbname": "app",
            "ssl": False,
        } | extra

    def _admin_option(self) -> str:
        new = self.execute("SELECT current_setting('server_version_num')::int >= 160000")[0][0]
        return "ADMIN TRUE, INHERIT FALSE, SET FALSE" if new else "ADMIN OPTION"

    def _prepare(self) -> None:
        scratch = self._folder("postgres", open_to_all=True)
        self._account = programs.Account.unprivileged()
        self._binaries = programs.reachable(self._binaries, self._account, scratch)
        self._data = scratch / "data"
        self._data.mkdir(mode=0o700)
        self._account.own(self._data)
        self.log = scratch / "log"
        self._initdb(scratch / "superuser-password")
        self._configure()

    def _initdb(self, password_file: Path) -> None:
        self._account.write(password_file, self._password.encode())
        options = [f"--pgdata={self._data}", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", *INITDB]
        with self.log.open("ab") as log:
            finished = subprocess.run(
                self._account.command(self._binaries / "initdb", *options, f"--pwfile={password_file}"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                check=False,
            )
        password_file.unlink()
        if finished.returncode:
            raise failure("initdb failed", self.log)

    def _configure(self) -> None:
        connections = [name for name, wanted in (("hostssl", self._tls), ("hostnossl", self._plaintext)) if wanted]
        (self._data / "pg_hba.conf").write_text("".join(HBA.format(connection=name, method=self._method) for name in connections))
        if self._tls:
            self._settings |= {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
            for source, name in ((self._tls.certificate, "server.crt"), (self._tls.key, "server.key")):
                self._account.write(self._data / name, source.read_bytes())

    def _launch(self) -> ChildProcess:
        self.port = free_port()
        options = [f"-c{name}={value}" for name, value in (self._settings | {"port": str(self.port)}).items()]
        command = self._account.command(self._binaries / "postgres", "-D", str(self._data), *options)
        # SIGQUIT: at once, without a last checkpoint, because the data is thrown away.
        return ChildProcess("postgres", command, log=self.log, cwd=Path("/"), stop_signal=signal.SIGQUIT)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (InterfaceError, DatabaseError):
            return False
        return True
