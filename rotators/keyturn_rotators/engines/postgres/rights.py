"""What a role has in its own name in one database, and how two roles' rights compare.

The follower is to have nothing in its own name. While it is in use, somebody may have granted it something all the same, and AWS's
function lets it own what it creates: then the holder is given the same before it takes over, and the follower's own share is removed once
it is idle.
"""

from typing import Any

from keyturn_rotators.engines.postgres.connection import Session, identifier
from keyturn_rotators.engines.postgres.roles import Pair

PARAMETERS_SINCE = 150000  # server_version_num
OPTIONS_OF_MEMBERS_SINCE = 160000

GRANTED = """
SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, format('%I.%I', nspname, relname) AS object, '' AS part,
       relowner AS owner, relacl AS acl
  FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relacl IS NOT NULL
UNION ALL
SELECT 'TABLE', format('%I.%I', nspname, relname), format(' (%I)', attname), relowner, attacl
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE attacl IS NOT NULL
UNION ALL SELECT 'SCHEMA', quote_ident(nspname), '', nspowner, nspacl FROM pg_namespace
UNION ALL SELECT 'ROUTINE', p.oid::regprocedure::text, '', proowner, proacl FROM pg_proc p WHERE proacl IS NOT NULL
UNION ALL SELECT 'TYPE', format('%I.%I', nspname, typname), '', typowner, typacl
  FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace WHERE typacl IS NOT NULL
UNION ALL SELECT 'LANGUAGE', quote_ident(lanname), '', lanowner, lanacl FROM pg_language
UNION ALL SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname), '', fdwowner, fdwacl FROM pg_foreign_data_wrapper
UNION ALL SELECT 'FOREIGN SERVER', quote_ident(srvname), '', srvowner, srvacl FROM pg_foreign_server
UNION ALL SELECT 'LARGE OBJECT', oid::text, '', lomowner, lomacl FROM pg_largeobject_metadata
UNION ALL SELECT 'DATABASE', quote_ident(datname), '', datdba, datacl FROM pg_database
UNION ALL SELECT 'TABLESPACE', quote_ident(spcname), '', spcowner, spcacl FROM pg_tablespace
"""
PARAMETERS = "UNION ALL SELECT 'PARAMETER', quote_ident(parname), '', 10::oid, paracl FROM pg_parameter_acl"

HELD = """
WITH granted AS (SELECT kind, object, part, owner, acl, e.privilege_type AS privilege, e.is_grantable AS grantable
                   FROM ({granted}) g, aclexplode(acl) e WHERE e.grantee = :follower::regrole)
SELECT kind, object, part, privilege, grantable,
       owner = :holder::regrole OR EXISTS (SELECT FROM aclexplode(acl) h WHERE h.grantee = :holder::regrole
         AND h.privilege_type = privilege AND (h.is_grantable OR NOT grantable)) AS holder_has
  FROM granted WHERE owner <> :follower::regrole ORDER BY kind, object, part, privilege
"""

# Default privileges that name the follower, or are of objects that it will create. The built-in ones of PUBLIC leave no entry.
DEFAULTS = """
SELECT owner.rolname, coalesce(nspname, ''), d.defaclobjtype::text, e.privilege_type, e.is_grantable,
       CASE e.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(e.grantee) END,
       EXISTS (SELECT FROM pg_default_acl t, aclexplode(t.defaclacl) h
                WHERE t.defaclrole = CASE d.defaclrole WHEN :follower::regrole THEN :holder::regrole ELSE d.defaclrole END
                  AND t.defaclnamespace = d.defaclnamespace AND t.defaclobjtype = d.defaclobjtype
                  AND h.grantee = CASE d.defaclrole WHEN :follower::regrole THEN e.grantee ELSE :holder::regrole END
                  AND h.privilege_type = e.privilege_type AND (h.is_grantable OR NOT e.is_grantable))
         OR d.defaclrole = :holder::regrole OR e.grantee = :holder::regrole AS holder_has
  FROM pg_default_acl d JOIN pg_roles owner ON owner.oid = d.defaclrole LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
       aclexplode(d.defaclacl) e
 WHERE (e.grantee = :follower::regrole OR d.defaclrole = :follower::regrole) AND e.grantee <> d.defaclrole
   AND NOT (e.grantee = 0 AND d.defaclnamespace = 0 AND d.defaclobjtype IN ('f', 'T'))
 ORDER BY 1, 2, 3, 4
"""
GROUPS = """
SELECT g.rolname, bool_or(m.admin_option), {inherits}, {sets},
       EXISTS (SELECT FROM pg_auth_members h WHERE h.roleid = g.oid AND h.member = :holder::regrole)
  FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
 WHERE m.member = :follower::regrole AND g.oid <> :holder::regrole GROUP BY g.oid, g.rolname ORDER BY g.rolname
"""
POLICIES = """
SELECT polname, n.nspname, relname, (SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles r WHERE r.oid = ANY (polroles))
  FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
 WHERE :follower::regrole = ANY (polroles) AND NOT :holder::regrole = ANY (polroles)
"""
OBJECT_TYPES = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}

