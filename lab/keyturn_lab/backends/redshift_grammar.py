"""Redshift's statements for users, groups, roles and permissions, as PostgreSQL's.

Each form is taken whole, as Amazon's manual writes it, and what is none of them is a syntax error: a statement that PostgreSQL alone would
take does not pass for one of Redshift's.
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_commands.html
"""

import re
from collections.abc import Callable

from keyturn_lab.backends.redshift_catalogue import SCHEMA, SESSION_TIMEOUT, SYSLOG_ACCESS

Match = re.Match[str]

NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
ON_ONE = rf"DATABASE {NAME}|LANGUAGE {NAME}|SCHEMA {NAME}|(?:TABLE )?{NAME}\.{NAME}|FUNCTION {NAME}\.{NAME}\([a-z0-9_ ,]*\)"
PRIVILEGES = rf"[A-Z]+(?:, [A-Z]+)*(?: \({NAME}(?:, {NAME})*\))?"
TO = rf"(?:GROUP |ROLE )?{NAME}|PUBLIC"
SCOPE = rf"(?P<privilege>[A-Z]+) FOR (?P<scope>SCHEMAS|TABLES|FUNCTIONS) IN (?P<kind>SCHEMA|DATABASE) (?P<place>{NAME})"
OTHERS = re.compile(
    r"(SELECT|INSERT|UPDATE|DELETE|TRUNCATE|BEGIN|COMMIT|ROLLBACK|DROP|CREATE (DATABASE|SCHEMA|TABLE|VIEW|FUNCTION))\b", re.I
)
NO_STATEMENT = "no statement of Redshift"
UNFIT = frozenset("'\"\\/@ ")  # what a password may not have
CLASSES = (str.isupper, str.islower, str.isdigit)


def translated(sql: str) -> str:
    """The statement as PostgreSQL takes it; one that is no statement at all, if it is none of Redshift's."""
    statement = sql.strip().removesuffix(";")
    for pattern, meaning in RULES:
        if match := pattern.fullmatch(statement):
            return meaning if isinstance(meaning, str) else meaning(match)
    return sql if OTHERS.match(statement) else NO_STATEMENT


def _create_user(match: Match) -> str:
    superuser = " SUPERUSER" if match["superuser"] else ""
    return _checked(match, f"CREATE ROLE {match['user']} LOGIN{superuser} PASSWORD {_password(match)}")


def _alter_password(match: Match) -> str:
    return _checked(match, f"ALTER ROLE {match['user']} PASSWORD {_password(match)}")


def _password(match: Match) -> str:
    return "NULL" if match["password"] is None else f"'{match['password']}'"


def _checked(match: Match, statement: str) -> str:
    """The statement, or a refusal that quotes the password, which is the worst that a server could say."""
    password = match["password"]
    if password is None or (8 <= len(password) <= 64 and not set(password) & UNFIT and all(any(map(each, password)) for each in CLASSES)):
        return statement
    return f"DO $refused$ BEGIN RAISE EXCEPTION 'unfit: %', $quoted${password}$quoted$ USING ERRCODE = '22023'; END $refused$"


def _role(match: Match) -> str:
    return f"GRANT {match['role']} TO {match['user']} WITH ADMIN {'TRUE' if match['admin'] else 'FALSE'}"


def _grant(match: Match) -> str:
    option = " WITH GRANT OPTION" if match["option"] else ""
    return f"GRANT {match['what']} ON {match['on']} TO {match['to'].removeprefix('ROLE ')}{option}"


def _revoke(match: Match) -> str:
    return f"REVOKE {match['what']} ON {match['on']} FROM {match['to'].removeprefix('ROLE ')}"


def _default(match: Match) -> str:
    schema = f" IN SCHEMA {match['schema']}" if match["schema"] else ""
    change = match["change"].replace(" ROLE ", " ")
    return f"ALTER DEFAULT PRIVILEGES FOR ROLE {match['owner']}{schema} {change}"


def _scoped(match: Match) -> str:
    values = ", ".join(_text(match[name]) for name in ("kind", "place", "scope", "privilege"))
    user, option = _text(match["user"]), bool(match["option"])
    return f"INSERT INTO {SCHEMA}.scoped SELECT {values}, oid, {option} FROM pg_catalog.pg_roles WHERE rolname = {user}"


