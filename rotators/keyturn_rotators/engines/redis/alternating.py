"""Two users in turn: the idle one gets the new password, and the rules of the other, at every rotation.

`app` and `app_clone` are AWS's names for the databases'. The user in use is not touched, so its credential works until the next rotation.
Connections carry the user's name, so those of the old credential can be ended, and no others.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from keyturn_rotators.alternation import InTurn, alternate, next_user, no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import PORT, Session, logs_in
from keyturn_rotators.engines.redis.users import Users, digest
from keyturn_rotators.engines.redis.work import Settings
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused

LONGEST_NAME = 4096  # characters; the server has no limit of its own that a name would meet


class AlternatingUsers(InTurn):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=next_user(current, longest=LONGEST_NAME), password=self._settings.policy.generate())

    def apply(self, pending: Credential, context: Context) -> None:
        with self._users(pending, context) as users:
            _let_in(users, pending, context.current())

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the rules are equal, setSecret has seen to: the user cannot read its own."""
        with Session(pending, deadline=context.deadline):
            pass

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user is turned off without a password, and its connections are ended, until `apply` or `restore` lets it in again."""
        context.confirm_idle()
        with self._users(old, context) as users:
            found = users.find(old.username)
            if found is not None and (found.enabled or found.passwords):
                users.set(old.username, "off", "resetpass")
            users.end_connections(old.username)
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its rules are made equal to the current one's, as by `apply`."""
        if old.username == context.current().username:
            self.verify(old, context)  # promoted already
            return
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)

    @contextmanager
    def _users(self, idle: Credential, context: Context) -> Iterator[Users]:
        """The users, where the superuser and the current credential are taken. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            raise no_partner(idle)
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        with (
            Session(current, deadline=context.deadline) as itself,
            self._settings.users(itself, idle, context, others=(idle.username,)) as users,
        ):
            yield users


def _let_in(users: Users, pending: Credential, current: Credential) -> None:
    """Make a user's login valid, and its rules those of the current user."""
    model = users.get(current.username)
    wanted = replace(model, name=pending.username, enabled=True, passwords=frozenset((digest(pending),)))
    if users.find(pending.username) != wanted:
        users.set(pending.username, "reset", "on", f"#{digest(pending)}", *model.rules)
