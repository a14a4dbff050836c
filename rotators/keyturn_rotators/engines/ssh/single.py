"""An account's password is replaced with chpasswd, by the administrator of the secret that masterarn names.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

import re
from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ssh.connection import PORT, Session, has_key, logs_in, same_account, same_server
from keyturn_rotators.engines.ssh.keys import HOST_KEY, host_keys
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

COMMAND = "KEYTURN_CHPASSWD"
DEFAULT_COMMAND = "sudo -n /usr/sbin/chpasswd"
LONGEST = 200  # characters; PAM takes 512 bytes
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.@\\-]{0,255}")  # nothing that ends chpasswd's field or line


class SingleUser:
    """One account, one password."""

    principal = ("username", "password")  # the account goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy, superuser: Superuser, command: str) -> None:
        self._policy = policy
        self._superuser = superuser
        self._command = command

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, longest=LONGEST)
        return cls(policy, Superuser.from_environment(environ), environ.get(COMMAND) or DEFAULT_COMMAND)

    def propose(self, current: Credential, context: Context) -> Credential:
        current.password, host_keys(current)
        _account(current)
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != current.username else same_server(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline, by_key=False):
            return
        valid_login(lambda valid: self.verify(valid, context), before=pending, context=context, differs=same_server)
        line = f"{_account(pending)}:{_password(pending)}\n"
        superuser = self._superuser.login(pending, context, port=PORT, users=(pending.username,))
        if not superuser.get(HOST_KEY):
            superuser = superuser.replaced(**{HOST_KEY: context.current().get(HOST_KEY)})
        with Session(superuser, deadline=context.deadline, by_key=has_key(superuser)) as session:
            status, said = session.run(self._command, line.encode())
        if status:
            raise _refusal(session.place, status, said)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline, by_key=False):
            pass

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was replaced: that is proved, and nothing more can be done.

        sshd does not know with which password a session was opened, so none is ended.
        """
        current = context.current()
        same_account(old, current)
        context.confirm_idle()
        self.verify(current, context)  # a refusal proves something only where the current one is taken
        place = Place.of(current, port=PORT, user=current.username)
        prove_refused(logs_in(current.replaced(password=old.password), deadline=context.deadline, by_key=False), place)

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        current = context.current()
        same_account(old, current)
        context.confirm_idle()
        there = current.replaced(password=old.password)
        self.apply(there, context)
        self.verify(there, context)


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
