"""The user's password is replaced, by the administrator of the secret that masterarn names: nobody else may.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import log_in, logs_in, place_of, vhost
from keyturn_rotators.engines.rabbitmq.work import Settings, refuse_another_vhost
from keyturn_rotators.errors import Kind, RotationError
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
        if pending.username != current.username:
            return "username"
        return None if vhost(pending) == vhost(current) else "vhost"

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        self._prove_known(pending, context)
        with self._settings.users(pending, context, changed=(pending.username,)) as users:
            users.set_password(pending.username, pending.password, tags=users.get(pending.username).tags)

    def verify(self, pending: Credential, context: Context) -> None:
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was replaced: that is proved. With KEYTURN_END_SESSIONS all connections of the user are ended."""
        current = context.current()
        _same_user(old, current)
        context.confirm_idle()
        log_in(current, deadline=context.deadline)  # a refusal proves something only where the current one is taken
        if self._settings.end_sessions:
            with self._settings.users(old, context, changed=(old.username,)) as users:
                users.end_connections(old.username, deadline=context.deadline)
        prove_refused(logs_in(old, deadline=context.deadline), place_of(old))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        _same_user(old, context.current())
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    def _prove_known(self, pending: Credential, context: Context) -> None:
        """Whoever wrote the secret knows a password of the user: AWSCURRENT's, or AWSPREVIOUS's after a promotion that was taken back."""
        try:
            log_in(context.current(), deadline=context.deadline)
        except RotationError as refused:
            if refused.kind is Kind.PERMISSION:
                return  # it was taken, and may not open the virtual host
            previous = context.previous()
            if refused.kind is not Kind.AUTHENTICATION or previous is None:
                raise
            if previous.username != pending.username or previous.differs_from(pending):
                raise
            log_in(previous, deadline=context.deadline)


def _same_user(old: Credential, current: Credential) -> None:
    refuse_another_vhost(old, current)
    if old.username != current.username:
        check = "which version was meant; the password of another user is ended by hand"
        raise RotationError(
            Kind.POLICY, "the version's user is not the current version's", check=check, secret=old.secret, user=old.username
        )
