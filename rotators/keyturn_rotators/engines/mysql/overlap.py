"""One user with two passwords at once: MySQL's dual passwords, 8.0.14 and later. MariaDB has none.

The new password becomes the primary one and the current stays as the secondary, until it is discarded. Only the primary password can be
kept, and nobody is told which of the two has let a login in. So before a password is added, the current one is made the primary: after a
rotation that died, or a promotion that was taken back, it may be the secondary, and would be lost.
https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords

Not run against MySQL by our tests, which have a stand-in that knows these statements.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import Account, accounts, refuse_without_password
from keyturn_rotators.engines.mysql.connection import BACK_END, Session
from keyturn_rotators.engines.mysql.explanations import MISSING_CURRENT_PASSWORD
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.one_user import OneUser, T

RETAIN = " RETAIN CURRENT PASSWORD"
INSTEAD = "use AlternatingUsers, or SingleUser"


class Passwords:
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


class Overlap(OneUser[Session, Passwords]):
    """One user, two passwords; changed by the user itself, or by the superuser where the secret names one."""

    back_end = BACK_END

    def propose(self, current: Credential, context: Context) -> Credential:
        if current.engine.lower() == "mariadb":
            raise RotationError(Kind.POLICY, "MariaDB has no second password", check=INSTEAD, secret=context.secret)
        return super().propose(current, context)

    def _valid(self, log_in: Callable[[Credential], T], wanted: Credential, context: Context) -> T:
        """The current one is, whatever is added to it; and it is what is made the primary one."""
        return log_in(context.current())

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[Passwords]:
        if itself.prepared().mariadb:
            raise itself.place.error(Kind.POLICY, "MariaDB has no second password", INSTEAD)
        if not self._settings.superuser.is_named(context):
            lock(itself, valid.username, deadline=context.deadline)
            yield Passwords(itself, [], valid)
            return
        with Session(self._superuser(wanted, context), deadline=context.deadline) as admin:
            lock(admin.prepared(), valid.username, deadline=context.deadline)
            host = itself.host
            # The account that the user's own login has matched comes last, so that it stands for all.
            found = sorted(accounts(admin, valid.username).values(), key=lambda account: account.host == host)
            yield Passwords(admin, found, valid)

    def _change(self, work: Passwords, wanted: Credential, context: Context) -> None:
        """The old password is added again as the new one is, and the current one stays valid."""
        work.make_primary(context.current())
        work.add(wanted)

    def _end(self, itself: Session, old: Credential, context: Context) -> None:
        """The current password becomes the primary one, and the other is discarded."""
        current = context.current()
        with self._open(itself, current, old, context) as passwords:
            context.confirm_idle()
            passwords.make_primary(current)
            passwords.discard()
        with self.back_end.log_in(current, context.deadline):
            pass  # it is still taken, or a refusal of the old one would prove nothing
