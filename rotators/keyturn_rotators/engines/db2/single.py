"""The user's password is changed, by the superuser: RDS lets nobody else do it.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Callable, Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.db2.connection import FORBIDDEN, PORT, RDSADMIN, Session, logs_in
from keyturn_rotators.engines.db2.users import set_password
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if not logs_in(pending, deadline=context.deadline):
            self._change(pending, context, locked=lambda: None)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline) as session:
            session.run("VALUES CURRENT TIMESTAMP")

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session was opened, and RDS lets nobody end another's.
        """
        with Session(context.current(), deadline=context.deadline):
            pass  # whoever cannot log in with what is current cannot tell a refusal of the old from another
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        same_user(old, context.current())
        if not logs_in(old, deadline=context.deadline):
            self._change(old, context, locked=context.confirm_idle)

    def _change(self, pending: Credential, context: Context, *, locked: Callable[[], None]) -> None:
        """`locked` is called before anything is changed; the server has no lock that would keep others out."""
        superuser = self._superuser.login(pending, context, port=PORT, users=(pending.username,))
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        valid_login(lambda valid: Session(valid, deadline=context.deadline).close(), before=pending, context=context)
        with Session(superuser, deadline=context.deadline, database=RDSADMIN) as rds:
            locked()
            set_password(rds, pending, deadline=context.deadline)
