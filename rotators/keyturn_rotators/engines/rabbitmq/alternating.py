"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names for the databases'. The user in use is not touched, so its credential works until the next rotation.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from keyturn_rotators.alternation import alternate, next_user, no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import log_in, logs_in, place_of, vhost
from keyturn_rotators.engines.rabbitmq.users import Users
from keyturn_rotators.engines.rabbitmq.work import Settings, refuse_another_vhost
from keyturn_rotators.proof import prove_refused

LONGEST_NAME = 255  # bytes, AMQP's short strings


class AlternatingUsers:
    """The user and its clone, changed by the administrator of the secret that masterarn names."""

    principal = ("username",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=next_user(current, longest=LONGEST_NAME), password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        if pending.username != alternate(current.username):
            return "username"
        return None if vhost(pending) == vhost(current) else "vhost"

    def apply(self, pending: Credential, context: Context) -> None:
        with self._users(pending, context) as users:
            model, idle = users.get(context.current().username), users.find(pending.username)
            if idle is None:
                users.without_password(pending.username, tags=model.tags)
            users.equalise(model, pending.username)
            # Last, so that it is let in only once it may do what the other may.
            if idle is None or set(idle.tags) != set(model.tags) or not logs_in(pending, deadline=context.deadline):
                users.set_password(pending.username, pending.password, tags=model.tags)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in and open the virtual host. That the rights are equal, setSecret has seen to: the user cannot read its own."""
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user loses its password and its connections, until `apply` or `restore` lets it in again."""
        refuse_another_vhost(old, context.current())
        context.confirm_idle()
        with self._users(old, context) as users:
            idle = users.find(old.username)
            if idle is not None and idle.password:
                users.without_password(old.username, tags=idle.tags)
            users.end_connections(old.username, deadline=context.deadline)
        prove_refused(logs_in(old, deadline=context.deadline), place_of(old))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its rights are made equal to the current one's, as by `apply`."""
        current = context.current()
        refuse_another_vhost(old, current)
        if old.username != current.username:  # else it has been promoted already
            context.confirm_idle()
            self.apply(old, context)
        self.verify(old, context)

    @contextmanager
    def _users(self, idle: Credential, context: Context) -> Iterator[Users]:
        """The users, where the current credential is taken. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            raise no_partner(idle)
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        log_in(current, deadline=context.deadline)
        with self._settings.users(idle, context, changed=(idle.username, current.username)) as users:
            yield users
