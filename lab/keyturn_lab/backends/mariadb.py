"""A real MariaDB on a loopback port, for as long as a `with` block lasts.

Its programs are Debian's (the package mariadb-server-core), its data is in a folder of its own, and it runs as an unprivileged user. With
`tls` it has a certificate; with `plugins` it loads what other packages bring, such as ed25519.
"""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyturn_lab.backends.binaries import Account
from keyturn_lab.backends.mysql_client import MySqlServer
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess
from keyturn_lab.serving import failure

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
        tls: KeyPair | None = None,
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
        self.log = Path()

    def _start(self) -> None:
        super()._start()
        self._root.unlink()

    @property
    def statements(self) -> Path:
        """The log of all statements, where the setting general-log is 1."""
        return self._data / "general.log"

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not there: apt-get install mariadb-server-core")
        scratch = self._folder("mariadb", open_to_all=True)
        self._account = Account.unprivileged()
        self._data = scratch / "data"
        self._data.mkdir(mode=0o700)
        self._account.own(self._data)
        self.log = scratch / "log"
        self._bootstrap()
        self._root = self._account.write(
            scratch / "root.sql", f"ALTER USER root@'127.0.0.1' IDENTIFIED BY '{self._password}';\nDROP USER root@localhost;\n".encode()
        )
        options = {"general-log-file": str(self.statements)}
        if self._certificate:
            options["ssl-cert"] = str(self._account.write(scratch / "server.crt", self._certificate.certificate.read_bytes()))
            options["ssl-key"] = str(self._account.write(scratch / "server.key", self._certificate.key.read_bytes()))
        if self._plugins:
            options |= {"plugin-dir": str(self._plugins), "plugin-load-add": ";".join(self._load)}
        self._settings = options | self._settings

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
