"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

`app` and `app_clone` are AWS's names, so that its secrets carry on. The user in use is not touched but for the session default by which the
follower acts as the holder (`roles`), so its credential works until the next rotation.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.postgres.comparison import differences, role_differences
from keyturn_rotators.engines.postgres.connection import PORT, Session, identifier, literal, logs_in, verifier
from keyturn_rotators.engines.postgres.equalise import Logins, equalise, equalise_database
from keyturn_rotators.engines.postgres.rights import changes, databases
from keyturn_rotators.engines.postgres.roles import Pair, attribute_changes, find_pair, membership
from keyturn_rotators.engines.postgres.single import EXCLUDED
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.rotation import Context

SUFFIX = "_clone"
LONGEST_NAME = 63  # bytes, NAMEDATALEN - 1
SHOWN = 5  # differences and statements in a message
SUPERUSER_HOST = "KEYTURN_SUPERUSER_HOST"


class AlternatingUsers:
    """The user and its clone, changed by the user of the secret that masterarn names."""

    def __init__(self, policy: PasswordPolicy, *, superuser_host: str | None = None) -> None:
        """`superuser_host`: of superuser secrets that name none, as RDS makes them."""
        self._policy = policy
        self._superuser_host = superuser_host

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED)
        return cls(policy, superuser_host=environ.get(SUPERUSER_HOST))

    def propose(self, current: Credential, context: Context) -> Credential:
        user = alternate(current.username)
        if len(user.encode()) > LONGEST_NAME:
            raise RotationError(
                Kind.POLICY,
                f"the second user's name would be longer than PostgreSQL's {LONGEST_NAME} bytes",
                check="the user's name, or rotate it as SingleUser",
                secret=context.secret,
                user=user,
            )
        return current.replaced(username=user, password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == alternate(current.username) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        current, superuser = context.current(), self._superuser(pending, context)
        with ExitStack() as sessions:
            # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
            in_use = sessions.enter_context(Session(current, deadline=context.deadline)).as_itself()
            admin = sessions.enter_context(Session(superuser, deadline=context.deadline, database=in_use.database))
            admin.run("SELECT pg_advisory_lock(hashtextextended(:name, 0))", name=f"keyturn/{base(current.username)}")
            pair = _let_in(admin, pending, context)
            # Among others the right to connect to the database, which the idle user's own login needs.
            equalise_database(Logins(pair=pair, admin=admin, in_use=in_use, idle=None))
            idle = sessions.enter_context(Session(pending, deadline=context.deadline)).as_itself()
            left = equalise(Logins(pair=pair, admin=admin, in_use=in_use, idle=idle))
            if left:
                raise _unequal(pair, left, changes(admin, pair), pending)

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

    def _superuser(self, pending: Credential, context: Context) -> Credential:
        superuser = context.superuser()
        if not superuser.get("host"):
            if not self._superuser_host:
                check = f"the host in the superuser's secret; where RDS manages that secret, the variable {SUPERUSER_HOST}"
                raise RotationError(Kind.POLICY, "the superuser's secret names no host", check=check, secret=superuser.secret)
            superuser = superuser.replaced(host=self._superuser_host)
        if not superuser.get("port"):
            superuser = superuser.replaced(port=pending.port(PORT))
        if superuser.host != pending.host:
            check = "that masterarn names the superuser of this secret's server, and that both secrets spell its host alike"
            raise RotationError(
                Kind.POLICY, "the superuser's secret is for another host", check=check, secret=context.secret, host=pending.host
            )
        if superuser.username in (pending.username, alternate(pending.username)):
            raise RotationError(
                Kind.POLICY, "the superuser cannot rotate itself", check="masterarn", secret=context.secret, user=superuser.username
            )
        return superuser


def alternate(user: str) -> str:
    """The other of the two names, by AWS's rule."""
    return user.removesuffix(SUFFIX) if user.endswith(SUFFIX) else user + SUFFIX


def base(user: str) -> str:
    return user.removesuffix(SUFFIX)


def _let_in(admin: Session, pending: Credential, context: Context) -> Pair:
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
