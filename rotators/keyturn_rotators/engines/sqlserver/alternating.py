"""Two logins in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. In each database where the login in use has a user, the idle one gets a
user too. The login in use is not touched, so its credential works until the next rotation.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from keyturn_rotators.alternation import InTurn, alternate, base, next_user, no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.sqlserver.connection import MASTER, PORT, Session, Standing, logs_in, standing
from keyturn_rotators.engines.sqlserver.equalise import equalise, left_over
from keyturn_rotators.engines.sqlserver.logins import LONGEST_PASSWORD, create, enable, end_sessions, find_login, lock, set_password
from keyturn_rotators.engines.sqlserver.rights import sees_all
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

LONGEST_NAME = 128  # characters
SHOWN = 5  # statements in a message


class AlternatingUsers(InTurn):
    """The login and its clone, changed by the login of the secret that masterarn names."""

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, longest=LONGEST_PASSWORD)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        user = next_user(current, longest=LONGEST_NAME, unit="characters")
        return current.replaced(username=user, password=self._policy.generate())

    def apply(self, pending: Credential, context: Context) -> None:
        with ExitStack() as sessions:
            self._let_in(self._locked(pending, context, sessions), pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in to the app's database. That the rights are equal, setSecret has seen to: a login cannot see the other's."""
        with Session(pending, deadline=context.deadline, database=pending.database(MASTER)) as session:
            session.run("SELECT ORIGINAL_LOGIN()")

    def retire(self, old: Credential, context: Context) -> None:
        """The idle login is disabled and its sessions ended, until `apply` or `restore` lets it in again."""
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            found = find_login(locked.admin, old.username)
            if found and not found.disabled:
                enable(locked.admin, old.username, allowed=False)
            end_sessions(locked.admin, old.username, witness=locked.in_use, deadline=context.deadline)
            prove_refused(logs_in(old, deadline=context.deadline), replace(locked.admin.place, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old login may log in with its old password; its rights are made equal to the current one's, as by `apply`."""
        if old.username == context.current().username:
            self.verify(old, context)  # promoted already
            return
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            self._let_in(locked, old, context)

    def _locked(self, idle: Credential, context: Context, sessions: ExitStack) -> "_Locked":
        """The sessions of one step, with the lock that keeps the steps of one pair apart. `idle` is the login that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            raise no_partner(idle)
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        # Whoever wrote the secret knows the password of the login that it names, or nothing is done in its name.
        in_use = sessions.enter_context(Session(current, deadline=context.deadline))
        admin = sessions.enter_context(Session(superuser, deadline=context.deadline)).prepared()
        lock(admin, base(current.username), deadline=context.deadline)
        return _Locked(admin=admin, in_use=in_use)

    def _let_in(self, locked: "_Locked", pending: Credential, context: Context) -> None:
        """Make a login valid, and its rights those of the current one."""
        admin, current = locked.admin, context.current().username
        if not sees_all(admin):
            check = "GRANT VIEW ANY DEFINITION to the superuser of the secret"
            raise admin.place.error(Kind.PERMISSION, f"what {current} may do is not shown whole to the superuser", check)
        wanted, found = find_login(admin, current), find_login(admin, pending.username)
        if wanted is None:
            what = f"{current} is no login with a password that the superuser can see, although it has logged in"
            check = "GRANT ALTER ANY LOGIN to the superuser; users of a contained database are rotated as SingleUser"
            raise admin.place.error(Kind.PERMISSION, what, check)
        if found is None:
            create(admin, pending.username, pending)
        elif standing(pending, deadline=context.deadline) is Standing.REFUSED:
            set_password(admin, pending)
        if found and found.disabled:
            enable(admin, pending.username, allowed=True)
        equalise(admin, locked.in_use, wanted=wanted, pending=pending.username)
        if left := left_over(admin, locked.in_use, wanted=wanted, pending=pending.username):
            raise _unequal(admin, left, current, pending.username)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locked:
    """The sessions of a step that holds the lock."""

    admin: Session
    in_use: Session


def _unequal(admin: Session, left: list[str], current: str, pending: str) -> RotationError:
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    check = f"what the superuser was not allowed to do, which somebody else may do by hand: {'; '.join(left[:SHOWN])}{more}"
    return admin.place.error(Kind.PERMISSION, f"{pending} may not do the same as {current}", check)
