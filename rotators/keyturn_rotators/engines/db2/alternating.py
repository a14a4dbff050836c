"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. The user in use is not touched, so its credential works until the next
rotation.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from keyturn_rotators.alternation import alternate, next_user
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.db2.connection import FORBIDDEN, PORT, RDSADMIN, Session, identifier, logs_in
from keyturn_rotators.engines.db2.rights import not_copied, rights_of
from keyturn_rotators.engines.db2.users import equalise_groups, groups_of, set_or_add, set_password
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.rights import Change, changes
from keyturn_rotators.superuser import Superuser

LONGEST_NAME = 16  # characters, as in AWS's function
SHOWN = 5  # statements in a message


class AlternatingUsers:
    """The user and its clone, changed by the user of the secret that masterarn names."""

    principal = ("username",)

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        user = next_user(current, longest=LONGEST_NAME, unit="characters")
        return current.replaced(username=user, password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == alternate(current.username) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        with ExitStack() as sessions:
            self._let_in(self._open(pending, context, sessions), pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the rights are equal, setSecret has seen to."""
        with Session(pending, deadline=context.deadline) as session:
            session.run("VALUES CURRENT TIMESTAMP")

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user gets a password that nobody knows, until `apply` or `restore` sets another. Its sessions go on: RDS ends none."""
        with ExitStack() as sessions:
            opened = self._open(old, context, sessions)
            context.confirm_idle()
            if logs_in(old, deadline=context.deadline):
                set_password(opened.rds, old.replaced(password=self._policy.generate()), deadline=context.deadline)
            prove_refused(logs_in(old, deadline=context.deadline), replace(opened.rds.place, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user gets its old password back; its rights are made equal to the current one's, as by `apply`."""
        if old.username == context.current().username:
            self.verify(old, context)  # promoted already
            return
        with ExitStack() as sessions:
            opened = self._open(old, context, sessions)
            context.confirm_idle()
            self._let_in(opened, old, context)

    def _open(self, idle: Credential, context: Context, sessions: ExitStack) -> "_Opened":
        """The superuser's sessions of one step. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            check = "which version was meant; a user that is neither of the two is ended by hand"
            raise RotationError(
                Kind.POLICY, "the version's user is not the current one's partner", check=check, secret=context.secret, user=idle.username
            )
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        in_use = sessions.enter_context(Session(current, deadline=context.deadline))
        rds = sessions.enter_context(Session(superuser, deadline=context.deadline, database=RDSADMIN))
        admin = sessions.enter_context(Session(superuser, deadline=context.deadline, database=in_use.database))
        return _Opened(rds=rds, admin=admin)

    def _let_in(self, opened: "_Opened", pending: Credential, context: Context) -> None:
        """Make a user's login valid, and its rights those of the current one."""
        admin, current, name = opened.admin, context.current().username, pending.username
        if told := not_copied(admin, current):
            what = f"{current} has privileges of a kind that is not made equal ({', '.join(told)})"
            raise admin.place.error(Kind.POLICY, what, "grant those to a role, and the role to the user")
        groups = groups_of(admin, current)
        if not logs_in(pending, deadline=context.deadline):
            set_or_add(opened.rds, pending, groups=groups, deadline=context.deadline)
        equalise_groups(opened.rds, name, wanted=groups, found=groups_of(admin, name))
        for change in _changes(admin, current, name):
            if change.known:
                admin.attempt(change.statement)
        if left := [change.statement for change in _changes(admin, current, name)]:
            more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
            check = f"what the superuser was not allowed to do, which somebody else may do by hand: {'; '.join(left[:SHOWN])}{more}"
            raise admin.place.error(Kind.PERMISSION, f"{name} may not do the same as {current}", check)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The superuser's sessions: in RDSADMIN, and in the application's database."""

    rds: Session
    admin: Session


def _changes(admin: Session, current: str, name: str) -> list[Change]:
    return changes(wanted=rights_of(admin, current), found=rights_of(admin, name), name=identifier(name.upper()))
