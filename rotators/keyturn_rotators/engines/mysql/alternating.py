"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. A user is all accounts of its name: for each host part that the one in
use has, the idle one gets an account. The user in use is not touched, so its credential works until the next rotation.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from keyturn_rotators.alternation import InTurn, alternate, base, next_user, no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import Account, accounts, create, refuse_without_password, set_password
from keyturn_rotators.engines.mysql.connection import PORT, Refusal, Session, logs_in
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.engines.mysql.rights import equalise, equalise_default_roles, left_over
from keyturn_rotators.engines.mysql.sessions import end_sessions
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

LONGEST_NAME = 32  # characters, MySQL's limit
LONGEST_NAME_OF_MARIADB = 80
SHOWN = 5  # differences in a message


class AlternatingUsers(InTurn):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(PasswordPolicy.from_environment(environ, excluded=EXCLUDED), Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        longest = LONGEST_NAME_OF_MARIADB if current.engine.lower() == "mariadb" else LONGEST_NAME
        return current.replaced(username=next_user(current, longest=longest, unit="characters"), password=self._policy.generate())

    def apply(self, pending: Credential, context: Context) -> None:
        with ExitStack() as sessions:
            self._let_in(self._locked(pending, context, sessions), pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in to the app's database. That the rights are equal, setSecret has seen to: the user cannot see the other's."""
        with Session(pending, deadline=context.deadline, database=True) as session:
            session.run("SELECT CURRENT_USER()")

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user's accounts are locked and its sessions ended, until `apply` or `restore` lets it in again."""
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            # The account that our own login matches goes first, and is opened last: while it is shut, work is left to do.
            for account in reversed(list(locked.in_order(accounts(locked.admin, old.username)))):
                _shut(locked.admin, account)
            end_sessions(locked.admin, old.username, witness=locked.in_use, deadline=context.deadline)
            prove_refused(logs_in(old, deadline=context.deadline), replace(locked.admin.place, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its rights are made equal to the current one's, as by `apply`."""
        if old.username == context.current().username:
            self.verify(old, context)  # promoted already
            return
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            # The password that retiring has locked in is the old one: it is not set again, which a password history would refuse.
            in_use = accounts(locked.admin, context.current().username)
            for account in locked.in_order(accounts(locked.admin, old.username)):
                if account.locked and not (account.host in in_use and in_use[account.host].locked):
                    locked.admin.run("ALTER USER %s@%s ACCOUNT UNLOCK", *account.name)
            self._let_in(locked, old, context)

    def _locked(self, idle: Credential, context: Context, sessions: ExitStack) -> "_Locked":
        """The logins of one step, with the lock that keeps the steps of one pair apart. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            raise no_partner(idle)
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        in_use = sessions.enter_context(Session(current, deadline=context.deadline))
        admin = sessions.enter_context(Session(superuser, deadline=context.deadline)).prepared()
        lock(admin, base(current.username), deadline=context.deadline)
        return _Locked(admin=admin, in_use=in_use, host=in_use.host)

    def _let_in(self, locked: "_Locked", pending: Credential, context: Context) -> None:
        """Make a user's login valid, and its rights those of the current user."""
        admin, current = locked.admin, context.current()
        wanted, found = _partners(admin, current, pending)
        valid = logs_in(pending, deadline=context.deadline)
        for account in locked.in_order(wanted):
            partner = found.get(account.host)
            if partner is None:
                partner = replace(account, user=pending.username)
                create(admin, partner, pending)
            elif not valid:
                set_password(admin, partner, pending, unlock=not account.locked)
            if account.locked and not partner.locked:
                _shut(admin, partner)  # somebody keeps the user out from there, and so its partner
            equalise(admin, locked.in_use, wanted=account, found=partner)
        with Session(pending, deadline=context.deadline) as itself:
            host = itself.host
            for account in wanted.values():
                partner = replace(account, user=pending.username)
                equalise_default_roles(admin, itself if account.host == host else None, wanted=account, found=partner)
        if left := left_over(admin, current=current.username, pending=pending.username):
            raise _unequal(admin, left, current)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locked:
    """The sessions of a step that holds the lock. `host` is that of the account by which the current user has logged in."""

    admin: Session
    in_use: Session
    host: str

    def in_order(self, found: dict[str, Account]) -> Iterator[Account]:
        """That account last: once its partner takes a login, all others do."""
        yield from (found[host] for host in sorted(found, key=lambda host: (host == self.host, host)))


def _partners(admin: Session, current: Credential, pending: Credential) -> tuple[dict[str, Account], dict[str, Account]]:
    """The accounts of both users. Raises RotationError where the two cannot be made alike, before anything is changed."""
    wanted, found = accounts(admin, current.username), accounts(admin, pending.username)
    if not wanted:
        what = f"mysql.user has no account of the name {current.username}, although it has logged in"
        raise admin.place.error(Kind.POLICY, what, "the user: anonymous and proxied users cannot be rotated")
    if extra := sorted(set(found) - set(wanted)):
        names = ", ".join(str(found[host]) for host in extra)
        check = f"RENAME USER it to a host part of {current.username} ({', '.join(wanted)}), or DROP USER it"
        raise admin.place.error(Kind.POLICY, f"{names} exists, and {current.username} has no account for that host", check)
    for account in [*wanted.values(), *found.values()]:
        refuse_without_password(admin, account)
    return wanted, found


def _shut(admin: Session, account: Account) -> None:
    try:
        admin.run("ALTER USER %s@%s ACCOUNT LOCK", *account.name)
    except Refusal as error:
        if error.syntax:
            raise Unsupported("the server knows no ACCOUNT LOCK") from None
        raise


def _unequal(admin: Session, left: dict[str, list[str]], current: Credential) -> RotationError:
    phrases = [f"{account}: {phrase}" for account, several in left.items() for phrase in several]
    more = f" and {len(phrases) - SHOWN} more" if len(phrases) > SHOWN else ""
    what = f"the second user may not do the same as {current.username}: {'; '.join(phrases[:SHOWN])}{more}"
    check = "that the superuser of the secret has these rights WITH GRANT OPTION, and the roles WITH ADMIN OPTION; or change them by hand"
    return admin.place.error(Kind.PERMISSION, what, check)
