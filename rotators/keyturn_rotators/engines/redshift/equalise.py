"""The statements that give one user the rights of another, in Redshift's grammar.

https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html
https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_DEFAULT_PRIVILEGES.html
"""

from keyturn_rotators.engines.redshift.connection import Session, identifier
from keyturn_rotators.engines.redshift.rights import Differences, Right, differences, rights
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rights import shown

PASSES = 2  # what is revoked on a table goes from its columns, too, where it may have been granted
PLAIN = frozenset({"DATABASE", "SCHEMA", "TABLE", "LANGUAGE"})
SCOPES = frozenset({"TABLES IN SCHEMA", "FUNCTIONS IN SCHEMA", "SCHEMAS IN DATABASE", "TABLES IN DATABASE", "FUNCTIONS IN DATABASE"})
DEFAULTS = {"DEFAULT RELATION": "TABLES", "DEFAULT FUNCTION": "FUNCTIONS", "DEFAULT PROCEDURE": "PROCEDURES"}


def equalise(session: Session, *, model: str, idle: str) -> None:
    """Give the idle user what the other has, and take from it what the other has not. Raises RotationError where something is left over.

    The user in use, `model`, is given what it may not do with what the idle user owns, and nothing else.
    """
    for _ in range(PASSES):
        found = _compared(session, model=model, idle=idle)
        statements = [revoking(right, idle) for right in found.extra]
        statements += [granting(right, idle) for right in found.lacking]
        statements += [granting(right, model) for right in found.closed]
        if not statements:
            return
        for statement in statements:
            if statement is not None:
                session.run(statement)
    if left := _compared(session, model=model, idle=idle).told():
        raise _unequal(session, idle, left)


def granting(right: Right, user: str) -> str | None:
    """The statement; None for a right that has to be granted by hand."""
    name = identifier(user)
    if right.kind == "GROUP":
        return f"ALTER GROUP {_on(right)} ADD USER {name}"
    if right.kind == "ROLE":
        return f"GRANT ROLE {_on(right)} TO {name}" + (" WITH ADMIN OPTION" if right.option else "")
    option = " WITH GRANT OPTION" if right.option else ""
    return _change(right, "GRANT", f"TO {name}{option}")


def revoking(right: Right, user: str) -> str | None:
    """The statement; None for a right that has to be revoked by hand."""
    name = identifier(user)
    if right.kind == "GROUP":
        return f"ALTER GROUP {_on(right)} DROP USER {name}"
    if right.kind == "ROLE":
        return f"REVOKE ROLE {_on(right)} FROM {name}"
    return _change(right, "REVOKE", f"FROM {name}")


def _change(right: Right, verb: str, whose: str) -> str | None:
    if not right.privilege.isalpha():  # what is not a word of SQL is not put into a statement
        return None
    if right.kind in PLAIN:
        return f"{verb} {right.privilege} ON {right.kind} {_on(right)} {whose}"
    if right.kind == "COLUMN":
        schema, table, column = (identifier(part) for part in right.on)
        return f"{verb} {right.privilege} ({column}) ON TABLE {schema}.{table} {whose}"
    if right.kind in SCOPES:
        return f"{verb} {right.privilege} FOR {right.kind} {_on(right)} {whose}"
    if right.kind in DEFAULTS:
        owner, schema = right.on
        place = f" IN SCHEMA {identifier(schema)}" if schema else ""
        change = f"{verb} {right.privilege} ON {DEFAULTS[right.kind]} {whose}"
        return f"ALTER DEFAULT PRIVILEGES FOR USER {identifier(owner)}{place} {change}"
    return None


def _compared(session: Session, *, model: str, idle: str) -> Differences:
    pair = (model, idle)
    return differences(model=rights(session, model, pair=pair), idle=rights(session, idle, pair=pair))


def _on(right: Right) -> str:
    return ".".join(identifier(part) for part in right.on)


def _unequal(session: Session, idle: str, left: list[str]) -> RotationError:
    return RotationError(
        Kind.PERMISSION,
        f"{idle} may not do the same as the user in use: {shown(left)}",
        check="that these rights are given to a group or a role that both users have, or to both by hand: a user's own rights on functions"
        " and procedures are not copied",
        secret=session.place.secret,
        host=session.place.host,
        user=idle,
    )
