"""A real MariaDB on a loopback port, for as long as a `with` block lasts.

Its programs are Debian's (the package mariadb-server-core), its data is in a folder of its own, and it runs as an unprivileged user. With
`tls` it has a certificate; with `plugins` it loads what other packages bring, such as ed25519.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pymysql.err import MySQLError

from keyturn_lab.backends.binaries import Account
from keyturn_lab.backends.mysql_client import Certificate, MySqlServer
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess

PROGRAM = Path("/usr/sbin/mariadbd")
SYSTEM_TABLES = tuple(
    Path("/usr/share/mysql") / name
    for name in (
        "mysql_system_tables.sql",
        "mysql_performance_tables.sql",
        "mysql_system_tables_data.sql",
        "maria_add_gis_sp_bootstrap.sql",
    )
)
READY_WITHIN = 60.0  # seconds; on a quiet machine it takes one
STOPPED_WITHIN = 10.0
START_ATTEMPTS = 3  # another program may take the free port before the server does
SMALL = ("--no-defaults", "--skip-log-bin", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M")
SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",
    "innodb-flush-log-at-trx-commit": "0",
    "performance-schema": "0",
    "max-connections": "300",
}


class MariaDbError(RuntimeError):
    """The server did not start; the message names its log."""


class MariaDb(MySqlServer):
    """A MariaDB server of our own: `with MariaDb() as server:`."""

    engine = "mariadb"
    admin_privileges = "CREATE USER, PROCESS, CONNECTION ADMIN"

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        tls: Certificate | None = None,
        plaintext: bool = True,
        plugins: Path | None = None,
        load: Sequence[str] = (),
    ) -> None:
        """`plaintext=False` refuses connections without TLS. `plugins` is the folder of the plugins that are named in `load`."""
        super().__init__()
        self._settings = SETTINGS | dict(settings or {})
        if not plaintext:
            self._settings["require-secure-transport"] = "1"
        self._certificate = tls
        self.tls = tls is not None
        self._plugins, self._load = plugins, tuple(load)
        self._process: ChildProcess | None = None
        self._cleanup = ExitStack()
        self.log = Path()

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    @property
    def statements(self) -> Path:
        """The log of all statements, where the setting general-log is 1."""
        return self._data / "general.log"

    def stop(self) -> None:
        """Stop the server at once; harmless when it is not running. Its clients are disconnected."""
        process, self._process = self._process, None
        if process is not None and process.running:
            os.kill(process.pid, signal.SIGKILL)  # the data is thrown away
            process.stop(grace=STOPPED_WITHIN)

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise MariaDbError(f"{PROGRAM} is not there: apt-get install mariadb-server-core")
        scratch = Path(tempfile.mkdtemp(prefix="keyturn-mariadb-"))
        self._cleanup.callback(shutil.rmtree, scratch, ignore_errors=True)
        scratch.chmod(0o755)
        self._account = Account.unprivileged()
        self._data = scratch / "data"
        self._data.mkdir(mode=0o700)
        self._account.own(self._data)
        self.log = scratch / "log"
        self._bootstrap()
        self._root = self._own_file(
            scratch / "root.sql", f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{self._password}';\nDROP USER root@localhost;\n".encode()
        )
        options = {"general-log-file": str(self.statements)}
        if self._certificate:
            options["ssl-cert"] = str(self._own_file(scratch / "server.crt", self._certificate.certificate.read_bytes()))
            options["ssl-key"] = str(self._own_file(scratch / "server.key", self._certificate.key.read_bytes()))
        if self._plugins:
            options |= {"plugin-dir": str(self._plugins), "plugin-load-add": ";".join(self._load)}
        self._settings = options | self._settings

    def _own_file(self, path: Path, content: bytes) -> Path:
        path.touch(mode=0o600)
        path.write_bytes(content)
        self._account.own(path)
        return path

    def _bootstrap(self) -> None:
        """Make the system's tables, as mariadb-install-db does with the same files."""
        statements = b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n" + b"".join(
            file.read_bytes() for file in SYSTEM_TABLES
        )
        command = self._account.command(PROGRAM, *SMALL, "--bootstrap", f"--datadir={self._data}")
        with self.log.open("ab") as log:
            finished = subprocess.run(command, input=statements, stdout=log, stderr=log, cwd="/", check=False)
        if finished.returncode:
            raise self._failure("the system's tables could not be made")

    def _start(self) -> None:
        self._cleanup.callback(self.stop)
        files = [f"--datadir={self._data}", f"--socket={self._data}/socket", f"--pid-file={self._data}/pid", f"--init-file={self._root}"]
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            options = [f"--{name}={value}" for name, value in (self._settings | {"port": str(self.port)}).items()]
            self._process = ChildProcess("mariadbd", self._account.command(PROGRAM, *SMALL, *files, *options), log=self.log, cwd=Path("/"))
            self._process.start()
            if self._ready(self._process):
                self._root.unlink()
                return
            if attempt == START_ATTEMPTS - 1 or "Address already in use" not in self.log.read_text(errors="replace"):
                raise self._failure("the server ended while it started")

    def _ready(self, process: ChildProcess) -> bool:
        deadline = time.monotonic() + READY_WITHIN
        while process.running:
            try:
                self.execute("SELECT 1")
            except (MySQLError, OSError):
                if time.monotonic() > deadline:
                    raise self._failure(f"the server was not ready within {READY_WITHIN:.0f} s") from None
                time.sleep(0.02)
            else:
                return True
        return False

    def _failure(self, what: str) -> MariaDbError:
        tail = self.log.read_text(errors="replace").splitlines()[-8:]
        kept = Path(tempfile.mkstemp(prefix="keyturn-mariadb-", suffix=".log")[1])
        shutil.copy(self.log, kept)
        return MariaDbError(f"{what}; its log is {kept}, which ends with:\n" + "\n".join(tail))
