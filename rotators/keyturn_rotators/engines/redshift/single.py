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
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.proof import prove_refused


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy) -> None:
        self._policy = policy

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(policy(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        # Whoever wrote the secret knows a password of the user that it names, or nothing is done in its name.
        with self._login_before(pending, context) as session:
            self._change(session, pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        context.confirm_idle()
        log_in(context.current(), deadline=context.deadline)  # a refusal proves something only where the current one is taken
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    def _change(self, session: Session, pending: Credential, context: Context) -> None:
        """Make the password valid; `session` is the user's own."""
        set_password(session, pending.username, pending.password)

    def _login_before(self, pending: Credential, context: Context) -> Session:
        """A login with the password that is valid now: AWSCURRENT's, or AWSPREVIOUS's after a promotion that was taken back."""
        try:
            return Session(context.current(), deadline=context.deadline)
        except RotationError as refused:
            previous = context.previous()
            if refused.kind is not Kind.AUTHENTICATION or previous is None:
                raise
            if previous.username != pending.username or previous.differs_from(pending):
                raise
            return Session(previous, deadline=context.deadline)
