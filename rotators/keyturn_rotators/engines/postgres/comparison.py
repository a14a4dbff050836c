"""Whether two roles may do the same, asked of the server itself (has_table_privilege and its kin), not of what was granted.

The answer is a list of differences, each a phrase that says which right on what one role has and the other has not.
"""

from keyturn_rotators.engines.postgres.connection import Session, identifier
from keyturn_rotators.engines.postgres.rights import DEFAULTS, OBJECT_TYPES, PARAMETERS_SINCE, POLICIES, owned_by_follower
from keyturn_rotators.engines.postgres.roles import Pair, attribute_changes, setting_changes

MAINTAIN_SINCE = 170000
TABLE = "SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER"

# kind, function, privileges, name of the object, its oid, where it comes from
OBJECTS = (
    ("table", "has_table_privilege", TABLE, "c.oid::regclass::text", "c.oid", "pg_class c WHERE relkind IN ('r','p','v','m','f')"),
    ("sequence", "has_sequence_privilege", "USAGE SELECT UPDATE", "c.oid::regclass::text", "c.oid", "pg_class c WHERE relkind = 'S'"),
    ("schema", "has_schema_privilege", "USAGE CREATE", "nspname::text", "n.oid", "pg_namespace n WHERE true"),
    ("database", "has_database_privilege", "CONNECT CREATE TEMPORARY", "datname::text", "d.oid", "pg_database d WHERE true"),
    ("tablespace", "has_tablespace_privilege", "CREATE", "spcname::text", "t.oid", "pg_tablespace t WHERE true"),
    ("routine", "has_function_privilege", "EXECUTE", "p.oid::regprocedure::text", "p.oid", "pg_proc p WHERE proacl IS NOT NULL"),
    ("type", "has_type_privilege", "USAGE", "t.oid::regtype::text", "t.oid", "pg_type t WHERE typacl IS NOT NULL"),
    ("language", "has_language_privilege", "USAGE", "lanname::text", "l.oid", "pg_language l WHERE true"),
    ("server", "has_server_privilege", "USAGE", "srvname::text", "s.oid", "pg_foreign_server s WHERE true"),
    ("wrapper", "has_foreign_data_wrapper_privilege", "USAGE", "fdwname::text", "w.oid", "pg_foreign_data_wrapper w WHERE true"),
)
COMPARED = """
SELECT '{kind}', {name}, privilege, {has}(:follower::regrole, {oid}, privilege) AS has
  FROM unnest(string_to_array('{privileges}', ' ')) AS privilege, {source}
   AND {has}(:follower::regrole, {oid}, privilege) <> {has}(:holder::regrole, {oid}, privilege)
"""
COLUMNS = """
SELECT 'column', format('%s.%I', attrelid::regclass, attname), privilege, follower_has
  FROM pg_attribute, unnest(string_to_array('SELECT INSERT UPDATE REFERENCES', ' ')) AS privilege,
       has_column_privilege(:follower::regrole, attrelid, attnum, privilege) AS follower_has
 WHERE attacl IS NOT NULL AND NOT attisdropped AND follower_has <> has_column_privilege(:holder::regrole, attrelid, attnum, privilege)
"""
ROLES = """
SELECT 'role', rolname::text, privilege, pg_has_role(:follower::regrole, oid, privilege)
  FROM unnest(string_to_array('USAGE,USAGE WITH ADMIN OPTION', ',')) AS privilege, pg_roles
 WHERE oid NOT IN (:follower::regrole, :holder::regrole)
   AND pg_has_role(:follower::regrole, oid, privilege) <> pg_has_role(:holder::regrole, oid, privilege)
"""
PARAMETER = """
SELECT 'parameter', parname, privilege, has_parameter_privilege(:follower::regrole, parname, privilege)
  FROM unnest(ARRAY['SET', 'ALTER SYSTEM']) AS privilege, pg_parameter_acl
 WHERE has_parameter_privilege(:follower::regrole, parname, privilege) <> has_parameter_privilege(:holder::regrole, parname, privilege)
"""


def differences(session: Session, pair: Pair) -> list[str]:
    """What the two roles may not do alike, in the session's database."""
    names = {"follower": identifier(pair.follower), "holder": identifier(pair.holder)}
    found = []
    for kind, name, privilege, follower_has in session.run(_query(session.version), **names):
        has, lacks = (pair.follower, pair.holder) if follower_has else (pair.holder, pair.follower)
        found.append(f"{privilege} on {kind} {name}: {has} has it, {lacks} has not")
    if owned := owned_by_follower(session, pair):
        found.append(f"{owned} objects belong to {pair.follower} and not to {pair.holder}")
    for owner, schema, kind, privilege, _, _, holder_has in session.run(DEFAULTS, **names):
        if not holder_has:
            place = f" in schema {schema}" if schema else ""
            found.append(f"the default {privilege} on {OBJECT_TYPES[kind]} that {owner} creates{place}: not the same for {pair.holder}")
    if pair.pending == pair.holder:
        for policy, schema, table, _ in session.run(POLICIES, **names):
            found.append(f"the policy {policy} on {schema}.{table}: it names {pair.follower} and not {pair.holder}")
    return found


def role_differences(session: Session, pair: Pair) -> list[str]:
    """Attributes and settings of the pending role that are not the current one's."""
    return [f"{change.what} is not the same" for change in attribute_changes(session, pair) + setting_changes(session, pair)]


def _query(version: int) -> str:
    selects = [
        COMPARED.format(
            kind=kind,
            has=has,
            privileges=privileges + (" MAINTAIN" if kind == "table" and version >= MAINTAIN_SINCE else ""),
            name=name,
            oid=oid,
            source=source,
        )
        for kind, has, privileges, name, oid, source in OBJECTS
    ]
    return " UNION ALL ".join([*selects, COLUMNS, ROLES, *([PARAMETER] if version >= PARAMETERS_SINCE else [])])
