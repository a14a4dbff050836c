"""What of Redshift's catalogue the stand-in has: views by Redshift's names and columns, over PostgreSQL's own catalogue.

Superusers see them, as the manual says; `pg_group` is everybody's. A role of Redshift's is a role without a login and with a connection
limit of 0 here, a group one without a limit. Scoped permissions, which PostgreSQL has not, are remembered and do nothing.
https://docs.aws.amazon.com/redshift/latest/dg/svv_views.html
"""

SCHEMA = "redshift_catalogue"
SYSLOG_ACCESS = "keyturn.syslog_access"  # settings of a role that stand for attributes which PostgreSQL has not
SESSION_TIMEOUT = "idle_session_timeout"

_PRIVILEGES = """
CREATE VIEW {schema}.{view} AS
SELECT {columns}, CASE privilege_type WHEN 'TEMPORARY' THEN 'TEMP' ELSE privilege_type END AS privilege_type,
       id::int AS identity_id, name AS identity_name, type AS identity_type, is_grantable AS admin_option, {scope} AS privilege_scope
  FROM {source}, aclexplode({acl}) JOIN {schema}.identities ON id = grantee{scoped};
"""
_SCOPED = """
UNION ALL SELECT place, privilege, identity::int, rolname::text, 'user', grantable, scope
  FROM {schema}.scoped JOIN pg_catalog.pg_roles ON oid = identity WHERE kind = '{kind}'"""

_TABLE_OF = "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
_VIEWS = (
    ("svv_database_privileges", "datname::text AS database_name", "pg_catalog.pg_database", "datacl", "DATABASE"),
    ("svv_schema_privileges", "nspname::text AS namespace_name", "pg_catalog.pg_namespace", "nspacl", "SCHEMA"),
    ("svv_relation_privileges", "nspname::text AS namespace_name, relname::text AS relation_name", _TABLE_OF, "relacl", ""),
    (
        "svv_column_privileges",
        "nspname::text AS namespace_name, relname::text AS relation_name, attname::text AS column_name",
        f"{_TABLE_OF} JOIN pg_catalog.pg_attribute ON attrelid = c.oid",
        "attacl",
        "",
    ),
    (
        "svv_function_privileges",
        "nspname::text AS namespace_name, proname::text AS function_name, oidvectortypes(proargtypes) AS argument_types",
        "pg_catalog.pg_proc JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace",
        "proacl",
        "",
    ),
    ("svv_language_privileges", "lanname::text AS language_name", "pg_catalog.pg_language", "lanacl", ""),
)

_REST = """
CREATE SCHEMA {schema};
GRANT USAGE ON SCHEMA {schema} TO PUBLIC;
CREATE TABLE {schema}.scoped (kind text, place text, scope text, privilege text, identity oid, grantable boolean);
CREATE FUNCTION {schema}.setting(of_role oid, named text) RETURNS text LANGUAGE sql AS $of$
  SELECT substr(c, strpos(c, '=') + 1) FROM pg_catalog.pg_db_role_setting, unnest(setconfig) c
   WHERE setrole = of_role AND setdatabase = 0 AND split_part(c, '=', 1) = named $of$;
CREATE VIEW {schema}.identities AS
SELECT 0::oid AS id, 'public' AS name, 'public' AS type
 UNION ALL SELECT oid, rolname::text, CASE WHEN rolcanlogin THEN 'user' WHEN rolconnlimit = 0 THEN 'role' ELSE 'group' END
  FROM pg_catalog.pg_roles;
CREATE VIEW {schema}.pg_group AS
SELECT rolname AS groname, oid AS grosysid, ARRAY(SELECT member FROM pg_catalog.pg_auth_members WHERE roleid = r.oid) AS grolist
  FROM pg_catalog.pg_roles r WHERE NOT rolcanlogin AND rolconnlimit <> 0;
GRANT SELECT ON {schema}.pg_group TO PUBLIC;
CREATE VIEW {schema}.svv_user_info AS
SELECT rolname::text AS user_name, oid::int AS user_id, rolcreatedb AS createdb, rolsuper AS superuser,
       CASE rolconnlimit WHEN -1 THEN 'UNLIMITED' ELSE rolconnlimit::text END AS connection_limit,
       coalesce({schema}.setting(oid, '{syslog}'), 'RESTRICTED') AS syslog_access,
       coalesce(rtrim({schema}.setting(oid, '{timeout}'), 's')::int, 0) AS session_timeout
  FROM pg_catalog.pg_roles WHERE rolcanlogin;
CREATE VIEW {schema}.svv_user_grants AS
SELECT member::int AS user_id, u.name AS user_name, roleid::int AS role_id, r.name AS role_name, bool_or(admin_option) AS admin_option
  FROM pg_catalog.pg_auth_members JOIN {schema}.identities u ON u.id = member JOIN {schema}.identities r ON r.id = roleid
 WHERE r.type = 'role' GROUP BY 1, 2, 3, 4;
CREATE VIEW {schema}.svv_default_privileges AS
SELECT nspname::text AS schema_name, CASE defaclobjtype WHEN 'r' THEN 'RELATION' WHEN 'f' THEN 'FUNCTION' END AS object_type,
       o.name AS owner_name, o.type AS owner_type, privilege_type, g.name AS grantee_name, g.type AS grantee_type,
       is_grantable AS admin_option
  FROM pg_catalog.pg_default_acl LEFT JOIN pg_catalog.pg_namespace n ON n.oid = defaclnamespace
  JOIN {schema}.identities o ON o.id = defaclrole, aclexplode(defaclacl) JOIN {schema}.identities g ON g.id = grantee;
CREATE VIEW {schema}.stv_sessions AS
SELECT backend_start AS starttime, pid AS process, usename::char(50) AS user_name, datname::char(50) AS db_name, 0 AS timeout_sec
  FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend';
CREATE VIEW {schema}.sys_session_history AS
SELECT usesysid::text::char(50) AS user_id, pid AS session_id, datname::char(50) AS database_name, 'active'::char(10) AS status
  FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend';
"""


def statements() -> str:
    """The catalogue, as PostgreSQL's SQL."""
    rest = _REST.format(schema=SCHEMA, syslog=SYSLOG_ACCESS, timeout=SESSION_TIMEOUT)
    return rest + "".join(
        _PRIVILEGES.format(
            schema=SCHEMA,
            view=view,
            columns=columns,
            source=source,
            acl=acl,
            scope=f"'{kind}'::text",
            scoped=_SCOPED.format(schema=SCHEMA, kind=kind) if kind else "",
        )
        for view, columns, source, acl, kind in _VIEWS
    )