# What pg_shdepend knows of a role: the databases where it owns something, is granted something, or is named in a policy.
DATABASES = """
SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database d ON d.oid = dbid
 WHERE refclassid = 'pg_authid'::regclass AND refobjid = :follower::regrole AND datallowconn
"""
OWNED = """
SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = :follower::regrole AND deptype = 'o'
   AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND classid <> 'pg_default_acl'::regclass
"""


def databases(session: Session, pair: Pair) -> list[str]:
    """The databases where the follower has something in its own name, and the session's own, which comes first."""
    found = {name for (name,) in session.run(DATABASES, follower=identifier(pair.follower))}
    return [session.database, *sorted(found - {session.database})]


def owned_by_follower(session: Session, pair: Pair) -> int:
    """How many objects of this database the follower owns."""
    return int(session.run(OWNED, follower=identifier(pair.follower))[0][0])


def changes(session: Session, pair: Pair) -> list[str]:
    """The statements that make the idle role's rights in this database equal to the other's.

    If the holder is idle, it is given what the follower has; if the follower is idle, what it has in its own name is taken away.
    """
    if pair.pending == pair.holder:
        return [*_grants(session, pair), *_policies(session, pair)]
    return _revocations(session, pair)


def _grants(session: Session, pair: Pair) -> list[str]:
    holder = identifier(pair.holder)
    granted = [
        f"GRANT {privilege}{part} ON {kind} {name} TO {holder}{_option('GRANT', grantable)}"
        for kind, name, part, privilege, grantable, holder_has in _held(session, pair)
        if not holder_has
    ]
    groups = [f"GRANT {identifier(group)} TO {holder}{options}" for group, options, holder_has in _groups(session, pair) if not holder_has]
    defaults = [
        _default(
            pair.holder if owner == pair.follower else owner,
            schema,
            f"GRANT {privilege} ON {kind} TO {_grantee(grantee) if owner == pair.follower else holder}{_option('GRANT', grantable)}",
        )
        for owner, schema, kind, privilege, grantable, grantee, holder_has in _defaults(session, pair)
        if not holder_has
    ]
    return granted + groups + defaults


def _policies(session: Session, pair: Pair) -> list[str]:
    return [
        f"ALTER POLICY {identifier(policy)} ON {identifier(schema)}.{identifier(table)} TO "
        + ", ".join(identifier(role) for role in [*roles, pair.holder])
        for policy, schema, table, roles in session.run(POLICIES, **_names(pair))
    ]


def _revocations(session: Session, pair: Pair) -> list[str]:
    follower = identifier(pair.follower)
    granted = [f"REVOKE {privilege}{part} ON {kind} {name} FROM {follower}" for kind, name, part, privilege, *_ in _held(session, pair)]
    groups = [f"REVOKE {identifier(group)} FROM {follower}" for group, *_ in _groups(session, pair)]
    defaults = [
        _default(owner, schema, f"REVOKE {privilege} ON {kind} FROM {_grantee(grantee)}")
        for owner, schema, kind, privilege, _, grantee, _ in _defaults(session, pair)
    ]
    return granted + groups + defaults


def _held(session: Session, pair: Pair) -> list[list[Any]]:
    granted = GRANTED + (PARAMETERS if session.version >= PARAMETERS_SINCE else "")
    return session.run(HELD.format(granted=granted), **_names(pair))


def _groups(session: Session, pair: Pair) -> list[tuple[str, str, bool]]:
    """The roles that the follower is a member of, how as a GRANT says it, and whether the holder is one too."""
    told = session.version >= OPTIONS_OF_MEMBERS_SINCE
    query = GROUPS.format(inherits="bool_or(m.inherit_option)" if told else "true", sets="bool_or(m.set_option)" if told else "true")
    found = []
    for group, admin, inherits, sets, holder_has in session.run(query, **_names(pair)):
        options = f" WITH ADMIN {admin}, INHERIT {inherits}, SET {sets}" if told else _option("ADMIN", admin)
        found.append((group, options, holder_has))
    return found


def _defaults(session: Session, pair: Pair) -> list[list[Any]]:
    rows = session.run(DEFAULTS, **_names(pair))
    return [[owner, schema, OBJECT_TYPES[kind], *rest] for owner, schema, kind, *rest in rows]


def _names(pair: Pair) -> dict[str, str]:
    """The roles as `regrole` reads them."""
    return {"follower": identifier(pair.follower), "holder": identifier(pair.holder)}


def _default(owner: str, schema: str, change: str) -> str:
    place = f" IN SCHEMA {identifier(schema)}" if schema else ""
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(owner)}{place} {change}"


def _grantee(name: str) -> str:
    return identifier(name) if name else "PUBLIC"


def _option(kind: str, wanted: bool) -> str:
    return f" WITH {kind} OPTION" if wanted else ""
