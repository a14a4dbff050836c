"""Two users in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on.

A user is all accounts of its name: for each host part that the one in use has, the idle one gets an account.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from keyturn_rotators.alternation import base, next_user
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import Account, accounts, create, refuse_without_password, set_password
from keyturn_rotators.engines.mysql.connection import BACK_END, Refusal, Session, logs_in
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.engines.mysql.rights import equalise, equalise_default_roles, left_over
from keyturn_rotators.engines.mysql.sessions import end_sessions
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.in_turn import InTurn
from keyturn_rotators.rights import shown

LONGEST_NAME_OF_MARIADB = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The sessions of a step that holds the lock. `host` is that of the account by which the current user has logged in."""

    admin: Session
    in_use: Session
    host: str

    def in_order(self, found: dict[str, Account]) -> Iterator[Account]:
        """That account last: once its partner takes a login, all others do."""
        yield from (found[host] for host in sorted(found, key=lambda host: (host == self.host, host)))


class AlternatingUsers(InTurn[Session, Locked]):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    back_end = BACK_END
    longest_name, unit = 32, "characters"  # MySQL's limit

    def _next_user(self, current: Credential) -> str:
        longest = LONGEST_NAME_OF_MARIADB if current.engine.lower() == "mariadb" else self.longest_name
        return next_user(current, longest=longest, unit=self.unit)

    @contextmanager
    def _open(self, in_use: Session, idle: Credential, context: Context) -> Iterator[Locked]:
        with Session(self._superuser(idle, context), deadline=context.deadline) as admin:
            lock(admin.prepared(), base(context.current().username), deadline=context.deadline)
            yield Locked(admin=admin, in_use=in_use, host=in_use.host)

    def _shut_out(self, work: Locked, old: Credential, context: Context) -> None:
        """The accounts are locked and their sessions ended."""
        # The account that our own login matches goes first, and is opened last: while it is shut, work is left to do.
        for account in reversed(list(work.in_order(accounts(work.admin, old.username)))):
            _shut(work.admin, account)
        end_sessions(work.admin, old.username, witness=work.in_use, deadline=context.deadline)

    def _let_in_again(self, work: Locked, old: Credential, context: Context) -> None:
        # The password that retiring has locked in is the old one: it is not set again, which a password history would refuse.
        in_use = accounts(work.admin, context.current().username)
        for account in work.in_order(accounts(work.admin, old.username)):
            if account.locked and not (account.host in in_use and in_use[account.host].locked):
                work.admin.run("ALTER USER %s@%s ACCOUNT UNLOCK", *account.name)
        self._let_in(work, old, context)

    def _let_in(self, work: Locked, pending: Credential, context: Context) -> None:
        admin, current = work.admin, context.current()
        wanted, found = _partners(admin, current, pending)
        valid = logs_in(pending, deadline=context.deadline)
        for account in work.in_order(wanted):
            partner = found.get(account.host)
            if partner is None:
                partner = replace(account, user=pending.username)
                create(admin, partner, pending)
            elif not valid:
                set_password(admin, partner, pending, unlock=not account.locked)
            if account.locked and not partner.locked:
                _shut(admin, partner)  # somebody keeps the user out from there, and so its partner
            equalise(admin, work.in_use, wanted=account, found=partner)
        with Session(pending, deadline=context.deadline) as itself:
            host = itself.host
            for account in wanted.values():
                partner = replace(account, user=pending.username)
                equalise_default_roles(admin, itself if account.host == host else None, wanted=account, found=partner)
        if left := left_over(admin, current=current.username, pending=pending.username):
            raise _unequal(admin, left, current)


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
    what = f"the second user may not do the same as {current.username}: {shown(phrases)}"
    check = "that the superuser of the secret has these rights WITH GRANT OPTION, and the roles WITH ADMIN OPTION; or change them by hand"
    return admin.place.error(Kind.PERMISSION, what, check)