def _unscoped(match: Match) -> str:
    same = " AND ".join(f"{name} = {_text(match[name])}" for name in ("kind", "place", "scope", "privilege"))
    user = _text(match["user"])
    return f"DELETE FROM {SCHEMA}.scoped USING pg_catalog.pg_roles WHERE oid = identity AND rolname = {user} AND {same}"


def _text(name: str) -> str:
    """A name as a literal."""
    plain = name[1:-1].replace('""', '"') if name.startswith('"') else name
    return "'" + plain.replace("'", "''") + "'"


_USER = rf"(?P<user>{NAME})"
_SECRET = r"PASSWORD (?:DISABLE|'(?P<password>[^'\\]*)')"
_OPTION = r"(?P<option> WITH GRANT OPTION)?"
_CHANGE = rf"(?:GRANT|REVOKE) {PRIVILEGES} ON (?:TABLES|FUNCTIONS) (?:TO|FROM) (?:{TO})(?: WITH GRANT OPTION)?"


def _alter(match: Match) -> str:
    """An attribute by PostgreSQL's word."""
    user, attribute = match["user"], match["attribute"].upper()
    word, _, value = attribute.rpartition(" ")
    if attribute == "RESET SESSION TIMEOUT":
        return f"ALTER ROLE {user} RESET {SESSION_TIMEOUT}"
    changes = {
        "": attribute.replace("CREATEUSER", "SUPERUSER"),
        "CONNECTION LIMIT": f"CONNECTION LIMIT {-1 if value == 'UNLIMITED' else value}",
        "SYSLOG ACCESS": f"SET {SYSLOG_ACCESS} TO '{value}'",
        "SESSION TIMEOUT": f"SET {SESSION_TIMEOUT} TO '{value}s'",
    }
    return f"ALTER ROLE {user} {changes[word]}"


_ATTRIBUTE = (
    r"(?:NO)?CREATEDB|(?:NO)?CREATEUSER|SYSLOG ACCESS (?:UN)?RESTRICTED|CONNECTION LIMIT (?:\d+|UNLIMITED)"
    r"|SESSION TIMEOUT \d+|RESET SESSION TIMEOUT"
)
RULES: tuple[tuple[re.Pattern[str], str | Callable[[Match], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (rf"CREATE USER {_USER} {_SECRET}(?P<superuser> CREATEUSER)?", _create_user),
        (rf"ALTER USER {_USER} {_SECRET}", _alter_password),
        (rf"ALTER USER {_USER} (?P<attribute>{_ATTRIBUTE})", _alter),
        (rf"CREATE GROUP (?P<group>{NAME})", lambda match: f"CREATE ROLE {match['group']} NOLOGIN"),
        (rf"CREATE ROLE (?P<role>{NAME})", lambda match: f"CREATE ROLE {match['role']} NOLOGIN CONNECTION LIMIT 0"),
        (rf"ALTER GROUP {NAME} (?:ADD|DROP) USER {NAME}", lambda match: match[0]),
        (rf"GRANT ROLE (?P<role>{NAME}) TO {_USER}(?P<admin> WITH ADMIN OPTION)?", _role),
        (rf"REVOKE ROLE (?P<role>{NAME}) FROM {_USER}", lambda match: f"REVOKE {match['role']} FROM {match['user']}"),
        (rf"GRANT {SCOPE} TO {_USER}{_OPTION}", _scoped),
        (rf"REVOKE {SCOPE} FROM {_USER}", _unscoped),
        (rf"GRANT (?P<what>{PRIVILEGES}) ON (?P<on>{ON_ONE}) TO (?P<to>{TO}){_OPTION}", _grant),
        (rf"REVOKE (?P<what>{PRIVILEGES}) ON (?P<on>{ON_ONE}) FROM (?P<to>{TO})", _revoke),
        (rf"ALTER DEFAULT PRIVILEGES FOR USER (?P<owner>{NAME})(?: IN SCHEMA (?P<schema>{NAME}))? (?P<change>{_CHANGE})", _default),
    )
)
