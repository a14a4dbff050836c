"""One user with two passwords at once: the current one and the next.

The user has no others besides: a password that was left over by a rotation that died, or added by hand, is gone with the next rotation.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import BACK_END, Session
from keyturn_rotators.engines.redis.users import Users, digest
from keyturn_rotators.engines.redis.work import RedisSettings
from keyturn_rotators.logins import first_accepted
from keyturn_rotators.one_user import OneUser, T


class Overlap(OneUser[Session, Users]):
    """Changed by the user itself, or by the superuser where the secret names one."""

    back_end = BACK_END
    _settings: RedisSettings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(RedisSettings.from_environment(environ))

    def restore(self, old: Credential, context: Context) -> None:
        """The old password is added again, and the current one stays valid."""
        current = context.current()
        self._same_principal(old, current)
        with self._log_in(current, context) as itself, self._open(itself, current, old, context) as users:
            context.confirm_idle()
            if digest(old) not in users.get(old.username).passwords:
                users.set(old.username, f"#{digest(old)}")
        self.verify(old, context)

    def _is_settled(self, wanted: Credential, context: Context) -> bool:
        """Never: where the password is taken already, an earlier attempt may have died before it saved the users."""
        return False

    def _valid(self, log_in: Callable[[Credential], T], wanted: Credential, context: Context) -> T:
        return first_accepted(wanted, context.current(), login=log_in)

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Users]:
        return self._settings.users(itself, lambda: self._superuser(wanted, context), context)

    def _change(self, work: Users, wanted: Credential, context: Context) -> None:
        work.set_passwords(wanted.username, (digest(context.current()), digest(wanted)))

    def _end(self, itself: Session, old: Credential, context: Context) -> None:
        """The old password is taken from the user. With KEYTURN_END_SESSIONS all its connections are ended."""
        with self._open(itself, context.current(), old, context) as users:
            if digest(old) in users.get(old.username).passwords:
                users.set(old.username, f"!{digest(old)}")
            if self._settings.end_sessions:
                users.end_connections(old.username)
