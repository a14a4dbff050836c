"""Two users in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on.

The user in use is not touched but for the session default by which the follower acts as the holder (`roles`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from keyturn_rotators.alternation import alternate, base
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.postgres.comparison import differences, role_differences
from keyturn_rotators.engines.postgres.connection import BACK_END, Session, identifier, literal, logs_in, verifier
from keyturn_rotators.engines.postgres.equalise import Logins, equalise, equalise_database
from keyturn_rotators.engines.postgres.retirement import shut_out
from keyturn_rotators.engines.postgres.rights import changes, databases
from keyturn_rotators.engines.postgres.roles import Pair, attribute_changes, find_pair, membership
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.in_turn import InTurn
from keyturn_rotators.rights import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The sessions of a step that holds the lock."""

    admin: Session
    in_use: Session


class AlternatingUsers(InTurn[Session, Locked]):
    """The user and its clone, changed by the user of the secret that masterarn names."""

    back_end = BACK_END
    longest_name = 63  # bytes, NAMEDATALEN - 1

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

    @contextmanager
    def _open(self, in_use: Session, idle: Credential, context: Context) -> Iterator[Locked]:
        in_use.as_itself()
        with Session(self._superuser(idle, context), deadline=context.deadline, database=in_use.database) as admin:
            pair = base(context.current().username)
            admin.run("SELECT pg_advisory_lock(hashtextextended(:name, 0))", name=f"keyturn/{pair}")
            yield Locked(admin=admin, in_use=in_use)

    def _shut_out(self, work: Locked, old: Credential, context: Context) -> None:
        """It may not log in any more, and its sessions are ended."""
        pair = find_pair(work.admin, current=context.current().username, pending=old.username, base=base(old.username))
        if pair is not None:
            shut_out(work.admin, pair, old=old, deadline=context.deadline, in_use=work.in_use)

    def _let_in(self, work: Locked, pending: Credential, context: Context) -> None:
        admin, in_use = work.admin, work.in_use
        pair = _made(admin, pending, context)
        # Among others the right to connect to the database, which the idle user's own login needs.
        equalise_database(Logins(pair=pair, admin=admin, in_use=in_use, idle=None))
        with Session(pending, deadline=context.deadline) as idle:
            left = equalise(Logins(pair=pair, admin=admin, in_use=in_use, idle=idle.as_itself()))
        if left:
            raise _unequal(pair, left, changes(admin, pair), pending)


def _made(admin: Session, pending: Credential, context: Context) -> Pair:
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
    cure = shown(statements) or "the superuser's grants and attributes, as the rotator's documentation lists them"
    return RotationError(
        Kind.PERMISSION,
        f"{pair.pending} may not do the same as {pair.current}: {shown(left)}",
        check=f"what the superuser was not allowed to do, which somebody else may do by hand: {cure}",
        secret=pending.secret,
        host=pending.host,
        user=pair.pending,
    )
