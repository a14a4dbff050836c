"""The user's password is replaced, by the administrator of the secret that masterarn names: nobody else may.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import log_in, logs_in, place_of
from keyturn_rotators.engines.rabbitmq.work import Settings, other_vhost
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.whose import login_before, refuse_another


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
        return "username" if pending.username != current.username else other_vhost(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        login_before(lambda credential: _prove_known(credential, context), pending, context)
        with self._settings.users(pending, context, changed=(pending.username,)) as users:
            users.set_password(pending.username, pending.password, tags=users.get(pending.username).tags)

    def verify(self, pending: Credential, context: Context) -> None:
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was replaced: that is proved. With KEYTURN_END_SESSIONS all connections of the user are ended."""
        current = context.current()
        refuse_another(self.is_successor(old, current), old)
        context.confirm_idle()
        log_in(current, deadline=context.deadline)  # a refusal proves something only where the current one is taken
        if self._settings.end_sessions:
            with self._settings.users(old, context, changed=(old.username,)) as users:
                users.end_connections(old.username, deadline=context.deadline)
        prove_refused(logs_in(old, deadline=context.deadline), place_of(old))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        refuse_another(self.is_successor(old, context.current()), old)
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)


def _prove_known(credential: Credential, context: Context) -> None:
    """The credential is taken; whether it may open the virtual host is another matter."""
    try:
        log_in(credential, deadline=context.deadline)
    except RotationError as refused:
        if refused.kind is not Kind.PERMISSION:
            raise
