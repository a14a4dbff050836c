"""What a user has of its own: groups, roles, grants, attributes; and the statements that give it to another user.

Read from Redshift's own views, which show grants as they were made; PostgreSQL's functions would show what comes by groups and PUBLIC, too.
Relations and schemas are those of the database that the session is in.
https://docs.aws.amazon.com/redshift/latest/dg/svv_views.html
"""

from dataclasses import dataclass

from keyturn_rotators.engines.redshift.connection import Session, identifier
from keyturn_rotators.errors import Kind, RotationError

SHOWN = 5  # rights in a message


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One thing that was granted. `kind`: GROUP, ROLE, DATABASE, SCHEMA or TABLE; of others nothing is known but that they are there."""

    kind: str
    on: tuple[str, ...]
    privilege: str = ""
    option: bool = False  # WITH GRANT OPTION, of a role WITH ADMIN OPTION

    def __str__(self) -> str:
        what = f"{self.privilege} ON {self.kind}" if self.privilege else self.kind
        return f"{what} {'.'.join(self.on)}" + (" with the option to pass it on" if self.option else "")


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


def rights(session: Session, user: str) -> frozenset[Right]:
    """What the user was granted itself."""
    found = {Right(kind="GROUP", on=(group,)) for (group,) in session.run(GROUPS, user)}
    found |= {Right(kind="ROLE", on=(role,), option=bool(option)) for role, option in session.run(ROLES, user)}
    for kind, (_, columns) in VIEWS.items():
        for *on, scope, privilege, option in session.run(_query(kind), user):
            named = tuple(str(part) for part in on[: len(columns)])
            if str(scope).upper() == kind:
                found.add(Right(kind=kind, on=named, privilege=str(privilege).upper(), option=bool(option)))
            else:
                found.add(Right(kind=f"{scope} IN {kind}", on=named, privilege=str(privilege).upper(), option=bool(option)))
    for schema, objects, owner, privilege, option in session.run(DEFAULTS, user):
        found.add(Right(kind=f"DEFAULT {objects}", on=(owner, schema), privilege=str(privilege).upper(), option=bool(option)))
    return frozenset(found)


def equalise(session: Session, *, model: str, idle: str) -> None:
    """Give one user what the other has, and take from it what the other has not. Raises RotationError where something is left over."""
    wanted, found = rights(session, model), rights(session, idle)
    for right in sorted(found - wanted):
        if statement := revoking(right, idle):
            session.run(statement)
    for right in sorted(wanted - found):
        if statement := granting(right, idle):
            session.run(statement)
    found = rights(session, idle)
    if left := [f"it lacks {right}" for right in sorted(wanted - found)] + [f"it has {right}" for right in sorted(found - wanted)]:
        raise _unequal(session, idle, left)


def granting(right: Right, user: str) -> str | None:
    """The statement; None for a right that has to be granted by hand."""
    if right.kind == "GROUP":
        return f"ALTER GROUP {_on(right)} ADD USER {identifier(user)}"
    if right.kind == "ROLE":
        return f"GRANT ROLE {_on(right)} TO {identifier(user)}" + (" WITH ADMIN OPTION" if right.option else "")
    if _is_plain(right):
        option = " WITH GRANT OPTION" if right.option else ""
        return f"GRANT {right.privilege} ON {right.kind} {_on(right)} TO {identifier(user)}{option}"
    return None


def revoking(right: Right, user: str) -> str | None:
    """The statement; None for a right that has to be revoked by hand."""
    if right.kind == "GROUP":
        return f"ALTER GROUP {_on(right)} DROP USER {identifier(user)}"
    if right.kind == "ROLE":
        return f"REVOKE ROLE {_on(right)} FROM {identifier(user)}"
    if _is_plain(right):
        return f"REVOKE {right.privilege} ON {right.kind} {_on(right)} FROM {identifier(user)}"
    return None


def _query(kind: str) -> str:
    view, columns = VIEWS[kind]
    scope = "privilege_scope" if kind in SCOPED else f"'{kind}'"
    option = "false" if kind in WITHOUT_OPTION else "admin_option"
    columns_of = ", ".join((*columns, scope, "privilege_type", option))
    return f"SELECT {columns_of} FROM {view} WHERE identity_type = 'user' AND identity_name = ?"  # noqa: S608  # constants of this module


def _on(right: Right) -> str:
    return ".".join(identifier(part) for part in right.on)


def _is_plain(right: Right) -> bool:
    """Whether it is granted as PostgreSQL grants it, by a privilege that is a word of SQL."""
    return right.kind in ("DATABASE", "SCHEMA", "TABLE") and right.privilege.isalpha()


def _unequal(session: Session, idle: str, left: list[str]) -> RotationError:
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    return RotationError(
        Kind.PERMISSION,
        f"{idle} may not do the same as the user in use: {'; '.join(left[:SHOWN])}{more}",
        check="that these rights are given to a group or a role that both users have: a user's own rights on columns, functions and"
        " languages, its default privileges and its scoped permissions are not copied",
        secret=session.place.secret,
        host=session.place.host,
        user=idle,
    )
