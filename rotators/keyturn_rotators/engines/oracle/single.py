"""The user's password is changed: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through, unless the user's profile has a rollover time: it is taken for as long as that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.oracle.connection import Session, user_name
from keyturn_rotators.engines.oracle.users import BACK_END, end_rollover, lock, set_password, superusers_session
from keyturn_rotators.one_user import OneUser

STATUS = "SELECT account_status FROM user_users"


class Passwords:
    """Those of one user: one, or in a rollover period the first and the latest."""

    def __init__(self, itself: Session, admin: Session | None, valid: Credential) -> None:
        """`valid`: the password by which `itself` has logged in."""
        self.itself = itself
        self._admin = admin
        self._valid = valid

    def change(self, credential: Credential) -> None:
        """In a rollover period this replaces the latest, and the first goes on to be taken."""
        set_password(self._admin or self.itself, credential, old=None if self._admin else self._valid)

    def settle(self) -> None:
        """Make the valid password the only one.

        Ending the period leaves the latest password alone, and the valid one may be the first: of a rotation that died, or was taken back.
        Which of the two it is the server does not tell, so it is made the latest before.
        """
        [(status,)] = self.itself.run(STATUS)
        if "ROLLOVER" in str(status):
            self.change(self._valid)
            end_rollover(self._admin or self.itself, self.itself.user)


class SingleUser(OneUser[Session, Passwords]):
    """One user, one password; two where its profile has a rollover time."""

    back_end = BACK_END

    def propose(self, current: Credential, context: Context) -> Credential:
        user_name(current)  # a name that the server cannot have is refused before a version of it is written
        return super().propose(current, context)

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[Passwords]:
        """The lock is the superuser's, where there is one."""
        if not self._settings.superuser.is_named(context):
            yield Passwords(itself, None, valid)
            return
        with superusers_session(self._superuser(wanted, context), itself, deadline=context.deadline) as admin:
            lock(admin, user_name(wanted), deadline=context.deadline)
            yield Passwords(itself, admin, valid)

    def _confirm(self, passwords: Passwords) -> None:
        """What a strategy wants to know before anything is changed."""

    def _change(self, work: Passwords, wanted: Credential, context: Context) -> None:
        self._confirm(work)
        work.settle()
        work.change(wanted)

    def _end(self, itself: Session, old: Credential, context: Context) -> None:
        """The rollover period, if there is one: the old password died with it, or when it was changed."""
        with self._open(itself, context.current(), old, context) as passwords:
            context.confirm_idle()
            passwords.settle()
