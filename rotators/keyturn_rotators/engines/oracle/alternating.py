"""Two users in turn: `APP` and `APP_CLONE`, which are AWS's names, so that its secrets carry on.

A user of Oracle's is a schema too: what it owns its partner cannot own, so a user that owns anything is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.oracle.connection import Session, identifier, logs_in, user_name
from keyturn_rotators.engines.oracle.pairs import LONGEST_NAME, base, is_partner, next_user
from keyturn_rotators.engines.oracle.rights import default_roles, owned, rights_of
from keyturn_rotators.engines.oracle.users import (
    BACK_END,
    Account,
    allow,
    create,
    end_rollover,
    end_sessions,
    find_account,
    lock,
    set_password,
    superusers_session,
)
from keyturn_rotators.errors import Kind
from keyturn_rotators.in_turn import InTurn
from keyturn_rotators.rights import Change, changes, unequal


class AlternatingUsers(InTurn[Session, Session]):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    back_end = BACK_END
    longest_name = LONGEST_NAME

    def _next_user(self, current: Credential) -> str:
        return next_user(current)

    def _are_partners(self, idle: Credential, current: Credential) -> bool:
        return is_partner(idle, current)

    def _are_one(self, one: Credential, other: Credential) -> bool:
        return user_name(one) == user_name(other)

    @contextmanager
    def _open(self, in_use: Session, idle: Credential, context: Context) -> Iterator[Session]:
        with superusers_session(self._superuser(idle, context), in_use, deadline=context.deadline) as admin:
            lock(admin, base(user_name(context.current())), deadline=context.deadline)
            yield admin

    def _shut_out(self, work: Session, old: Credential, context: Context) -> None:
        """The account is locked and its sessions ended."""
        found = find_account(work, user_name(old))
        if found and not found.locked:
            allow(work, found.name, login=False)
        end_sessions(work, user_name(old), deadline=context.deadline)

    def _let_in_again(self, work: Session, old: Credential, context: Context) -> None:
        found = find_account(work, user_name(old))
        if found and found.locked:
            # The password that retiring has locked in is the old one: it is not set again, which a password history would refuse.
            allow(work, found.name, login=True)
        self._let_in(work, old, context)

    def _let_in(self, work: Session, pending: Credential, context: Context) -> None:
        name = user_name(pending)
        wanted = _usable(work, user_name(context.current()))
        found = find_account(work, name)
        if found is None:
            create(work, pending, wanted)
        elif not logs_in(pending, deadline=context.deadline):
            set_password(work, pending, unlock=True)
        _end_rollover(work, name)
        for change in _changes(work, wanted, name):
            if change.known:
                work.attempt(change.statement)
        if left := [change.statement for change in _changes(work, wanted, name)]:
            raise unequal(work.place, idle=name, current=wanted.name, statements=left)


def _usable(admin: Session, name: str) -> Account:
    """The account in use. Raises RotationError where it can have no partner, before anything is changed."""
    found = find_account(admin, name)
    if found is None or not found.by_password:
        check = "the user: local users with a password of the database are rotated"
        raise admin.place.error(Kind.POLICY, f"{name} has no password that could be rotated in turn, although it has logged in", check)
    if what := owned(admin, name):
        check = "keep them in a schema that no application logs in as, and grant what the application needs, best through a role"
        raise admin.place.error(Kind.POLICY, f"{name} owns objects, which only one user can ({what})", check)
    return found


def _end_rollover(admin: Session, name: str) -> None:
    """The password before is two rotations old: a profile's rollover time would keep it alive."""
    found = find_account(admin, name)
    if found and found.in_rollover:
        end_rollover(admin, name)


def _changes(admin: Session, wanted: Account, name: str) -> list[Change]:
    quoted, found = identifier(name), find_account(admin, name)
    settings = [] if found and found.settings == wanted.settings else [Change(f"ALTER USER {quoted} {wanted.settings}")]
    left = changes(wanted=rights_of(admin, wanted.name), found=rights_of(admin, name), name=quoted)
    roles = default_roles(admin, wanted.name)
    # Last: a role must have been granted to be a default one.
    same = not left and roles == default_roles(admin, name)
    return settings + left + ([] if same else [Change(f"ALTER USER {quoted} DEFAULT ROLE {roles}")])
