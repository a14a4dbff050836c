"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`APP` and `APP_CLONE` are AWS's names, so that its secrets carry on. The user in use is not touched, so its credential works until the next
rotation. A user of Oracle's is a schema too: what it owns its partner cannot own, so a user that owns anything is refused.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from keyturn_rotators.alternation import no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.oracle.connection import PORT, Session, identifier, logs_in, user_name
from keyturn_rotators.engines.oracle.pairs import base, is_partner, next_user
from keyturn_rotators.engines.oracle.rights import default_roles, owned, rights_of
from keyturn_rotators.engines.oracle.users import (
    FORBIDDEN,
    LONGEST_PASSWORD,
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
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.rights import Change, changes
from keyturn_rotators.superuser import Superuser

SHOWN = 5  # statements in a message


class AlternatingUsers:
    """The user and its clone, changed by the user of the secret that masterarn names."""

    principal = ("username",)

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN, longest=LONGEST_PASSWORD)
        return cls(policy, Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=next_user(current), password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if is_partner(pending, current) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        with ExitStack() as sessions:
            self._let_in(self._locked(pending, context, sessions), pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the rights are equal, setSecret has seen to: the user cannot see the other's."""
        with Session(pending, deadline=context.deadline) as session:
            session.run("SELECT SYSDATE FROM dual")

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user's account is locked and its sessions ended, until `apply` or `restore` lets it in again."""
        with ExitStack() as sessions:
            admin = self._locked(old, context, sessions)
            context.confirm_idle()
            found = find_account(admin, user_name(old))
            if found and not found.locked:
                allow(admin, found.name, login=False)
            end_sessions(admin, user_name(old), deadline=context.deadline)
            prove_refused(logs_in(old, deadline=context.deadline), replace(admin.place, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its rights are made equal to the current one's, as by `apply`."""
        if user_name(old) == user_name(context.current()):
            self.verify(old, context)  # promoted already
            return
        with ExitStack() as sessions:
            admin = self._locked(old, context, sessions)
            context.confirm_idle()
            found = find_account(admin, user_name(old))
            if found and found.locked:
                # The password that retiring has locked in is the old one: it is not set again, which a password history would refuse.
                allow(admin, found.name, login=True)
            self._let_in(admin, old, context)

    def _locked(self, idle: Credential, context: Context, sessions: ExitStack) -> Session:
        """The superuser's session, with the lock that keeps the steps of one pair apart. `idle` is the user that is not current."""
        current = context.current()
        if not is_partner(idle, current):
            raise no_partner(idle)
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        itself = sessions.enter_context(Session(current, deadline=context.deadline))
        admin = sessions.enter_context(superusers_session(superuser, itself, deadline=context.deadline))
        lock(admin, base(user_name(current)), deadline=context.deadline)
        return admin

    def _let_in(self, admin: Session, pending: Credential, context: Context) -> None:
        """Make a user's login valid, and its rights those of the current one."""
        name = user_name(pending)
        wanted = _usable(admin, user_name(context.current()))
        found = find_account(admin, name)
        if found is None:
            create(admin, pending, wanted)
        elif not logs_in(pending, deadline=context.deadline):
            set_password(admin, pending, unlock=True)
        _end_rollover(admin, name)
        for change in _changes(admin, wanted, name):
            if change.known:
                admin.attempt(change.statement)
        if left := [change.statement for change in _changes(admin, wanted, name)]:
            more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
            check = f"what the superuser was not allowed to do, which somebody else may do by hand: {'; '.join(left[:SHOWN])}{more}"
            raise admin.place.error(Kind.PERMISSION, f"{name} may not do the same as {wanted.name}", check)


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
