"""The user's password is replaced: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import PORT, Session, logs_in
from keyturn_rotators.engines.redis.users import digest
from keyturn_rotators.engines.redis.work import Settings
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        with self._login(pending, context) as itself, self._settings.users(itself, pending, context) as users:
            users.set_passwords(pending.username, (digest(pending),))

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline):
            pass  # what the user may do is not the password's

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was replaced: that is proved. With KEYTURN_END_SESSIONS all connections of the user are ended."""
        current = context.current()
        same_user(old, current)
        context.confirm_idle()
        with Session(current, deadline=context.deadline) as itself:  # a refusal proves something only where the current one is taken
            if self._settings.end_sessions:
                with self._settings.users(itself, old, context) as users:
                    users.end_connections(old.username)
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        same_user(old, context.current())
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    def _login(self, pending: Credential, context: Context) -> Session:
        """With whichever password is valid now: the pending one's after an attempt that died, AWSPREVIOUS's after a rollback."""
        try:
            return Session(pending, deadline=context.deadline)
        except RotationError as refused:
            if refused.kind is not Kind.AUTHENTICATION:
                raise
        return valid_login(lambda valid: Session(valid, deadline=context.deadline), before=pending, context=context)
