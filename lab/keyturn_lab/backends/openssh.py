"""A real OpenSSH server on a loopback port, for as long as a `with` block lasts.

Its programs are Debian's (openssh-server and sudo). It needs root, as sshd does to let others in; accounts, sudoers and logs are in a mount
namespace of its own, so that the machine's stay as they are.
"""

import io
import os
import shlex
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keyturn_lab.backends import own_etc
from keyturn_lab.parts import Server
from keyturn_lab.ports import free_port
from keyturn_lab.processes import ChildProcess

PROGRAM = Path("/usr/sbin/sshd")
TIMEOUT = 60.0
QUICK_HASHES = "sed -i 's/ yescrypt$/ yescrypt rounds=1/' /etc/pam.d/common-password"  # they cost most of a login by password
PRIVATE_PLACES = ("/run", "/var/log", "/usr/local/sbin")
SETTINGS = """
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile .ssh/authorized_keys
Subsystem sftp internal-sftp
PidFile none
UseDNS no
LogLevel VERBOSE
MaxStartups 500
PrintLastLog no
"""


def new_key() -> tuple[str, str]:
    """A private key, and the public one as a line without comment."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


class OpenSsh(Server):
    """An sshd of our own: `with OpenSsh() as server:`."""

    def __init__(self, *, settings: str = "") -> None:
        """`settings`: further lines of sshd_config, which go before the others."""
        super().__init__()
        self.host_key = ""
        self._settings = settings
        self._process: ChildProcess | None = None
        self._scratch = Path()

    @property
    def log(self) -> Path:
        return self._scratch / "log"

    def add_account(self, name: str, *, password: str | None = None, keys: str | None = None) -> None:
        """Create an unprivileged account, with the text of its authorized_keys."""
        home = self.home(name)
        self.run(["useradd", "--no-log-init", "--create-home", "--home-dir", str(home), "--shell", "/bin/sh", "--password", "*", name])
        if password is not None:
            self.run(["chpasswd"], given=f"{name}:{password}\n")
        if keys is not None:
            (home / ".ssh").mkdir(mode=0o700)
            self.keys_file(name).write_text(keys)
            self.keys_file(name).chmod(0o600)
            self.run(["chown", "--recursive", f"{name}:{name}", str(home / ".ssh")])

    def home(self, name: str) -> Path:
        return self._scratch / "home" / name

    def keys_file(self, name: str) -> Path:
        return self.home(name) / ".ssh" / "authorized_keys"

    def run(self, command: Sequence[str], *, given: str = "") -> str:
        """Run a command as root, where the server's accounts are."""
        assert self._process is not None
        inside = ["nsenter", f"--target={self._process.pid}", "--mount", "--", *command]
        finished = subprocess.run(inside, input=given, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if finished.returncode:
            raise RuntimeError(f"{command[0]} failed: {finished.stderr}")
        return finished.stdout

    def write(self, path: str, text: str, *, mode: int) -> None:
        """Write a file that only the server sees."""
        quoted = shlex.quote(path)
        self.run(["sh", "-c", f"cat > {quoted} && chmod {mode:o} {quoted}"], given=text)

    def connect(self, name: str, *, password: str | None = None, private_key: str | None = None) -> Any:
        """A client's transport. Raises paramiko.AuthenticationException."""
        sock = socket.create_connection((self.host, self.port), timeout=TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the rotators' connections are
        transport = paramiko.Transport(sock)
        try:
            transport.banner_timeout = transport.auth_timeout = TIMEOUT
            transport.start_client(timeout=TIMEOUT)
            if private_key is not None:
                transport.auth_publickey(name, paramiko.Ed25519Key.from_private_key(io.StringIO(private_key)))
            else:
                transport.auth_password(name, password)
        except BaseException:
            transport.close()
            sock.close()
            raise
        return transport

    def accepts(self, name: str, *, password: str | None = None, private_key: str | None = None) -> bool:
        """Whether a login is let in."""
        try:
            self.connect(name, password=password, private_key=private_key).close()
        except paramiko.AuthenticationException:
            return False
        return True

    def secret(self, user: str, **fields: object) -> dict[str, object]:
        """A secret's value for an account."""
        return {"engine": "ssh", "host": self.host, "port": self.port, "username": user, "host_key": self.host_key} | fields

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not there: apt-get install openssh-server sudo")
        self._scratch = self._folder("openssh", open_to_all=True)
        (self._scratch / "home").mkdir()
        private, self.host_key = new_key()
        key = self._scratch / "host_key"
        key.touch(mode=0o600)
        key.write_text(private)

    def _launch(self) -> ChildProcess:
        self.port = free_port()
        config = self._scratch / "sshd_config"
        config.write_text(f"Port {self.port}\nListenAddress {self.host}\nHostKey {self._scratch}/host_key\n" + self._settings + SETTINGS)
        lines = own_etc.lines(self._scratch, empty=PRIVATE_PLACES)
        lines += ["mkdir /run/sshd", QUICK_HASHES, f"exec {PROGRAM} -D -e -f {config}"]
        command = ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", "\n".join(lines)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ.get("HOME", "/")}
        self._process = ChildProcess("sshd", command, log=self.log, env=environment)
        return self._process

    def _answers(self) -> bool:
        try:
            return not self.accepts("nobody", password="nobody-has-this-one")
        except (OSError, paramiko.SSHException, EOFError):
            return False
