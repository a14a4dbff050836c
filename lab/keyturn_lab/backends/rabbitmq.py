"""A real RabbitMQ on loopback ports, for as long as a `with` block lasts.

Its programs are Debian's (the package rabbitmq-server), its data is in a folder of its own, it has a port mapper of its own (epmd), and it
runs as an unprivileged user. With `tls` it speaks TLS on two further ports.
"""

import base64
import json
import os
import shutil
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from keyturn_lab.backends.amqp_client import AmqpConnection, AmqpRefused
from keyturn_lab.backends.binaries import Account
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.parts import Server
from keyturn_lab.ports import free_ports
from keyturn_lab.processes import ChildProcess

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PORT_MAPPER = Path("/usr/bin/epmd")
ROOT = "root"
CLIENT_TIMEOUT = 30.0


class RabbitMq(Server):
    """A RabbitMQ server of our own: `with RabbitMq() as server:`."""

    ready_within = 120.0  # seconds; on a quiet machine it takes five
    stopped_within = 0.5  # the data is thrown away

    def __init__(self, *, tls: KeyPair | None = None) -> None:
        super().__init__()
        self.api_port = self.tls_port = self.tls_api_port = 0
        self._tls = tls
        self._attempt = ExitStack()

    def api(self, method: str, *path: str, **body: object) -> Any:
        """A request to the management API as root. Returns the answer's JSON, None where there is none."""
        login = base64.b64encode(f"{ROOT}:{self._password}".encode()).decode()
        request = urllib.request.Request(
            f"http://{self.host}:{self.api_port}/api/" + "/".join(quote(part, safe="") for part in path),
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=CLIENT_TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")

    def connect(self, user: str, password: str, *, vhost: str = "/") -> AmqpConnection:
        """A connection of an app. Raises AmqpRefused."""
        return AmqpConnection(self.host, self.port, user=user, password=password, vhost=vhost)

    def accepts(self, user: str, password: str) -> bool:
        """Whether a login with the password is let in."""
        try:
            self.connect(user, password).close()
        except AmqpRefused as refused:
            if refused.code != AmqpRefused.LOGIN:
                raise
            return False
        return True

    def create_app_user(self, name: str, password: str, *, tags: str = "") -> None:
        """Create a user who may use the queues of its name."""
        self.api("PUT", "users", name, password=password, tags=tags)
        self.api("PUT", "permissions", "/", name, configure=f"^{name}", write=".*", read=f"^{name}")

    def create_admin(self, name: str, password: str) -> None:
        """Create a user who may do what a rotation needs: an administrator, without a permission for any virtual host."""
        self.api("PUT", "users", name, password=password, tags="administrator")

    def secret(self, user: str, password: str, **fields: object) -> dict[str, object]:
        """A secret's value for a user, without TLS."""
        place = {"engine": "rabbitmq", "host": self.host, "port": self.port, "ssl": False}
        return place | {"username": user, "password": password} | fields

    def rights(self, user: str) -> dict[str, Any]:
        """All that a user may do, by the name of the list."""
        lists = {name: self.api("GET", "users", user, name) for name in ("permissions", "topic-permissions")}
        rows = {
            name: sorted(sorted((key, value) for key, value in row.items() if key != "user") for row in rows)
            for name, rows in lists.items()
        }
        found = self.api("GET", "users", user)
        return rows | {"tags": sorted(found["tags"]), "limits": found["limits"]}

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not there: apt-get install rabbitmq-server")
        self._cleanup.callback(self._attempt.close)

    def _launch(self) -> ChildProcess:
        """The server; its port mapper is started, in the place of an earlier attempt's."""
        self._attempt.close()
        account = Account.unprivileged()
        scratch = Path(tempfile.mkdtemp(prefix="keyturn-rabbitmq-"))
        self._attempt.callback(shutil.rmtree, scratch, ignore_errors=True)
        account.own(scratch)
        self.port, self.api_port, self.tls_port, self.tls_api_port, dist_port, mapper_port = free_ports(6)
        self._configure(scratch, account)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(scratch),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"keyturn{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(scratch / "mnesia"),
            "RABBITMQ_LOG_BASE": str(scratch / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(scratch / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(scratch / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(scratch / "pid"),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._mapper = ChildProcess("epmd", account.command(PORT_MAPPER), log=scratch / "epmd.log", env=environment, cwd=scratch)
        self._attempt.callback(self._mapper.stop)
        self._mapper.start()
        return ChildProcess("rabbitmq", account.command(PROGRAM), log=scratch / "log", env=environment, cwd=scratch)

    def _configure(self, scratch: Path, account: Account) -> None:
        settings = {
            "listeners.tcp.1": f"{self.host}:{self.port}",
            "management.tcp.ip": self.host,
            "management.tcp.port": str(self.api_port),
            "default_user": ROOT,
            "default_pass": self._password,
            "log.console.level": "warning",
            "disk_free_limit.absolute": "1MB",
        }
        files = {"plugins": b"[rabbitmq_management].\n"}
        if self._tls:
            files |= {"server.crt": self._tls.certificate.read_bytes(), "server.key": self._tls.key.read_bytes()}
            settings |= {"listeners.ssl.1": f"{self.host}:{self.tls_port}", "ssl_options.verify": "verify_none"}
            settings |= {"management.ssl.ip": self.host, "management.ssl.port": str(self.tls_api_port)}
            for prefix in ("ssl_options", "management.ssl"):
                settings |= {f"{prefix}.certfile": f"{scratch}/server.crt", f"{prefix}.keyfile": f"{scratch}/server.key"}
        files["rabbitmq.conf"] = "".join(f"{name} = {value}\n" for name, value in settings.items()).encode()
        for name, content in files.items():
            account.write(scratch / name, content)

    def _answers(self) -> bool:
        self._mapper.check()
        try:
            self.api("GET", "overview")
            return self.accepts(ROOT, self._password)
        except (HTTPError, URLError, OSError, AmqpRefused):  # the API may answer before the port for clients is open
            return False
