"""The user's password is changed: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through, unless the user's profile has a rollover time: it is taken for as long as that.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.oracle.connection import PORT, Session, logs_in, user_name
from keyturn_rotators.engines.oracle.users import FORBIDDEN, LONGEST_PASSWORD, end_rollover, lock, set_password, superusers_session
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

STATUS = "SELECT account_status FROM user_users"


class SingleUser:
    """One user, one password; two where its profile has a rollover time."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN, longest=LONGEST_PASSWORD)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        user_name(current)  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if not logs_in(pending, deadline=context.deadline):
            self._change(pending, context, locked=lambda: None)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline) as session:
            session.run("SELECT SYSDATE FROM dual")

    def retire(self, old: Credential, context: Context) -> None:
        """The rollover period is ended, if there is one: the old password died with it, or when it was changed. That is proved.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        with ExitStack() as sessions:
            passwords = self._passwords(old, context, sessions)
            context.confirm_idle()
            passwords.settle()
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back. Without a rollover time the current one is dead then: the version must be promoted next."""
        same_user(old, context.current())
        if not logs_in(old, deadline=context.deadline):
            self._change(old, context, locked=context.confirm_idle)

    def _change(self, pending: Credential, context: Context, *, locked: Callable[[], None]) -> None:
        """`locked` is called once nobody else can change the password."""
        with ExitStack() as sessions:
            passwords = self._passwords(pending, context, sessions)
            locked()
            self._confirm(passwords)
            passwords.settle()
            passwords.change(pending)

    def _confirm(self, passwords: "Passwords") -> None:
        """What a strategy wants to know before anything is changed."""

    def _passwords(self, other: Credential, context: Context, sessions: ExitStack) -> "Passwords":
        """Whoever may change the user's password, with the lock where there is a superuser, who has one."""
        itself, valid = valid_login(
            lambda valid: (sessions.enter_context(Session(valid, deadline=context.deadline)), valid), before=other, context=context
        )
        if not (self._superuser.secret or context.current().superuser_secret):
            return Passwords(itself, None, valid)
        superuser = self._superuser.login(other, context, port=PORT, users=(other.username,))
        admin = sessions.enter_context(superusers_session(superuser, itself, deadline=context.deadline))
        lock(admin, user_name(other), deadline=context.deadline)
        return Passwords(itself, admin, valid)


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
