"""Two logins in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on.

In each database where the login in use has a user, the idle one gets a user too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keyturn_rotators.alternation import base
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.sqlserver.connection import Session, Standing, standing
from keyturn_rotators.engines.sqlserver.equalise import equalise, left_over
from keyturn_rotators.engines.sqlserver.logins import IN_MASTER, create, enable, end_sessions, find_login, lock, set_password
from keyturn_rotators.engines.sqlserver.rights import sees_all
from keyturn_rotators.errors import Kind
from keyturn_rotators.in_turn import InTurn
from keyturn_rotators.rights import unequal


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The sessions of a step that holds the lock."""

    admin: Session
    in_use: Session


class AlternatingUsers(InTurn[Session, Locked]):
    """The login and its clone, changed by the login of the secret that masterarn names."""

    back_end = IN_MASTER
    longest_name, unit = 128, "characters"

    @contextmanager
    def _open(self, in_use: Session, idle: Credential, context: Context) -> Iterator[Locked]:
        with Session(self._superuser(idle, context), deadline=context.deadline) as admin:
            lock(admin.prepared(), base(context.current().username), deadline=context.deadline)
            yield Locked(admin=admin, in_use=in_use)

    def _shut_out(self, work: Locked, old: Credential, context: Context) -> None:
        """The login is disabled and its sessions ended."""
        found = find_login(work.admin, old.username)
        if found and not found.disabled:
            enable(work.admin, old.username, allowed=False)
        end_sessions(work.admin, old.username, witness=work.in_use, deadline=context.deadline)

    def _let_in(self, work: Locked, pending: Credential, context: Context) -> None:
        admin, current = work.admin, context.current().username
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
        equalise(admin, work.in_use, wanted=wanted, pending=pending.username)
        if left := left_over(admin, work.in_use, wanted=wanted, pending=pending.username):
            raise unequal(admin.place, idle=pending.username, current=current, statements=left)
