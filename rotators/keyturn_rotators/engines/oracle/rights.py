"""What a user may do: privileges, roles, grants on objects and columns, quotas and its private synonyms, read from the catalogue."""

import re
from collections import defaultdict
from collections.abc import Iterable

from keyturn_rotators.engines.oracle.connection import Refusal, Row, Session, identifier
from keyturn_rotators.rights import Right, of_all_grantors

PRIVILEGES = "SELECT privilege, admin_option FROM dba_sys_privs WHERE grantee = :1"
ROLES = "SELECT granted_role, admin_option FROM dba_role_privs WHERE grantee = :1"
DEFAULT_ROLES = "SELECT granted_role FROM dba_role_privs WHERE grantee = :1 AND default_role = 'YES'"
SCHEMAS = "SELECT privilege, schema, admin_option FROM dba_schema_privs WHERE grantee = :1"  # from 23ai on
OBJECTS = "SELECT owner, table_name, privilege, grantable, hierarchy, type FROM dba_tab_privs WHERE grantee = :1"
COLUMNS = "SELECT owner, table_name, column_name, privilege, grantable FROM dba_col_privs WHERE grantee = :1"
QUOTAS = "SELECT tablespace_name, max_bytes FROM dba_ts_quotas WHERE username = :1 AND dropped = 'NO'"
SYNONYMS = "SELECT synonym_name, table_owner, table_name, db_link FROM dba_synonyms WHERE owner = :1"
OWNED = "SELECT object_type, COUNT(*) FROM dba_objects WHERE owner = :1 AND object_type <> 'SYNONYM' GROUP BY object_type"

WORDS = re.compile("[A-Z0-9 ]+")
PLAIN = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "PROCEDURE", "FUNCTION", "PACKAGE", "TYPE", "OPERATOR", "LIBRARY"})
NAMED = frozenset({"DIRECTORY", "EDITION", "USER"})  # which the statement says, and which have no owner in it
YES, NO_SUCH_VIEW = "YES", "ORA-00942"


def rights_of(admin: Session, user: str) -> frozenset[Right]:
    """All but the default roles."""
    return frozenset(
        [
            *(_privilege(*row) for row in admin.run(PRIVILEGES, user)),
            *(_role(*row) for row in admin.run(ROLES, user)),
            *(_of_schema(*row) for row in _schemas(admin, user)),
            *of_all_grantors(_object(*row) for row in admin.run(OBJECTS, user)),
            *_columns(admin.run(COLUMNS, user)),
            *(_quota(*row) for row in admin.run(QUOTAS, user)),
            *(_synonym(*row) for row in admin.run(SYNONYMS, user)),
        ]
    )


def default_roles(admin: Session, user: str) -> str:
    """As ALTER USER ... DEFAULT ROLE says them."""
    return ", ".join(sorted(identifier(role) for (role,) in admin.run(DEFAULT_ROLES, user))) or "NONE"


def owned(admin: Session, user: str) -> str:
    """What only this user can have, in words; nothing where it owns nothing."""
    return ", ".join(sorted(f"{count} of type {kind}" for kind, count in admin.run(OWNED, user)))


def _privilege(privilege: str, admin_option: str) -> Right:
    more = " WITH ADMIN OPTION" if admin_option == YES else ""
    return Right(1, (f"GRANT {privilege} TO ", more), (f"REVOKE {privilege} FROM ", ""), bool(WORDS.fullmatch(privilege)))


def _role(role: str, admin_option: str) -> Right:
    more = " WITH ADMIN OPTION" if admin_option == YES else ""
    return Right(1, (f"GRANT {identifier(role)} TO ", more), (f"REVOKE {identifier(role)} FROM ", ""))


def _schemas(admin: Session, user: str) -> list[Row]:
    """Privileges on all that a schema has or will have, where the server knows them: the other views have been seen."""
    try:
        return admin.run(SCHEMAS, user)
    except Refusal as refused:
        if refused.code != NO_SUCH_VIEW:
            raise
        return []


def _of_schema(privilege: str, schema: str, admin_option: str) -> Right:
    on, more = f"{privilege} ON SCHEMA {identifier(schema)}", " WITH ADMIN OPTION" if admin_option == YES else ""
    return Right(1, (f"GRANT {on} TO ", more), (f"REVOKE {on} FROM ", ""), bool(WORDS.fullmatch(privilege)))


def _object(owner: str, name: str, privilege: str, grantable: str, hierarchy: str, kind: str) -> Right:
    known = kind in PLAIN | NAMED and bool(WORDS.fullmatch(privilege))
    on = f"{kind} {identifier(name)}" if kind in NAMED else f"{identifier(owner)}.{identifier(name)}"
    more = (" WITH HIERARCHY OPTION" if hierarchy == YES else "") + (" WITH GRANT OPTION" if grantable == YES else "")
    return Right(1, (f"GRANT {privilege} ON {on} TO ", more), (f"REVOKE {privilege} ON {on} FROM ", ""), known)


def _columns(rows: Iterable[Row]) -> Iterable[Right]:
    """One right for all columns of a table: they can only be revoked together."""
    granted: dict[tuple[str, str, str, str], str] = {}  # by several, perhaps: what counts is the option to pass it on
    for owner, table, column, privilege, grantable in rows:
        granted[owner, table, privilege, column] = max(grantable, granted.get((owner, table, privilege, column), ""))
    found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for (owner, table, privilege, column), grantable in granted.items():
        found[owner, table, privilege, grantable].append(identifier(column))
    for (owner, table, privilege, grantable), columns in found.items():
        on, more = f"{identifier(owner)}.{identifier(table)}", " WITH GRANT OPTION" if grantable == YES else ""
        give = f"GRANT {privilege} ({', '.join(sorted(columns))}) ON {on} TO "
        yield Right(1, (give, more), (f"REVOKE {privilege} ON {on} FROM ", ""), bool(WORDS.fullmatch(privilege)))


def _quota(tablespace: str, most: int) -> Right:
    on = f" ON {identifier(tablespace)}"
    size = "UNLIMITED" if int(most) < 0 else str(int(most))
    return Right(1, ("ALTER USER ", f" QUOTA {size}{on}"), ("ALTER USER ", f" QUOTA 0{on}"))


def _synonym(name: str, owner: str | None, table: str, link: str | None) -> Right:
    what = (f"{identifier(owner)}." if owner else "") + identifier(table) + (f"@{identifier(link)}" if link else "")
    return Right(2, ("CREATE OR REPLACE SYNONYM ", f".{identifier(name)} FOR {what}"), ("DROP SYNONYM ", f".{identifier(name)}"))
