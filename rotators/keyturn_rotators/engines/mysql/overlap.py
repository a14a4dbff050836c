"""One user with two passwords at once: MySQL's dual passwords, 8.0.14 and later. MariaDB has none.

The new password becomes the primary one and the current stays as the secondary, until it is discarded. Only the primary password can be
kept, and nobody is told which of the two has let a login in. So before a password is added, the current one is made the primary: after a
rotation that died, or a promotion that was taken back, it may be the secondary, and would be lost.
https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords

Not run against MySQL by our tests, which have a stand-in that knows these statements.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import Account, accounts, refuse_without_password
from keyturn_rotators.engines.mysql.connection import PORT, Session, logs_in
from keyturn_rotators.engines.mysql.explanations import MISSING_CURRENT_PASSWORD
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_user
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

RETAIN = " RETAIN CURRENT PASSWORD"
INSTEAD = "use AlternatingUsers, or SingleUser"


class Overlap:
    """One user, two passwords; changed by the user itself, or by the superuser where the secret names one."""

    principal = ("username", "password")

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(PasswordPolicy.from_environment(environ, excluded=EXCLUDED), Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        if current.engine.lower() == "mariadb":
            raise RotationError(Kind.POLICY, "MariaDB has no second password", check=INSTEAD, secret=context.secret)
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        with ExitStack() as sessions:
            self._add(self._passwords(pending, context, sessions), pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline, database=True) as session:
            session.run("SELECT CURRENT_USER()")

    def retire(self, old: Credential, context: Context) -> None:
        """The current password becomes the primary one, and the other is discarded.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        current = context.current()
        same_user(old, current)
        with ExitStack() as sessions:
            passwords = self._passwords(old, context, sessions)
            context.confirm_idle()
            passwords.make_primary(current)
            passwords.discard()
            with Session(current, deadline=context.deadline):
                pass  # a refusal of the old one proves something only where the current one is taken
            prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old password is added again, and the current one stays valid."""
        same_user(old, context.current())
        if logs_in(old, deadline=context.deadline):
            return
        with ExitStack() as sessions:
            passwords = self._passwords(old, context, sessions)
            context.confirm_idle()
            self._add(passwords, old, context)

    def _add(self, passwords: "_Passwords", pending: Credential, context: Context) -> None:
        passwords.make_primary(context.current())
        passwords.add(pending)

    def _passwords(self, other: Credential, context: Context, sessions: ExitStack) -> "_Passwords":
        """Whoever may change the user's passwords, with the lock."""
        current = context.current()
        itself = sessions.enter_context(Session(current, deadline=context.deadline)).prepared()
        if itself.mariadb:
            raise itself.place.error(Kind.POLICY, "MariaDB has no second password", INSTEAD)
        if not (self._superuser.secret or current.superuser_secret):
            lock(itself, current.username, deadline=context.deadline)
            return _Passwords(itself, [], current)
        superuser = self._superuser.login(other, context, port=PORT, users=(current.username,))
        admin = sessions.enter_context(Session(superuser, deadline=context.deadline)).prepared()
        lock(admin, current.username, deadline=context.deadline)
        host = itself.host
        # The account that the user's own login has matched comes last, so that it stands for all.
        found = sorted(accounts(admin, current.username).values(), key=lambda account: account.host == host)
        return _Passwords(admin, found, current)


class _Passwords:
    """The passwords of all accounts of a user, or of the session's own."""

    def __init__(self, session: Session, found: list[Account], valid: Credential) -> None:
        """`found`: nothing where the user changes its own. `valid`: a password of the user's that is taken now."""
        self._session = session
        self._accounts = found
        self._valid = valid
        for account in found:
            refuse_without_password(session, account)

    def make_primary(self, current: Credential) -> None:
        """Replace the primary password, and leave the secondary as it is."""
        self._identify(current, "")

    def add(self, pending: Credential) -> None:
        """Replace the primary password, and keep it as the secondary."""
        self._identify(pending, RETAIN)

    def discard(self) -> None:
        """Forget the secondary password."""
        for account in self._accounts:
            self._session.run("ALTER USER %s@%s DISCARD OLD PASSWORD", *account.name)
        if not self._accounts:
            self._session.run("ALTER USER USER() DISCARD OLD PASSWORD")

    def _identify(self, credential: Credential, more: str) -> None:
        for account in self._accounts:
            how = f"ALTER USER %s@%s IDENTIFIED WITH {account.plugin} BY %s{more}"
            self._session.run(how, *account.name, credential.password, secret=True)
        if self._accounts:
            return
        own, password = "ALTER USER USER() IDENTIFIED BY %s", credential.password
        if not self._session.attempt(f"{own}{more}", password, unless=frozenset({MISSING_CURRENT_PASSWORD}), secret=True):
            self._session.run(f"{own} REPLACE %s{more}", password, self._valid.password, secret=True)
