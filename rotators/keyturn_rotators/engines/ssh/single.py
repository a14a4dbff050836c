"""An account's password is replaced with chpasswd, by the administrator of the secret that masterarn names.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Self

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ssh.connection import PORT, Session, has_key, same_account, same_server
from keyturn_rotators.engines.ssh.keys import HOST_KEY, host_keys
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.one_user import OneUser
from keyturn_rotators.settings import Settings

COMMAND = "KEYTURN_CHPASSWD"
DEFAULT_COMMAND = "sudo -n /usr/sbin/chpasswd"
LONGEST = 200  # characters; PAM takes 512 bytes
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.@\\-]{0,255}")  # nothing that ends chpasswd's field or line


class SingleUser(OneUser[Session, Session]):
    """One account, one password."""

    back_end = BackEnd(
        log_in=lambda credential, deadline: Session(credential, deadline=deadline, by_key=False),
        port=lambda _: PORT,
        differs=same_server,
        longest_password=LONGEST,
    )

    def __init__(self, settings: Settings, command: str) -> None:
        super().__init__(settings)
        self._command = command

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(cls.back_end.settings(environ), environ.get(COMMAND) or DEFAULT_COMMAND)

    def propose(self, current: Credential, context: Context) -> Credential:
        current.password, host_keys(current)
        _account(current)
        return super().propose(current, context)

    def retire(self, old: Credential, context: Context) -> None:
        super().retire(_there(old, context.current()), context)

    def restore(self, old: Credential, context: Context) -> None:
        super().restore(_there(old, context.current()), context)

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Session]:
        superuser = self._superuser(wanted, context)
        if not superuser.get(HOST_KEY):
            superuser = superuser.replaced(**{HOST_KEY: wanted.get(HOST_KEY)})
        return Session(superuser, deadline=context.deadline, by_key=has_key(superuser))

    def _change(self, work: Session, wanted: Credential, context: Context) -> None:
        status, said = work.run(self._command, f"{_account(wanted)}:{_password(wanted)}\n".encode())
        if status:
            raise _refusal(work.place, status, said)


def _there(old: Credential, current: Credential) -> Credential:
    """An older version's password, at the server as it is known now."""
    same_account(old, current)
    return current.replaced(password=old.password)


def _account(credential: Credential) -> str:
    if not ACCOUNT.fullmatch(credential.username):
        raise credential.invalid("username", "is not the name of an account")
    return credential.username


def _password(credential: Credential) -> str:
    if not credential.password.isprintable():
        raise credential.invalid("password", "has characters that end chpasswd's line, or that nobody can type")
    return credential.password


def _refusal(place: Place, status: int, said: str) -> RotationError:
    """What chpasswd or sudo says is not shown: a module of PAM may quote the password."""
    if "sudo:" in said or status in (126, 127):
        check = f"the line in sudoers, with NOPASSWD, for the command of {COMMAND}, and that this command is there"
        return place.error(Kind.PERMISSION, "the administrator may not run the command that sets passwords", check)
    check = "the server's log: PAM's rules for quality and history of passwords, and whether the account is one of the server's own"
    return place.error(Kind.POLICY, f"the password was not taken (exit status {status})", check)
