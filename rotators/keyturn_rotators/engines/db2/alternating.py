"""Two users in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.db2.connection import BACK_END, RDSADMIN, Session, identifier, logs_in
from keyturn_rotators.engines.db2.rights import not_copied, rights_of
from keyturn_rotators.engines.db2.users import equalise_groups, groups_of, set_or_add, set_password
from keyturn_rotators.errors import Kind
from keyturn_rotators.in_turn import InTurn
from keyturn_rotators.rights import Change, changes, unequal


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The superuser's sessions: in RDSADMIN, and in the application's database."""

    rds: Session
    admin: Session


class AlternatingUsers(InTurn[Session, Opened]):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    back_end = BACK_END
    longest_name, unit = 16, "characters"  # as in AWS's function

    @contextmanager
    def _open(self, in_use: Session, idle: Credential, context: Context) -> Iterator[Opened]:
        superuser = self._superuser(idle, context)
        with (
            Session(superuser, deadline=context.deadline, database=RDSADMIN) as rds,
            Session(superuser, deadline=context.deadline, database=in_use.database) as admin,
        ):
            yield Opened(rds=rds, admin=admin)

    def _shut_out(self, work: Opened, old: Credential, context: Context) -> None:
        """It gets a password that nobody knows. Its sessions go on: RDS ends none."""
        if logs_in(old, deadline=context.deadline):
            set_password(work.rds, old.replaced(password=self._settings.policy.generate()), deadline=context.deadline)

    def _let_in(self, work: Opened, pending: Credential, context: Context) -> None:
        admin, current, name = work.admin, context.current().username, pending.username
        if told := not_copied(admin, current):
            what = f"{current} has privileges of a kind that is not made equal ({', '.join(told)})"
            raise admin.place.error(Kind.POLICY, what, "grant those to a role, and the role to the user")
        groups = groups_of(admin, current)
        if not logs_in(pending, deadline=context.deadline):
            set_or_add(work.rds, pending, groups=groups, deadline=context.deadline)
        equalise_groups(work.rds, name, wanted=groups, found=groups_of(admin, name))
        for change in _changes(admin, current, name):
            if change.known:
                admin.attempt(change.statement)
        if left := [change.statement for change in _changes(admin, current, name)]:
            raise unequal(admin.place, idle=name, current=current, statements=left)


def _changes(admin: Session, current: str, name: str) -> list[Change]:
    return changes(wanted=rights_of(admin, current), found=rights_of(admin, name), name=identifier(name.upper()))
