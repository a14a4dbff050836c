"""Makes one login what another is: on the server, and in each database where that one has a user."""

from keyturn_rotators.alternation import alternate
from keyturn_rotators.engines.sqlserver.connection import MASTER, Session, identifier
from keyturn_rotators.engines.sqlserver.logins import Login, find_login
from keyturn_rotators.engines.sqlserver.rights import User, databases, find_user, owned, server_rights, user_rights
from keyturn_rotators.errors import Kind
from keyturn_rotators.rights import Change, changes

OWNER = "dbo"


def equalise(admin: Session, in_use: Session, *, wanted: Login, pending: str) -> None:
    """Give the pending login what the other has, and take from it what the other has not; whatever is allowed."""
    _apply(admin, _of_server(admin, wanted=wanted, pending=pending))
    for database in _databases(admin, in_use):
        admin.enter(database)
        user, partner = _users(admin, wanted=wanted.name, pending=pending)
        if user and not partner:
            schema = f" WITH DEFAULT_SCHEMA = {identifier(user.schema)}" if user.schema else ""
            admin.attempt(f"CREATE USER {identifier(alternate(user.name))} FOR LOGIN {identifier(pending)}{schema}")
            partner = find_user(admin, pending)
        _apply(admin, _of_users(admin, user, partner))
    admin.enter(MASTER)


def left_over(admin: Session, in_use: Session, *, wanted: Login, pending: str) -> list[str]:
    """The statements that would still have to be run; nothing where both may do the same."""
    left = [change.statement for change in _of_server(admin, wanted=wanted, pending=pending)]
    for database in _databases(admin, in_use):
        admin.enter(database)
        user, partner = _users(admin, wanted=wanted.name, pending=pending)
        if user and not partner:
            left.append(f"in {database}: CREATE USER {identifier(alternate(user.name))} FOR LOGIN {identifier(pending)}")
        left += [f"in {database}: {change.statement}" for change in _of_users(admin, user, partner)]
        if user:
            left += [f"in {database}: ALTER AUTHORIZATION ON {what} TO a role of both" for what in owned(admin, user.name)]
    admin.enter(MASTER)
    return left


def _databases(admin: Session, in_use: Session) -> list[str]:
    """Where the login in use can be. Those that the superuser cannot enter are entered all the same, which says so."""
    return sorted({*databases(in_use), *databases(admin)})


def _users(admin: Session, *, wanted: str, pending: str) -> tuple[User | None, User | None]:
    """Both logins' users in the session's database. Raises RotationError where they cannot be made alike."""
    user, partner = find_user(admin, wanted), find_user(admin, pending)
    if OWNER in (user.name if user else "", partner.name if partner else ""):
        owner = wanted if user and user.name == OWNER else pending
        check = f"ALTER AUTHORIZATION ON DATABASE::{identifier(admin.database)} to a login that no application has"
        raise admin.place.error(Kind.POLICY, f"{owner} owns the database {admin.database}, which only one login can", check)
    return user, partner


def _of_server(admin: Session, *, wanted: Login, pending: str) -> list[Change]:
    found = find_login(admin, pending)
    settings = f"ALTER LOGIN {identifier(pending)} WITH {wanted.settings}"
    differs = found is None or found.settings != wanted.settings
    rights = changes(wanted=server_rights(admin, wanted.name), found=server_rights(admin, pending), name=identifier(pending))
    return ([Change(settings)] if differs else []) + rights


def _of_users(admin: Session, user: User | None, partner: User | None) -> list[Change]:
    if partner is None:
        return []
    if user is None:
        return [Change(f"DROP USER {identifier(partner.name)}")]
    found = []
    if user.schema and user.schema != partner.schema:
        found = [Change(f"ALTER USER {identifier(partner.name)} WITH DEFAULT_SCHEMA = {identifier(user.schema)}")]
    return found + changes(wanted=user_rights(admin, user.name), found=user_rights(admin, partner.name), name=identifier(partner.name))


def _apply(admin: Session, wanted: list[Change]) -> None:
    for change in wanted:
        if change.known:
            admin.attempt(change.statement)
