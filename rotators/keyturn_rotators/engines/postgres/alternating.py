"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. The user in use is not touched but for the session default by which the
follower acts as the holder (`roles`), so its credential works until the next rotation.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.alternation import InTurn, alternate, base, next_user, no_partner
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.postgres.comparison import differences, role_differences
from keyturn_rotators.engines.postgres.connection import PORT, Session, identifier, literal, logs_in, verifier
from keyturn_rotators.engines.postgres.equalise import Logins, equalise, equalise_database
from keyturn_rotators.engines.postgres.retirement import shut_out
from keyturn_rotators.engines.postgres.rights import changes, databases
from keyturn_rotators.engines.postgres.roles import Pair, attribute_changes, find_pair, membership
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

LONGEST_NAME = 63  # bytes, NAMEDATALEN - 1
SHOWN = 5  # differences and statements in a message


class AlternatingUsers(InTurn):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(PasswordPolicy.from_environment(environ, excluded=EXCLUDED), Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=next_user(current, longest=LONGEST_NAME), password=self._policy.generate())

    def apply(self, pending: Credential, context: Context) -> None:
        with ExitStack() as sessions:
            self._let_in(self._locked(pending, context, sessions), pending, context, sessions)

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user may not log in any more, and its sessions are ended, until `apply` or `restore` lets it in again."""
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            pair = find_pair(locked.admin, current=context.current().username, pending=old.username, base=base(old.username))
            if pair is not None:
                shut_out(locked.admin, pair, old=old, deadline=context.deadline, in_use=locked.in_use)
            prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user gets its old password and may log in; its rights are made equal to the current one's, as by `apply`."""
        if old.username == context.current().username:
            self.verify(old, context)  # promoted already; a password that somebody changed by hand is changed back by hand
            return
        with ExitStack() as sessions:
            locked = self._locked(old, context, sessions)
            context.confirm_idle()
            self._let_in(locked, old, context, sessions)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline) as session:
            pair = find_pair(session, current=alternate(pending.username), pending=pending.username, base=base(pending.username))
            if pair is None:
                return  # the other user is yet to be made: AWS tries a new rotation before it begins
            left = role_differences(session, pair)
            if pair.pending == pair.follower and session.run("SELECT session_user = current_user")[0][0]:
                left.append(f"{pair.follower} does not act as {pair.holder}")
            left += differences(session, pair)
            for database in databases(session, pair):
                if database != session.database:
                    with session.elsewhere(database) as there:
                        left += differences(there, pair)
            if left:
                raise _unequal(pair, left, changes(session, pair), pending)

    def _locked(self, idle: Credential, context: Context, sessions: ExitStack) -> "_Locked":
        """The logins of one step, with the lock that keeps the steps of one pair apart. `idle` is the user that is not current."""
        current = context.current()
        if idle.username != alternate(current.username):
            raise no_partner(idle)
        superuser = self._superuser.login(idle, context, port=PORT, users=(idle.username, current.username))
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        in_use = sessions.enter_context(Session(current, deadline=context.deadline)).as_itself()
        admin = sessions.enter_context(Session(superuser, deadline=context.deadline, database=in_use.database))
        admin.run("SELECT pg_advisory_lock(hashtextextended(:name, 0))", name=f"keyturn/{base(current.username)}")
        return _Locked(admin=admin, in_use=in_use)

    def _let_in(self, locked: "_Locked", pending: Credential, context: Context, sessions: ExitStack) -> None:
        """Make a user's login valid, and its rights those of the current user."""
        admin, in_use = locked.admin, locked.in_use
        pair = _open(admin, pending, context)
        # Among others the right to connect to the database, which the idle user's own login needs.
        equalise_database(Logins(pair=pair, admin=admin, in_use=in_use, idle=None))
        idle = sessions.enter_context(Session(pending, deadline=context.deadline)).as_itself()
        left = equalise(Logins(pair=pair, admin=admin, in_use=in_use, idle=idle))
        if left:
            raise _unequal(pair, left, changes(admin, pair), pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Locked:
    """The sessions of a step that holds the lock."""

    admin: Session
    in_use: Session


def _open(admin: Session, pending: Credential, context: Context) -> Pair:
    """Make the pending login valid, as a partner of the current one."""
    user = identifier(pending.username)
    current = context.current().username
    password = literal(verifier(pending.password))
    pair = find_pair(admin, current=current, pending=pending.username, base=base(current))
    if pair is None:
        pair = Pair(current=current, pending=pending.username, holder=current)
        # One transaction: a role without its membership would be a stranger to the next attempt.
        admin.run(f"CREATE ROLE {user} LOGIN PASSWORD {password}; {membership(admin, pair)}")
    else:
        admin.attempt(membership(admin, pair))
        if not logs_in(pending, deadline=context.deadline):
            admin.run(f"ALTER ROLE {user} LOGIN PASSWORD {password}")
    for change in attribute_changes(admin, pair):
        admin.attempt(change.statement)
    return pair


def _unequal(pair: Pair, left: list[str], statements: list[str], pending: Credential) -> RotationError:
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    cure = "; ".join(statements[:SHOWN]) or "the superuser's grants and attributes, as the rotator's documentation lists them"
    return RotationError(
        Kind.PERMISSION,
        f"{pair.pending} may not do the same as {pair.current}: {'; '.join(left[:SHOWN])}{more}",
        check=f"what the superuser was not allowed to do, which somebody else may do by hand: {cure}",
        secret=pending.secret,
        host=pending.host,
        user=pair.pending,
    )
