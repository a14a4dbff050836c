"""What a user may do in its own name: groups, roles, grants and ownership, as Redshift's own views have them.

PostgreSQL's functions (has_table_privilege and its kin) would show what comes by groups and PUBLIC, too. Relations and schemas are those of
the database that the session is in.
https://docs.aws.amazon.com/redshift/latest/dg/svv_views.html
"""

from collections.abc import Collection
from dataclasses import dataclass

from keyturn_rotators.engines.redshift.connection import Session

GROUPS = "SELECT groname FROM pg_group, pg_user WHERE usesysid = ANY(grolist) AND usename = ?"
ROLES = "SELECT role_name, admin_option FROM svv_user_grants WHERE user_name = ?"
# Name of the kind: the view, and its columns that say on what.
VIEWS = {
    "DATABASE": ("svv_database_privileges", ("database_name",)),
    "SCHEMA": ("svv_schema_privileges", ("namespace_name",)),
    "TABLE": ("svv_relation_privileges", ("namespace_name", "relation_name")),
    "COLUMN": ("svv_column_privileges", ("namespace_name", "relation_name", "column_name")),
    "FUNCTION": ("svv_function_privileges", ("namespace_name", "function_name", "argument_types")),
    "LANGUAGE": ("svv_language_privileges", ("language_name",)),
}
SCOPED = frozenset({"DATABASE", "SCHEMA"})  # their views also have what is granted for all that is in them
WITHOUT_OPTION = frozenset({"COLUMN"})
DEFAULTS = (
    "SELECT coalesce(schema_name, ''), object_type, owner_name, privilege_type, admin_option"
    " FROM svv_default_privileges WHERE grantee_type = 'user' AND grantee_name = ?"
)
OWNED_SCHEMAS = "SELECT nspname FROM pg_namespace, pg_user WHERE nspowner = usesysid AND usename = ?"
OWNED_TABLES = (
    "SELECT nspname, relname FROM pg_class, pg_namespace, pg_user"
    " WHERE pg_namespace.oid = relnamespace AND relowner = usesysid AND relkind IN ('r', 'v') AND usename = ?"
)
OF_OWNERS = {  # what an owner may do and another can be granted; AWS's function looks for the same
    "SCHEMA": ("CREATE", "USAGE"),
    "TABLE": ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"),
}
OF_THE_SYSTEM = "pg_"  # schemas of temporary tables, among others

Thing = tuple[str, tuple[str, ...]]  # kind and name


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One thing that a user may do. `kind`: GROUP, ROLE, one of VIEWS, `TABLES IN SCHEMA`, `DEFAULT RELATION` and the like of these."""

    kind: str
    on: tuple[str, ...]
    privilege: str = ""
    option: bool = False  # WITH GRANT OPTION, of a role WITH ADMIN OPTION

    def __str__(self) -> str:
        what = f"{self.privilege} ON {self.kind}" if self.privilege else self.kind
        return f"{what} {'.'.join(part for part in self.on if part)}" + (" with the option to pass it on" if self.option else "")

    @property
    def thing(self) -> Thing:
        """On what it is, as ownership has it: a column is its table's."""
        return ("TABLE", self.on[:2]) if self.kind == "COLUMN" else (self.kind, self.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Of one user. What it was granted on what it owns is left out: it may do that anyway."""

    granted: frozenset[Right]
    owned: frozenset[Thing]

    @property
    def of_owner(self) -> frozenset[Right]:
        return frozenset(Right(kind=kind, on=on, privilege=privilege) for kind, on in self.owned for privilege in OF_OWNERS[kind])


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Between the idle user and the one in use."""

    lacking: list[Right]  # the idle user has it not
    extra: list[Right]  # ... alone has it
    closed: list[Right]  # the user in use may not do it with what the idle user owns

    def told(self) -> list[str]:
        return (
            [f"it lacks {right}" for right in self.lacking]
            + [f"it alone has {right}" for right in self.extra]
            + [f"the user in use lacks {right}, which it owns" for right in self.closed]
        )


def rights(session: Session, user: str, *, pair: Collection[str]) -> Rights:
    """`pair`: the two users in turn; what one of them gives to the other by default privileges is no right of both."""
    owned: set[Thing] = {("SCHEMA", (schema,)) for (schema,) in session.run(OWNED_SCHEMAS, user)}
    owned |= {("TABLE", (schema, table)) for schema, table in session.run(OWNED_TABLES, user)}
    owned = {(kind, on) for kind, on in owned if not on[0].startswith(OF_THE_SYSTEM)}
    found = {Right(kind="GROUP", on=(group,)) for (group,) in session.run(GROUPS, user)}
    found |= {Right(kind="ROLE", on=(role,), option=bool(option)) for role, option in session.run(ROLES, user)}
    for kind in VIEWS:
        found |= _granted(session, user, kind)
    for schema, objects, owner, privilege, option in session.run(DEFAULTS, user):
        if owner not in pair:
            found.add(Right(kind=f"DEFAULT {objects}", on=(owner, schema), privilege=privilege.upper(), option=bool(option)))
    return Rights(granted=frozenset(right for right in found if right.thing not in owned), owned=frozenset(owned))


def differences(*, model: Rights, idle: Rights) -> Differences:
    """`model`: what the user in use may do."""
    wanted = {right for right in model.granted if right.thing not in idle.owned}
    found = {right for right in idle.granted if right.thing not in model.owned}
    return Differences(
        lacking=sorted((wanted - found) | _closed(model, to=idle)),
        extra=sorted(found - wanted),  # nothing on what the other owns, who may do all of it
        closed=sorted(_closed(idle, to=model)),
    )


def _closed(owner: Rights, *, to: Rights) -> set[Right]:
    """What one user may do as an owner and another may not, with or without the option to pass it on."""
    open_to = {(right.kind, right.on, right.privilege) for right in to.granted}
    return {right for right in owner.of_owner if (right.kind, right.on, right.privilege) not in open_to}


def _granted(session: Session, user: str, kind: str) -> set[Right]:
    view, columns = VIEWS[kind]
    scope = "privilege_scope" if kind in SCOPED else f"'{kind}'"
    option = "false" if kind in WITHOUT_OPTION else "admin_option"
    selected = ", ".join((*columns, scope, "privilege_type", option))
    query = f"SELECT {selected} FROM {view} WHERE identity_type = 'user' AND identity_name = ?"  # noqa: S608  # constants of this module
    found = set()
    for *on, scope_of_it, privilege, grantable in session.run(query, user):
        named = str(scope_of_it).upper()
        place = kind if named == kind else f"{named} IN {kind}"
        found.add(Right(kind=place, on=tuple(str(part) for part in on), privilege=str(privilege).upper(), option=bool(grantable)))
    return found
