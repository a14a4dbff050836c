"""The two roles of alternating users: which of them has the rights, and what else belongs to a role.

One role, the holder, owns the objects and is granted the rights. The other, its follower, is a member of it and acts as it from login on
(`ALTER ROLE follower SET role = holder`): so both may do the same, objects that either creates belong to the holder, and a right that is
revoked is gone for both. AWS's function makes the same membership, without the rest.
"""

import re
from dataclasses import dataclass, field

from keyturn_rotators.engines.postgres.connection import Session, identifier, literal
from keyturn_rotators.errors import Kind, RotationError

SWITCHES = ("CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")
LISTS_OF_NAMES = frozenset({"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"})
FOREVER = "infinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two roles of one secret."""

    current: str
    pending: str
    holder: str

    @property
    def follower(self) -> str:
        return self.pending if self.holder == self.current else self.current


def find_pair(session: Session, *, current: str, pending: str, base: str) -> Pair | None:
    """The pair as the memberships say it; None where one of them does not exist.

    Raises RotationError where the roles have nothing to do with each other: the second one may be anybody's.
    """
    found: list[tuple[str, bool]] = [
        (name, superuser)
        for name, superuser in session.run(
            "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = :current OR rolname = :pending", current=current, pending=pending
        )
    ]
    if superusers := [name for name, superuser in found if superuser]:
        raise RotationError(
            Kind.POLICY,
            "a superuser cannot have a second user of the same rights",
            check="the user; rotate it as SingleUser",
            user=superusers[0],
        )
    if len(found) < 2:
        return None
    members = {
        (member, group)
        for member, group in session.run(
            "SELECT m.rolname, g.rolname FROM pg_auth_members JOIN pg_roles m ON m.oid = member"
            " JOIN pg_roles g ON g.oid = roleid WHERE (m.rolname = :current AND g.rolname = :pending)"
            " OR (m.rolname = :pending AND g.rolname = :current)",
            current=current,
            pending=pending,
        )
    }
    if not members:
        other = current if base == pending else pending
        raise RotationError(
            Kind.POLICY,
            f"the role {pending} exists and is no partner of {current}: its password is left alone",
            check=f"whose role that is; if it is the second user of this secret: GRANT {identifier(base)} TO {identifier(other)}",
            user=pending,
        )
    return Pair(current=current, pending=pending, holder=members.pop()[1])


def membership(session: Session, pair: Pair) -> str:
    """The statement that makes the follower a member with all of the holder's rights; harmless when repeated."""
    options = " WITH INHERIT TRUE, SET TRUE" if session.version >= 160000 else ""
    return f"GRANT {identifier(pair.holder)} TO {identifier(pair.follower)}{options}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing of the pending role that is not as the current one's. Settings' values may be secrets: only `statement` has them."""

    what: str
    statement: str = field(repr=False)


def attribute_changes(session: Session, pair: Pair) -> list[Change]:
    """What gives the pending role the current one's attributes."""
    rows = session.run(
        "SELECT rolname, rolconnlimit, coalesce(rolvaliduntil::text, :forever), rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname = :current OR rolname = :pending",
        forever=FOREVER,
        current=pair.current,
        pending=pair.pending,
    )
    attributes = {name: values for name, *values in rows}
    wanted, found = attributes[pair.current], attributes[pair.pending]
    options = [f"CONNECTION LIMIT {int(wanted[0])}", f"VALID UNTIL {literal(wanted[1])}"]
    options += [word if value else f"NO{word}" for word, value in zip(SWITCHES, wanted[2:], strict=True)]
    return [
        Change(what=f"the attribute {option}", statement=f"ALTER ROLE {identifier(pair.pending)} {option}")
        for option, want, have in zip(options, wanted, found, strict=True)
        if want != have
    ]


Settings = dict[tuple[str, str], str]  # (database or "", name) -> value as the catalogue has it


def setting_changes(session: Session, pair: Pair) -> list[Change]:
    """What gives the pending role the current one's settings (ALTER ROLE ... SET)."""
    wanted, found = _settings(session, pair.current), _settings(session, pair.pending)
    if wanted.get(("", "role")) == pair.holder:
        del wanted["", "role"]
    if pair.pending == pair.follower:
        wanted.setdefault(("", "role"), pair.holder)
    changed = {place: f"RESET {identifier(place[1])}" for place in found if place not in wanted}
    changed |= {
        place: f"SET {identifier(place[1])} TO {_value(place[1], value)}" for place, value in wanted.items() if found.get(place) != value
    }
    return [
        Change(what=f"the setting {name}" + (f" in {database}" if database else ""), statement=f"{_alter(pair.pending, database)} {change}")
        for (database, name), change in changed.items()
    ]


def acting_as_holder(session: Session, pair: Pair) -> list[str]:
    """The statement that lets the follower act as the holder from login on, unless it acts as a role already."""
    if ("", "role") in _settings(session, pair.follower):
        return []
    role = _settings(session, pair.holder).get(("", "role"), pair.holder)
    return [f"{_alter(pair.follower, '')} SET role TO {literal(role)}"]


def _settings(session: Session, role: str) -> Settings:
    rows = session.run(
        "SELECT coalesce(d.datname, ''), split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)"
        " FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c WHERE r.rolname = :role",
        role=role,
    )
    return {(database, name): value for database, name, value in rows}


def _alter(role: str, database: str) -> str:
    return f"ALTER ROLE {identifier(role)}" + (f" IN DATABASE {identifier(database)}" if database else "")


def _value(name: str, value: str) -> str:
    """The value as SQL. The app's user can put any text into its own settings: nothing of it may be read as more than a value."""
    if name.lower() not in LISTS_OF_NAMES:
        return str(literal(value))
    names = [match[1].replace('""', '"') if match[1] is not None else match[2].lower() for match in _NAME.finditer(value)]
    return ", ".join(literal(each) for each in names) or "''"


_NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s,"]+)')
