"""ACL users as the server keeps them: on or off, the digests of their passwords, and the rules of what they may do.

All is read by one command and changed by another, which takes all of its rules or none. Passwords go to the server as digests, so that they
are in none of its logs, nor in what MONITOR shows.
https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.redis.connection import Refusal, Session
from keyturn_rotators.errors import Kind
from keyturn_rotators.passwords import TRUE

CONFIG_REWRITE = "KEYTURN_REDIS_CONFIG_REWRITE"
NO_FILE = "ACL file"  # what the refusal of ACL SAVE says where none is configured


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One line of ACL LIST."""

    name: str
    enabled: bool
    any_password: bool
    passwords: frozenset[str]  # SHA-256, hexadecimal
    rules: tuple[str, ...]  # in their order, which counts

    @classmethod
    def parse(cls, line: str) -> Self:
        """`user app on #5e88... ~app:* -@all +get`."""
        _, name, *words = line.split(" ")
        passwords = frozenset(word[1:] for word in words if word.startswith("#"))
        rules = tuple(word for word in words if word not in ("on", "off", "nopass") and not word.startswith("#"))
        return cls(name=name, enabled="on" in words, any_password="nopass" in words, passwords=passwords, rules=rules)


class Users:
    """The users of a server, through the login of one who may change them."""

    def __init__(self, admin: Session, *, config_rewrite: bool = False) -> None:
        self._admin = admin
        self._config_rewrite = config_rewrite

    def find(self, name: str) -> User | None:
        """Raises RotationError where its password is not asked for: then no login proves anything."""
        lines = self._admin.run("ACL", "LIST")
        found = [User.parse(line) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        user = next((user for user in found if user.name == name), None)
        if user is not None and user.any_password:
            check = f"ACL SETUSER {name} resetpass, and give it the secret's password"
            raise self._admin.place.error(Kind.POLICY, f"the user {name} is let in with any password (nopass)", check)
        return user

    def get(self, name: str) -> User:
        """Raises RotationError where it is not there."""
        if user := self.find(name):
            return user
        raise self._admin.place.error(Kind.POLICY, f"the server has no user {name}", "ACL LIST, and whether the ACL file was loaded again")

    def set(self, name: str, *rules: str) -> None:
        """Change a user, or make it: all of the rules or none."""
        self._admin.run("ACL", "SETUSER", name, *rules)

    def set_passwords(self, name: str, passwords: Iterable[str]) -> None:
        """The user has these and no others."""
        wanted = sorted(set(passwords))
        if self.get(name).passwords != frozenset(wanted):
            self.set(name, "resetpass", *(f"#{password}" for password in wanted))

    def end_connections(self, name: str) -> None:
        """All connections of the user, but our own. Once: apps that go on open others at once, and are not to be cut off again."""
        self._admin.run("CLIENT", "KILL", "USER", name)

    def save(self) -> None:
        """Make what was changed outlast a restart, where the server has a file for it."""
        try:
            self._admin.run("ACL", "SAVE")
        except Refusal as refusal:
            if NO_FILE not in refusal.said:
                raise
            if self._config_rewrite:
                self._admin.run("CONFIG", "REWRITE")


def digest(credential: Credential) -> str:
    """A password as the server keeps it."""
    return hashlib.sha256(credential.password.encode()).hexdigest()


def rewrites_config(environ: Mapping[str, str]) -> bool:
    """Whether CONFIG REWRITE may be used where there is no ACL file."""
    return environ.get(CONFIG_REWRITE, "").strip().lower() in TRUE
