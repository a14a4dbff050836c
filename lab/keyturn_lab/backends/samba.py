"""A real Samba domain controller, for as long as a `with` block lasts.

Its programs are Debian's (samba, samba-ad-dc, samba-ad-provision). A domain controller wants its well-known ports, a host name and a
line in /etc/hosts: it has them in namespaces of its own, so it needs root. A relay hands on its LDAP ports to free ones of our loopback.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from keyturn_lab.backends import own_etc, relay
from keyturn_lab.backends.binaries import Account
from keyturn_lab.backends.directory_client import DirectoryError, DirectoryServer, add, modify
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.processes import ChildProcess

PROGRAM = Path("/usr/sbin/samba")
PROVISION = Path("/usr/share/samba/setup/provision.ldif")
DOMAIN, BASE = "corp.example.com", "DC=corp,DC=example,DC=com"
SERVICES = f"OU=services,{BASE}"
ADMINISTRATOR = f"Administrator@{DOMAIN}"
LDAP, LDAPS = 389, 636
TOOL_WITHIN = 120.0
PRIVATE_PLACES = ("/run", "/var/log")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Samba(DirectoryServer):
    """A domain of our own: `with Samba(tls=..., authority=...) as server:`."""

    ready_within = 170.0  # seconds; on a quiet machine it takes ten
    stopped_within = 0.5  # the data is thrown away

    def __init__(self, *, tls: KeyPair, authority: Path, grace_minutes: int = 0) -> None:
        """`grace_minutes`: how long the password before the current one is taken, "old password allowed period"."""
        super().__init__()
        self._tls, self._authority, self._grace = tls, authority, grace_minutes
        self._password = f"Aa1-{self._password}"  # one of each, for the domain's policy
        self._scratch = Path()
        self._process: ChildProcess | None = None

    def __repr__(self) -> str:
        return f"Samba({self.host}:{self.tls_port})"

    @contextmanager
    def administrator(self) -> Iterator[Any]:
        """The domain's own administrator."""
        with self.login(ADMINISTRATOR, self._password, tls=True) as connection:
            yield connection

    def accepts(self, name: str, password: str) -> bool:
        """Whether the user, by its sAMAccountName, is let in."""
        return self.takes(f"{name}@{DOMAIN}", password, tls=True)

    def add_user(self, name: str, password: str) -> str:
        """Create a user. Returns its distinguished name."""
        dn = f"CN={name},{SERVICES}"
        attributes = {"sAMAccountName": name, "userPrincipalName": f"{name}@{DOMAIN}", "userAccountControl": "512"}
        with self.administrator() as connection:
            add(connection, dn, ["user"], attributes | {"unicodePwd": _quoted(password)})
        return dn

    def set_password(self, dn: str, password: str) -> None:
        """As the domain's own administrator."""
        with self.administrator() as connection:
            modify(connection, dn, "unicodePwd", ldap3.MODIFY_REPLACE, _quoted(password))

    def add_group(self, name: str, *members: str) -> str:
        """Create a group. Returns its distinguished name."""
        dn = f"CN={name},{SERVICES}"
        with self.administrator() as connection:
            add(connection, dn, ["group"], {"sAMAccountName": name} | ({"member": list(members)} if members else {}))
        return dn

    def remove_member(self, group: str, member: str) -> None:
        with self.administrator() as connection:
            modify(connection, group, "member", ldap3.MODIFY_DELETE, member)

    def groups_of(self, dn: str) -> set[str]:
        """The groups that list the user."""
        return set(self.read(dn, "memberOf"))

    def read(self, dn: str, attribute: str) -> list[str]:
        """The values of an attribute."""
        with self.administrator() as connection:
            connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=[attribute])
            [entry] = [each for each in connection.response if each["type"] == "searchResEntry"]
            return [value.decode(errors="replace") for value in entry["raw_attributes"].get(attribute, [])]

    def shell(self, script: str, **variables: str) -> str:
        """Run a script of bash where the domain is, whose samba-tool knows the domain. Raises DirectoryError."""
        assert self._process is not None
        namespaces = [f"--pid=/proc/{self._process.pid}/ns/pid_for_children", "--net", "--mount", "--uts"]
        known = f'set -eu; samba-tool() {{ command samba-tool "$@" --configfile={self._config}; }}\n'
        command = ["nsenter", f"--target={self._process.pid}", *namespaces, "--", "/bin/bash", "-c", known + script]
        environment = ENVIRONMENT | variables
        finished = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_WITHIN, check=False, env=environment)
        if finished.returncode:
            raise DirectoryError(f"a script failed: {finished.stderr[-500:]}")
        return finished.stdout

    def secret(self, user: str, password: str, **fields: object) -> dict[str, object]:
        """A secret's value for a user."""
        place = {"engine": "activedirectory", "host": self.host, "port": self.tls_port, "domain": DOMAIN}
        return place | {"username": user, "password": password} | fields

    @property
    def _config(self) -> Path:
        return self._scratch / "domain" / "etc" / "smb.conf"

    def _start(self) -> None:
        super()._start()
        with self.administrator() as connection:
            add(connection, SERVICES, ["organizationalUnit"], {"ou": "services"})

    def _prepare(self) -> None:
        for file in (PROGRAM, PROVISION):
            if not file.exists():
                raise FileNotFoundError(f"{file} is not there: apt-get install samba samba-ad-dc samba-ad-provision")
        self._scratch = self._folder("samba")
        files = {"server.crt": self._tls.certificate, "server.key": self._tls.key, "ca.crt": self._authority}
        for name, content in ({name: file.read_bytes() for name, file in files.items()} | {"start.sh": self._script().encode()}).items():
            Account().write(self._scratch / name, content)

    def _launch(self) -> ChildProcess:
        namespaces = ["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        command = ["unshare", *namespaces, "--", "/bin/sh", str(self._scratch / "start.sh")]
        environment = ENVIRONMENT | {"HOME": str(self._scratch)}
        self._process = ChildProcess("samba", command, log=self._scratch / "log", env=environment)
        return self._process

    def _answers(self) -> bool:
        if not self.tls_port:
            if self._namespace() in ("", os.readlink("/proc/self/ns/net")):
                return False
            self.port, self.tls_port = self._relayed(LDAP), self._relayed(LDAPS)
        return self._lets_in()

    def _script(self) -> str:
        domain = self._scratch / "domain"
        options = {
            "interfaces": "lo",
            "bind interfaces only": "yes",
            "old password allowed period": str(self._grace),
            "tls certfile": f"{self._scratch}/server.crt",
            "tls keyfile": f"{self._scratch}/server.key",
            "tls cafile": f"{self._scratch}/ca.crt",
        }
        provision = "samba-tool domain provision --server-role=dc --dns-backend=NONE --host-name=dc1 --host-ip=10.99.0.1"
        provision += f" --realm={DOMAIN.upper()} --domain=CORP --adminpass='{self._password}' --targetdir={domain}"
        provision += " --option='interfaces=lo' --option='bind interfaces only=yes'"
        lines = own_etc.lines(self._scratch, empty=PRIVATE_PLACES)
        lines += [f"mkdir {domain} /run/samba /var/log/samba", "rm -f /etc/samba/smb.conf"]
        lines += ["ip link set lo up", "ip addr add 10.99.0.1/32 dev lo", "hostname dc1", f"echo 10.99.0.1 dc1.{DOMAIN} dc1 >> /etc/hosts"]
        lines.append(provision)
        lines += [f"sed -i 's|^.global.|[global]\\n\\t{name} = {value}|' {self._config}" for name, value in options.items()]
        lines.append(f"exec {PROGRAM} --foreground --model=single --debug-stdout --debuglevel=1 --configfile={self._config}")
        return "\n".join([*lines, ""])

    def _namespace(self) -> str:
        assert self._process is not None
        try:
            return os.readlink(f"/proc/{self._process.pid}/ns/net")
        except OSError:
            return ""

    def _relayed(self, port: int) -> int:
        """A port of this machine's loopback that leads to one of the domain controller's."""
        assert self._process is not None
        with socket.create_server((self.host, 0)) as listener:
            number: int = listener.getsockname()[1]
            enter = ["nsenter", f"--target={self._process.pid}", "--net", "--"]
            command = [*enter, sys.executable, "-I", relay.__file__, str(listener.fileno()), str(port)]
            hand_on = ChildProcess(f"relay-{port}", command, log=self._scratch / f"relay-{port}.log", pass_fds=(listener.fileno(),))
            self._cleanup.callback(hand_on.stop, grace=0.5)
            hand_on.start()
        return number

    def _lets_in(self) -> bool:
        try:
            return self.takes(ADMINISTRATOR, self._password, tls=True)
        except (LDAPException, DirectoryError, OSError):
            return False


def _quoted(password: str) -> bytes:
    """As unicodePwd wants it."""
    return f'"{password}"'.encode("utf-16-le")
