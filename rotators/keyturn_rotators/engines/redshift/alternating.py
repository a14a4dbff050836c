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
from keyturn_rotators.engines.redshift import users
from keyturn_rotators.engines.redshift.connection import DATABASE, PORT, Session, log_in, logs_in
from keyturn_rotators.engines.redshift.equalise import equalise
from keyturn_rotators.engines.redshift.passwords import policy
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

LONGEST_NAME = 50  # bytes: of identifiers it is 127, but stv_sessions cuts users' names off here


class AlternatingUsers:
    """The user and its clone, changed by the superuser of the secret that masterarn names."""

    principal = ("username",)

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(policy(environ), Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=next_user(current, longest=LONGEST_NAME), password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == alternate(current.username) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        with self._admin(pending, context) as admin:
            current = context.current().username
            model = users.get(admin, current)
            if users.find(admin, pending.username) is None:
                users.create(admin, pending.username)
            users.set_attributes(admin, pending.username, model=model, found=users.get(admin, pending.username))
            equalise(admin, model=current, idle=pending.username)
            # Last, so that it is let in only once it may do what the other may.
            if not logs_in(pending, deadline=context.deadline):
                users.set_password(admin, pending.username, pending.password)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the rights are equal, setSecret has seen to: the user need not see the other's."""
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user loses its password and its sessions, until `apply` or `restore` lets it in again."""
        context.confirm_idle()
        with self._admin(old, context) as admin:
            if users.find(admin, old.username) is not None:
                users.shut_out(admin, old.username, deadline=context.deadline)
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user gets its old password; its rights are made equal to the current one's, as by `apply`."""
        if old.username != context.current().username:  # else it has been promoted already
            context.confirm_idle()
            self.apply(old, context)
        self.verify(old, context)

    @contextmanager
    def _admin(self, idle: Credential, context: Context) -> Iterator[Session]:
        """The superuser in the secret's database, where the current credential is taken. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            check = "which version was meant; a user that is neither of the two is ended by hand"
            raise RotationError(
                Kind.POLICY, "the version's user is not the current one's partner", check=check, secret=context.secret, user=idle.username
            )
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        log_in(current, deadline=context.deadline)
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        with Session(superuser.replaced(dbname=current.database(DATABASE)), deadline=context.deadline) as admin:
            yield admin
