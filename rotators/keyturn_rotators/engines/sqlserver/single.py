"""The login's password is changed: by the login itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.sqlserver.connection import MASTER, PORT, Session, logs_in
from keyturn_rotators.engines.sqlserver.logins import LONGEST_PASSWORD, is_contained, lock, set_password
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser


class SingleUser:
    """One login, or one user of a contained database, with one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, longest=LONGEST_PASSWORD)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if not _taken(pending, context.deadline):
            self._change(pending, context, locked=lambda: None)

    def verify(self, pending: Credential, context: Context) -> None:
        with _login(pending, context.deadline) as session:
            session.run("SELECT ORIGINAL_LOGIN()")

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session was opened, so none is ended.
        """
        with _login(context.current(), context.deadline):
            pass  # whoever cannot log in with what is current cannot tell a refusal of the old from another
        prove_refused(_taken(old, context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        same_user(old, context.current())
        if not _taken(old, context.deadline):
            self._change(old, context, locked=context.confirm_idle)

    def _change(self, pending: Credential, context: Context, *, locked: Callable[[], None]) -> None:
        """`locked` is called once nobody else can change the password."""
        with ExitStack() as sessions:
            itself, valid = valid_login(
                lambda valid: (sessions.enter_context(_login(valid, context.deadline)), valid), before=pending, context=context
            )
            contained = is_contained(itself)
            if not (self._superuser.secret or context.current().superuser_secret):
                lock(itself, pending.username, deadline=context.deadline)
                locked()
                set_password(itself, pending, contained=contained, old=valid)
                return
            superuser = self._superuser.login(pending, context, port=PORT, users=(pending.username,))
            admin = sessions.enter_context(Session(superuser, deadline=context.deadline)).prepared()
            lock(admin, pending.username, deadline=context.deadline)
            locked()
            if contained:
                admin.enter(itself.database)
            set_password(admin, pending, contained=contained)


def _login(credential: Credential, deadline: Deadline) -> Session:
    """In the database of the secret: users of a contained one cannot enter any other."""
    return Session(credential, deadline=deadline, database=credential.database(MASTER))


def _taken(credential: Credential, deadline: Deadline) -> bool:
    return logs_in(credential, deadline=deadline, database=credential.database(MASTER))
