"""One user with two passwords at once: the current one and the next.

The user has no others besides: a password that was left over by a rotation that died, or added by hand, is gone with the next rotation.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import PORT, Session, first_accepted, logs_in
from keyturn_rotators.engines.redis.users import digest
from keyturn_rotators.engines.redis.work import Settings
from keyturn_rotators.logins import same_user
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused


class Overlap:
    """Changed by the user itself, or by the superuser where the secret names one."""

    principal = ("username", "password")

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
        current = context.current()
        # Where the pending one is taken already, an earlier attempt may have died before it saved the users.
        with (
            first_accepted(pending, current, deadline=context.deadline) as itself,
            self._settings.users(itself, pending, context) as users,
        ):
            users.set_passwords(pending.username, (digest(current), digest(pending)))

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline):
            pass  # what the user may do is not the password's

    def retire(self, old: Credential, context: Context) -> None:
        """The old password is taken from the user.

        The server does not know with which password a connection was made, so none is ended unless KEYTURN_END_SESSIONS says all.
        """
        current = context.current()
        same_user(old, current)
        context.confirm_idle()
        with (
            Session(current, deadline=context.deadline) as itself,  # a refusal proves something only where the current one is taken
            self._settings.users(itself, old, context) as users,
        ):
            if digest(old) in users.get(old.username).passwords:
                users.set(old.username, f"!{digest(old)}")
            if self._settings.end_sessions:
                users.end_connections(old.username)
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old password is added again, and the current one stays valid."""
        current = context.current()
        same_user(old, current)
        context.confirm_idle()
        with Session(current, deadline=context.deadline) as itself, self._settings.users(itself, old, context) as users:
            if digest(old) not in users.get(old.username).passwords:
                users.set(old.username, f"#{digest(old)}")
        self.verify(old, context)
