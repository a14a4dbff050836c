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
from keyturn_rotators.logins import same_user, valid_login
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
                users.end_connections(old.username, deadline=context.deadline, goes_on=True)
        prove_refused(logs_in(old, deadline=context.deadline), place_of(old))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        _same_user(old, context.current())
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    def _prove_known(self, pending: Credential, context: Context) -> None:
        """Whoever wrote the secret knows a password of the user."""
        current = context.current()

        def known(valid: Credential) -> None:
            try:
                log_in(valid, deadline=context.deadline)
            except RotationError as refused:
                if refused.kind is not Kind.PERMISSION or valid is not current:  # an older version's virtual host may be another
                    raise

        valid_login(known, before=pending, context=context)


def _same_user(old: Credential, current: Credential) -> None:
    refuse_another_vhost(old, current)
    same_user(old, current)
