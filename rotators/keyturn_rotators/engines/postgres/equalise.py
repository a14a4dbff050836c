"""Makes the idle role's rights equal to the other's, with the logins that a rotation has.

Every statement is tried by those who may be allowed it, the owner of a right before the superuser, so that the superuser needs little. What
nobody was allowed to change is left over, and counts only where the two roles may really not do the same.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from keyturn_rotators.engines.postgres.comparison import differences, role_differences
from keyturn_rotators.engines.postgres.connection import Session, identifier
from keyturn_rotators.engines.postgres.rights import changes, databases, owned_by_follower
from keyturn_rotators.engines.postgres.roles import Pair, acting_as_holder, setting_changes
from keyturn_rotators.errors import Kind, RotationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """The sessions of one rotation in one database; None where a user may not connect to it."""

    pair: Pair
    admin: Session | None
    in_use: Session | None
    idle: Session | None

    @property
    def follower(self) -> Session | None:
        return self.idle if self.pair.follower == self.pair.pending else self.in_use

    def all(self) -> list[Session]:
        """In the order in which they are to try."""
        return [session for session in (self.in_use, self.idle, self.admin) if session is not None]


def equalise(logins: Logins) -> list[str]:
    """Do it in every database that matters. Returns the differences that are left."""
    pair, anybody = logins.pair, logins.all()[0]
    _try_each(logins, [change.statement for change in setting_changes(anybody, pair)], first=logins.idle)
    left: list[str] = []
    for database in databases(anybody, pair):
        with _in_database(logins, database) as there:
            left += equalise_database(there)
    _try_each(logins, acting_as_holder(anybody, pair), first=logins.follower)
    return left + role_differences(anybody, pair)


def equalise_database(logins: Logins) -> list[str]:
    """The same in the sessions' own database."""
    pair, anybody = logins.pair, logins.all()[0]
    if logins.follower and owned_by_follower(anybody, pair):
        logins.follower.attempt(f"REASSIGN OWNED BY {identifier(pair.follower)} TO {identifier(pair.holder)}")
    for session in logins.all():
        statements = changes(session, pair)
        if not statements:
            break
        for statement in statements:
            session.attempt(statement)
    return differences(anybody, pair)


def _try_each(logins: Logins, statements: list[str], *, first: Session | None) -> None:
    for statement in statements:
        done = first is not None and first.attempt(statement)
        if not done and logins.admin is not None:
            logins.admin.attempt(statement)


@contextmanager
def _in_database(logins: Logins, database: str) -> Iterator[Logins]:
    if logins.all()[0].database == database:
        yield logins
        return
    with ExitStack() as stack:

        def enter(session: Session | None) -> Session | None:
            try:
                there = stack.enter_context(session.elsewhere(database)) if session else None
            except RotationError as error:
                if error.kind is not Kind.PERMISSION:
                    raise
                return None
            if there and session is not logins.admin:
                there.as_itself()
            return there

        there = Logins(pair=logins.pair, admin=enter(logins.admin), in_use=enter(logins.in_use), idle=enter(logins.idle))
        if not there.all():
            raise RotationError(
                Kind.PERMISSION,
                f"nobody of this rotation may connect to the database {database}, where {logins.pair.follower} has rights",
                check=f"GRANT CONNECT ON DATABASE {identifier(database)} to the superuser of the secret",
            )
        yield there
