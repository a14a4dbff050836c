"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. The user in use is not touched, so its credential works until the next
rotation.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from keyturn_rotators.alternation import alternate, next_user
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import leads_elsewhere, log_in, logs_in
from keyturn_rotators.engines.mongodb.driver import PORT
from keyturn_rotators.engines.mongodb.users import Users
from keyturn_rotators.engines.mongodb.work import Settings, refuse_elsewhere
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused

LONGEST_NAME = 63  # characters, DocumentDB's limit; MongoDB has none that matters


class AlternatingUsers:
    """The user and its clone, changed by the superuser of the secret that masterarn names."""

    principal = ("username",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        user = next_user(current, longest=LONGEST_NAME, unit="characters")
        return current.replaced(username=user, password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != alternate(current.username) else leads_elsewhere(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        with self._users(pending, context) as users:
            model, idle = users.get(context.current().username), users.find(pending.username)
            if idle is None:
                users.create(pending.username, pending.password, model=model)
                return
            users.equalise(model, idle)
            # Last, so that it is let in only once it may do what the other may.
            if idle.mechanisms != model.mechanisms or not logs_in(pending, deadline=context.deadline):
                users.set_password(pending.username, pending.password, mechanisms=model.mechanisms)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the roles are equal, setSecret has seen to: the user need not see the other's."""
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user loses its password and its roles, until `apply` or `restore` gives it both again."""
        refuse_elsewhere(old, context.current())
        context.confirm_idle()
        with self._users(old, context) as users:
            if idle := users.find(old.username):
                users.shut_out(idle)
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user gets its old password; its roles are made equal to the current one's, as by `apply`."""
        current = context.current()
        refuse_elsewhere(old, current)
        if old.username != current.username:  # else it has been promoted already
            context.confirm_idle()
            self.apply(old, context)
        self.verify(old, context)

    @contextmanager
    def _users(self, idle: Credential, context: Context) -> Iterator[Users]:
        """The users, where the current credential is taken. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            check = "which version was meant; a user that is neither of the two is ended by hand"
            raise RotationError(
                Kind.POLICY, "the version's user is not the current one's partner", check=check, secret=context.secret, user=idle.username
            )
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        log_in(current, deadline=context.deadline)
        with self._settings.users(idle, context, changed=(idle.username, current.username)) as users:
            yield users
