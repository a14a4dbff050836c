"""The user's password is replaced, by the administrator of the secret that masterarn names: nobody else may.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import BACK_END
from keyturn_rotators.engines.rabbitmq.users import Users
from keyturn_rotators.engines.rabbitmq.work import THE_APIS, users_of
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.one_user import OneUser


class SingleUser(OneUser[None, Users]):
    """One user, one password."""

    back_end = BACK_END

    @contextmanager
    def _log_in(self, valid: Credential, context: Context) -> Iterator[None]:
        """The password is taken also where the virtual host is refused, which the next rotation need not wait for."""
        try:
            self.back_end.verify(valid, context.deadline)
        except RotationError as refused:
            if refused.kind is not Kind.PERMISSION:
                raise
        yield

    def _open(self, itself: None, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Users]:
        return users_of(self._superuser(wanted.without("port"), context, port=THE_APIS), context)

    def _change(self, work: Users, wanted: Credential, context: Context) -> None:
        work.set_password(wanted.username, wanted.password, tags=work.get(wanted.username).tags)

    def _end(self, itself: None, old: Credential, context: Context) -> None:
        """With KEYTURN_END_SESSIONS all connections of the user."""
        if self._settings.end_sessions:
            with self._open(itself, context.current(), old, context) as users:
                users.end_connections(old.username, deadline=context.deadline, goes_on=True)
