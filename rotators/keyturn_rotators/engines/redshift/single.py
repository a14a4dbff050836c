"""The user's own password is changed, by the user.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redshift.connection import PORT, Session, log_in, logs_in
from keyturn_rotators.engines.redshift.passwords import policy
from keyturn_rotators.engines.redshift.users import set_password
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.proof import prove_refused


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired
    further: tuple[str, ...] = ()  # fields that lead to the user, besides AWS's of the connection

    def __init__(self, policy: PasswordPolicy) -> None:
        self._policy = policy

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(policy(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return self._differs(pending, current) if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        login = valid_login(lambda valid: Session(valid, deadline=context.deadline), before=pending, context=context, differs=self._differs)
        with login as session:
            self._change(session, pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        self._same_principal(old, context.current())
        context.confirm_idle()
        log_in(context.current(), deadline=context.deadline)  # a refusal proves something only where the current one is taken
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        self._same_principal(old, context.current())
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    def _change(self, session: Session, pending: Credential, context: Context) -> None:
        """Make the password valid; `session` is the user's own."""
        set_password(session, pending.username, pending.password)

    def _differs(self, one: Credential, other: Credential) -> str | None:
        return next((name for name in self.further if one.get(name) != other.get(name)), None)

    def _same_principal(self, old: Credential, current: Credential) -> None:
        """Raises RotationError where an older version is another user's."""
        same_user(old, current)
        if name := self._differs(old, current):
            check = "which version was meant; the password of another user is ended by hand"
            raise RotationError(Kind.POLICY, f"the version's {name} is not the current version's", check=check, secret=old.secret)
