"""The user's password is replaced: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import BACK_END, Session
from keyturn_rotators.engines.redis.users import Users, digest
from keyturn_rotators.engines.redis.work import RedisSettings
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.one_user import OneUser, T


class SingleUser(OneUser[Session, Users]):
    """One user, one password."""

    back_end = BACK_END
    _settings: RedisSettings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(RedisSettings.from_environment(environ))

    def _is_settled(self, wanted: Credential, context: Context) -> bool:
        """Never: where the password is taken already, an earlier attempt may have died before it saved the users."""
        return False

    def _valid(self, log_in: Callable[[Credential], T], wanted: Credential, context: Context) -> T:
        """The pending one's after an attempt that died, AWSPREVIOUS's after a rollback."""
        try:
            return log_in(wanted)
        except RotationError as refused:
            if refused.kind is not Kind.AUTHENTICATION:
                raise
        return super()._valid(log_in, wanted, context)

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Users]:
        return self._settings.users(itself, lambda: self._superuser(wanted, context), context)

    def _change(self, work: Users, wanted: Credential, context: Context) -> None:
        work.set_passwords(wanted.username, (digest(wanted),))

    def _end(self, itself: Session, old: Credential, context: Context) -> None:
        """With KEYTURN_END_SESSIONS all connections of the user."""
        if self._settings.end_sessions:
            with self._open(itself, context.current(), old, context) as users:
                users.end_connections(old.username)
