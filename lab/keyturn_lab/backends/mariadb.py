"""A real MariaDB on a loopback port, for as long as a `with` block lasts.

Its programs are Debian's (the package mariadb-server-core), its data is in a folder of its own, and it runs as an unprivileged user. With
`tls` it has a certificate; with `plugins` it loads what other packages bring, such as ed25519.
"""

import shutil
import signal
import subprocess
import tempfile
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
from keyturn_lab.serving import failure, serving

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
SMALL = ("--no-defaults", "--skip-log-bin", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M")
SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",
    "innodb-flush-log-at-trx-commit": "0",
    "performance-schema": "0",
    "max-connections": "300",
}


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
        self._cleanup = ExitStack()
        self.log = Path()

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._cleanup.enter_context(serving(self._launch, answers=self._answers))
            self._root.unlink()
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

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not there: apt-get install mariadb-server-core")
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
            raise failure("the system's tables could not be made", self.log)

    def _launch(self) -> ChildProcess:
        self.port = free_port()
        files = [f"--datadir={self._data}", f"--socket={self._data}/socket", f"--pid-file={self._data}/pid", f"--init-file={self._root}"]
        options = [f"--{name}={value}" for name, value in (self._settings | {"port": str(self.port)}).items()]
        command = self._account.command(PROGRAM, *SMALL, *files, *options)
        # SIGKILL: at once, because the data is thrown away.
        return ChildProcess("mariadbd", command, log=self.log, cwd=Path("/"), stop_signal=signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (MySQLError, OSError):
            return False
        return True
