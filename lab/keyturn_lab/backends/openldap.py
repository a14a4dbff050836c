"""A real OpenLDAP on loopback ports, with and without TLS, for as long as a `with` block lasts.

Its program is Debian's (the package slapd), its data is in a folder of its own, and it runs as an unprivileged user.
The overlay for password policies is loaded; without a policy of its own a user has none.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3

from keyturn_lab.backends.binaries import Account
from keyturn_lab.backends.directory_client import DirectoryServer, add, groups, modify
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.ports import free_ports
from keyturn_lab.processes import ChildProcess

PROGRAM = Path("/usr/sbin/slapd")
SUFFIX = "dc=example,dc=com"
ROOT = f"cn=root,{SUFFIX}"
SERVICES, GROUPS, ADMIN = f"ou=services,{SUFFIX}", f"ou=groups,{SUFFIX}", f"cn=keyturn,{SUFFIX}"
SCHEMAS = ("core", "cosine", "inetorgperson", "nis")


class OpenLdap(DirectoryServer):
    """A slapd of our own: `with OpenLdap(tls=..., access=...) as server:`."""

    def __init__(self, *, tls: KeyPair, access: str) -> None:
        """`access`: the rules of slapd.conf about who may do what."""
        super().__init__()
        self._tls, self._access = tls, access

    @contextmanager
    def root(self) -> Iterator[Any]:
        """Who may do everything, whatever the policies say."""
        with self.login(ROOT, self._password, tls=False) as connection:
            yield connection

    def accepts(self, name: str, password: str) -> bool:
        return self.takes(name, password, tls=False)

    def add_user(self, name: str, password: str, *, policy: str | None = None, **attributes: str) -> str:
        """Create a user below the services. Returns its distinguished name."""
        dn = f"uid={name},{SERVICES}"
        extra: dict[str, str] = {"pwdPolicySubentry": policy} if policy else {}
        with self.root() as root:
            add(root, dn, ["inetOrgPerson"], {"sn": name, "cn": name, "userPassword": password} | attributes | extra)
        return dn

    def add_policy(self, name: str, **settings: str) -> str:
        """Create a password policy. Returns its distinguished name."""
        dn = f"cn={name},{SUFFIX}"
        with self.root() as root:
            add(root, dn, ["device", "pwdPolicy"], {"pwdAttribute": "userPassword"} | settings)
        return dn

    def set_admin_password(self, password: str) -> None:
        with self.root() as root:
            modify(root, ADMIN, "userPassword", ldap3.MODIFY_REPLACE, password)

    def add_groups(self, name: str, *members: str) -> list[str]:
        """Create a group of each kind. Returns their distinguished names."""
        uids = [member.partition(",")[0].partition("=")[2] for member in members]
        made: dict[str, tuple[list[str], dict[str, object]]] = {
            f"cn={name}-names,{GROUPS}": (["groupOfNames"], {"member": [ROOT, *members]}),
            f"cn={name}-unique,{GROUPS}": (["groupOfUniqueNames"], {"uniqueMember": [ROOT, *members]}),
            f"cn={name}-posix,{GROUPS}": (["posixGroup"], {"gidNumber": "4711"} | ({"memberUid": uids} if uids else {})),
        }
        with self.root() as root:
            for dn, (classes, attributes) in made.items():
                add(root, dn, classes, attributes)
        return list(made)

    def add_member(self, group: str, member: str) -> None:
        with self.root() as root:
            modify(root, group, "member", ldap3.MODIFY_ADD, member)

    def groups_of(self, dn: str) -> set[str]:
        """The groups that list the user, whatever their kind."""
        uid = dn.partition(",")[0].partition("=")[2]
        with self.root() as root:
            return groups(root, GROUPS, f"(|(member={dn})(uniqueMember={dn})(memberUid={uid}))")

    def secret(self, user: str, password: str, **fields: object) -> dict[str, object]:
        """A secret's value for a user, without TLS."""
        place = {"engine": "ldap", "host": self.host, "port": self.port, "ssl": False}
        return place | {"username": user, "password": password} | fields

    def _fill(self) -> None:
        with self.root() as root:
            add(root, SUFFIX, ["dcObject", "organization"], {"o": "example", "dc": "example"})
            for dn in (SERVICES, GROUPS):
                add(root, dn, ["organizationalUnit"], {"ou": dn.partition(",")[0].partition("=")[2]})
            add(root, ADMIN, ["person"], {"sn": "keyturn", "userPassword": secrets.token_urlsafe(24)})

    def _start(self) -> None:
        super()._start()
        self._fill()

    def _prepare(self) -> None:
        if not PROGRAM.exists():
            raise FileNotFoundError(f"{PROGRAM} is not there: apt-get install slapd")
        self._scratch, self._account = self._folder("openldap"), Account.unprivileged()
        self._account.own(self._scratch)
        self._configure(self._scratch, self._account)

    def _launch(self) -> ChildProcess:
        self.port, self.tls_port = free_ports(2)
        listeners = f"ldap://{self.host}:{self.port} ldaps://{self.host}:{self.tls_port}"
        command = self._account.command(PROGRAM, "-d", "none", "-h", listeners, "-f", str(self._scratch / "slapd.conf"))
        return ChildProcess("slapd", command, log=self._scratch / "log", cwd=self._scratch)

    def _configure(self, scratch: Path, account: Account) -> None:
        lines = [f"include /etc/ldap/schema/{name}.schema" for name in SCHEMAS]
        lines += ["modulepath /usr/lib/ldap", "moduleload back_mdb", "moduleload ppolicy", f"pidfile {scratch}/pid"]
        lines += [f"TLSCertificateFile {scratch}/server.crt", f"TLSCertificateKeyFile {scratch}/server.key"]
        lines += ["database mdb", "maxsize 104857600", f'suffix "{SUFFIX}"', f'rootdn "{ROOT}"', f"rootpw {self._password}"]
        lines += [f"directory {scratch}/data", "dbnosync", "overlay ppolicy", self._access.strip(), ""]
        files = {"server.crt": self._tls.certificate.read_bytes(), "server.key": self._tls.key.read_bytes()}
        files["slapd.conf"] = "\n".join(lines).encode()
        (scratch / "data").mkdir(mode=0o700)
        account.own(scratch / "data")
        for name, content in files.items():
            account.write(scratch / name, content)

    def _answers(self) -> bool:
        try:
            return self.accepts(ROOT, self._password)
        except (ldap3.core.exceptions.LDAPException, OSError):
            return False
