"""What a login may do, on the server and in each of its databases: roles and permissions, read from the catalogue."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from keyturn_rotators.engines.sqlserver.connection import Session, identifier
from keyturn_rotators.rights import Right, of_all_grantors

SERVER_ROLES = """SELECT r.name FROM sys.server_role_members m JOIN sys.server_principals r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = SUSER_ID(%s)"""
SERVER_PERMISSIONS = """SELECT p.class_desc, p.permission_name, p.state, NULL, CASE p.class
WHEN 101 THEN (SELECT n.name FROM sys.server_principals n WHERE n.principal_id = p.major_id)
WHEN 105 THEN (SELECT n.name FROM sys.endpoints n WHERE n.endpoint_id = p.major_id) END, NULL
FROM sys.server_permissions p WHERE p.grantee_principal_id = SUSER_ID(%s)"""
ROLES = """SELECT r.name FROM sys.database_role_members m JOIN sys.database_principals r ON r.principal_id = m.role_principal_id
WHERE m.member_principal_id = DATABASE_PRINCIPAL_ID(%s)"""
PERMISSIONS = """SELECT CASE WHEN p.class = 4 THEN (SELECT n.type_desc FROM sys.database_principals n WHERE n.principal_id = p.major_id)
ELSE p.class_desc END, p.permission_name, p.state,
CASE p.class WHEN 1 THEN OBJECT_SCHEMA_NAME(p.major_id)
WHEN 6 THEN (SELECT SCHEMA_NAME(n.schema_id) FROM sys.types n WHERE n.user_type_id = p.major_id) END,
CASE p.class WHEN 1 THEN OBJECT_NAME(p.major_id) WHEN 3 THEN SCHEMA_NAME(p.major_id) WHEN 4 THEN USER_NAME(p.major_id)
WHEN 5 THEN (SELECT n.name FROM sys.assemblies n WHERE n.assembly_id = p.major_id)
WHEN 6 THEN TYPE_NAME(p.major_id)
WHEN 24 THEN (SELECT n.name FROM sys.symmetric_keys n WHERE n.symmetric_key_id = p.major_id)
WHEN 25 THEN (SELECT n.name FROM sys.certificates n WHERE n.certificate_id = p.major_id)
WHEN 26 THEN (SELECT n.name FROM sys.asymmetric_keys n WHERE n.asymmetric_key_id = p.major_id) END,
CASE WHEN p.class = 1 AND p.minor_id > 0 THEN COL_NAME(p.major_id, p.minor_id) END
FROM sys.database_permissions p WHERE p.grantee_principal_id = DATABASE_PRINCIPAL_ID(%s)"""
USER = "SELECT name, default_schema_name FROM sys.database_principals WHERE sid = SUSER_SID(%s)"
OWNED = """SELECT 'SCHEMA', name FROM sys.schemas WHERE principal_id = DATABASE_PRINCIPAL_ID(%s)
UNION ALL SELECT 'ROLE', name FROM sys.database_principals WHERE owning_principal_id = DATABASE_PRINCIPAL_ID(%s)"""
SEES_ALL = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION')"
DATABASES = "SELECT name FROM sys.databases WHERE state = 0 AND HAS_DBACCESS(name) = 1 ORDER BY name"

SECURABLES = {
    "SERVER_PRINCIPAL": "LOGIN",
    "ENDPOINT": "ENDPOINT",
    "OBJECT_OR_COLUMN": "OBJECT",
    "SCHEMA": "SCHEMA",
    "SQL_USER": "USER",
    "DATABASE_ROLE": "ROLE",
    "APPLICATION_ROLE": "APPLICATION ROLE",
    "ASSEMBLY": "ASSEMBLY",
    "TYPE": "TYPE",
    "SYMMETRIC_KEYS": "SYMMETRIC KEY",
    "CERTIFICATE": "CERTIFICATE",
    "ASYMMETRIC_KEY": "ASYMMETRIC KEY",
}
WHOLE = frozenset({"SERVER", "DATABASE"})
GRANTED, WITH_GRANT, DENIED = "G", "W", "D"
DENY = "DENY"
WORDS = re.compile("[A-Z ]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The user that a login has in a database."""

    name: str
    schema: str | None


def sees_all(session: Session) -> bool:
    """Whether what others may do is shown whole: roles that were made on the server, and users of databases with guests, among others."""
    return session.run(SEES_ALL) == [(1,)]


def server_rights(session: Session, login: str) -> frozenset[Right]:
    """Roles and permissions of a login on the server."""
    roles = [_role("ALTER SERVER ROLE", role) for (role,) in session.run(SERVER_ROLES, login)]
    return frozenset([*roles, *_permissions(session.run(SERVER_PERMISSIONS, login))])


def user_rights(session: Session, user: str) -> frozenset[Right]:
    """Roles and permissions of a user in the session's database."""
    roles = [_role("ALTER ROLE", role) for (role,) in session.run(ROLES, user)]
    return frozenset([*roles, *_permissions(session.run(PERMISSIONS, user))])


def find_user(session: Session, login: str) -> User | None:
    """The login's user in the session's database."""
    return next((User(name=name, schema=schema) for name, schema in session.run(USER, login)), None)


def owned(session: Session, user: str) -> list[str]:
    """Schemas and roles of the session's database that only one user can own."""
    return [f"{kind} {identifier(name)}" for kind, name in session.run(OWNED, user, user)]


def databases(session: Session) -> list[str]:
    """Those that the session's login may enter, if only as a guest."""
    return [str(name) for (name,) in session.run(DATABASES)]


def _role(verb: str, role: str) -> Right:
    return Right(0, (f"{verb} {identifier(role)} ADD MEMBER ", ""), (f"{verb} {identifier(role)} DROP MEMBER ", ""))


def _permissions(rows: Iterable[tuple[str | None, ...]]) -> list[Right]:
    rights = of_all_grantors(_each_permission(rows))
    denied = {right.take[0] for right in rights if right.give[0].startswith(DENY)}
    # One who denies wins over others who grant.
    return [right for right in rights if right.take[0] not in denied or right.give[0].startswith(DENY)]


def _each_permission(rows: Iterable[tuple[str | None, ...]]) -> Iterable[Right]:
    for kind, named, letter, schema, name, column in rows:
        state, permission = str(letter).strip(), str(named)
        if state not in (GRANTED, WITH_GRANT, DENIED):
            continue  # "revoked", of a column: what is left when nothing is granted
        on = _securable(str(kind), schema, name, column)
        known = on is not None and bool(WORDS.fullmatch(permission))
        what = f"{permission}{on if on is not None else f' ON {kind} {name}'}"
        verb, more = (DENY if state == DENIED else "GRANT"), (" WITH GRANT OPTION" if state == WITH_GRANT else "")
        # On a column after the whole table, whose statements undo those of its columns.
        order = 2 if column else 1
        yield Right(order, (f"{verb} {what} TO ", more), (f"REVOKE {what} FROM ", " CASCADE" if more else ""), known)


def _securable(kind: str, schema: str | None, name: str | None, column: str | None) -> str | None:
    """` ON ...`; None where the class is not known here."""
    if kind in WHOLE:
        return ""
    if kind not in SECURABLES or not name:
        return None
    path = ".".join(identifier(part) for part in (schema, name) if part) + (f" ({identifier(column)})" if column else "")
    return f" ON {SECURABLES[kind]}::{path}"
