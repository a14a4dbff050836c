"""A fake of Redshift at the driver's boundary: its users, groups, roles, grants and sessions, in its own catalogue's words.

It takes the statements of Amazon's manual that the rotator sends, each whole, and no others; asks for a superuser where the manual does;
and holds logins to the passwords that were set. It is not a server: that a real one takes the same statements, it cannot prove.
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_commands.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redshift_connector.error import ProgrammingError
from tests.unit.rotators.stores import Life

NAME = r'"((?:[^"]|"")+)"'
Grant = tuple[str, tuple[str, ...], str, bool]  # kind, on what, privilege, with the option to pass it on
Row = tuple[Any, ...]


@dataclass(slots=True)
class Known:
    """A user, as the catalogue has it."""

    password: str | None
    superuser: bool = False
    createdb: bool = False
    syslog: str = "RESTRICTED"
    limit: str = "UNLIMITED"
    timeout: int = 0
    groups: set[str] = field(default_factory=set)
    roles: set[tuple[str, bool]] = field(default_factory=set)
    grants: set[Grant] = field(default_factory=set)


class FakeRedshift:
    """The cluster: users by name, and whose sessions are open by process."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.users: dict[str, Known] = {}
        self.sessions: dict[int, str] = {}
        self.ran: list[str] = []

    def connection(self, **options: Any) -> "FakeConnection":
        """In the place of the driver's connection."""
        known = {"user", "password", "database", "host", "port", "ssl", "sslmode", "timeout", "application_name"}
        assert set(options) <= known, "an option that the driver does not have"
        assert options["sslmode"] == "verify-full"
        self.life.request()
        user = self.users.get(options["user"])
        if user is None or user.password is None or user.password != options["password"]:
            raise refused("28000", f'password authentication failed for user "{options["user"]}"')
        return FakeConnection(self, options["user"])


class FakeConnection:
    """One login, and its own cursor."""

    def __init__(self, server: FakeRedshift, user: str) -> None:
        self._server, self._user = server, user
        self._rows: list[Row] = []
        self.autocommit = False
        self.paramstyle = "format"
        self.description: list[str] | None = None

    def limit(self, seconds: float) -> None:
        assert seconds > 0

    def cursor(self) -> "FakeConnection":
        return self

    def close(self) -> None: ...

    def fetchall(self) -> list[Row]:
        return self._rows

    def execute(self, sql: str, params: tuple[object, ...] | None) -> None:
        assert self.autocommit
        assert self.paramstyle == "qmark"
        self._server.life.request()
        self._server.ran.append(sql)
        if sql.startswith("SELECT"):
            self._rows, self.description = self._select(sql, params or ()), ["column"]
            return
        assert params is None, "a parameter cannot be bound here"
        self._rows, self.description = [], None
        for pattern, change in self._statements():
            if match := re.fullmatch(pattern, sql):
                own_password = sql.startswith("ALTER USER") and match[1] == self._user
                if not self._server.users[self._user].superuser and not own_password:
                    raise refused("42501", "permission denied")
                change(*[text.replace('""', '"') if text else text for text in match.groups()])
                return
        raise refused("42601", "syntax error")

    def _select(self, sql: str, params: tuple[object, ...]) -> list[Row]:
        users = self._server.users
        if sql == "SELECT 1":
            return [(1,)]
        if sql == "SELECT pg_terminate_backend(?)":
            assert users[self._user].superuser
            return [(1 if self._server.sessions.pop(int(str(params[0])), None) else 0,)]
        [name] = params
        user = users.get(str(name))
        if sql == "SELECT process FROM stv_sessions WHERE trim(user_name) = ?":
            return [(process,) for process, whose in self._server.sessions.items() if whose == name]
        if sql == "SELECT superuser, createdb, syslog_access, connection_limit, session_timeout FROM svv_user_info WHERE user_name = ?":
            return [(user.superuser, user.createdb, user.syslog, user.limit, user.timeout)] if user else []
        assert user is not None
        if sql == "SELECT groname FROM pg_group, pg_user WHERE usesysid = ANY(grolist) AND usename = ?":
            return [(group,) for group in user.groups]
        if sql == "SELECT role_name, admin_option FROM svv_user_grants WHERE user_name = ?":
            return list(user.roles)
        if "FROM svv_default_privileges WHERE grantee_type = 'user' AND grantee_name = ?" in sql:
            return [("sales", "RELATION", *on, privilege, option) for kind, on, privilege, option in user.grants if kind == "DEFAULT"]
        return self._privileges(sql, user)

    def _privileges(self, sql: str, user: Known) -> list[Row]:
        columns = {
            "svv_database_privileges": ("DATABASE", "database_name, privilege_scope, privilege_type, admin_option"),
            "svv_schema_privileges": ("SCHEMA", "namespace_name, privilege_scope, privilege_type, admin_option"),
            "svv_relation_privileges": ("TABLE", "namespace_name, relation_name, 'TABLE', privilege_type, admin_option"),
            "svv_column_privileges": ("COLUMN", "namespace_name, relation_name, column_name, 'COLUMN', privilege_type, false"),
            "svv_function_privileges": (
                "FUNCTION",
                "namespace_name, function_name, argument_types, 'FUNCTION', privilege_type, admin_option",
            ),
            "svv_language_privileges": ("LANGUAGE", "language_name, 'LANGUAGE', privilege_type, admin_option"),
        }
        match = re.fullmatch(r"SELECT (.+) FROM (svv_\w+) WHERE identity_type = 'user' AND identity_name = \?", sql)
        assert match, sql
        kind, wanted = columns[match[2]]
        assert match[1] == wanted
        found = [(*on, kind, privilege, option) for known, on, privilege, option in user.grants if known == kind]
        scoped = [
            (*on, known.split()[0], privilege, option) for known, on, privilege, option in user.grants if known.endswith(f" IN {kind}")
        ]
        return found + scoped

    def _statements(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            (f"CREATE USER {NAME} PASSWORD DISABLE", self._create),
            (f"ALTER USER {NAME} PASSWORD DISABLE", lambda user: setattr(self._known(user), "password", None)),
            (f"ALTER USER {NAME} PASSWORD '([^'\\\\]+)'", self._password),
            (f"ALTER USER {NAME} (CREATEDB|NOCREATEDB)", lambda user, word: setattr(self._known(user), "createdb", word == "CREATEDB")),
            (f"ALTER USER {NAME} SYSLOG ACCESS (RESTRICTED|UNRESTRICTED)", lambda user, word: setattr(self._known(user), "syslog", word)),
            (f"ALTER USER {NAME} CONNECTION LIMIT (\\d+|UNLIMITED)", lambda user, limit: setattr(self._known(user), "limit", limit)),
            (f"ALTER USER {NAME} SESSION TIMEOUT (\\d+)", lambda user, limit: setattr(self._known(user), "timeout", int(limit))),
            (f"ALTER USER {NAME} RESET SESSION TIMEOUT", lambda user: setattr(self._known(user), "timeout", 0)),
            (f"ALTER GROUP {NAME} ADD USER {NAME}", lambda group, user: self._known(user).groups.add(group)),
            (f"ALTER GROUP {NAME} DROP USER {NAME}", lambda group, user: self._known(user).groups.remove(group)),
            (f"GRANT ROLE {NAME} TO {NAME}( WITH ADMIN OPTION)?", lambda role, user, own: self._known(user).roles.add((role, bool(own)))),
            (f"REVOKE ROLE {NAME} FROM {NAME}", self._revoke_role),
            (rf"GRANT (\w+) ON (DATABASE|SCHEMA|TABLE) {NAME}(?:\.{NAME})? TO {NAME}( WITH GRANT OPTION)?", self._grant),
            (rf"REVOKE (\w+) ON (DATABASE|SCHEMA|TABLE) {NAME}(?:\.{NAME})? FROM {NAME}", self._revoke),
        ]

    def _known(self, user: str) -> Known:
        if user not in self._server.users:
            raise refused("42704", f'user "{user}" does not exist')
        return self._server.users[user]

    def _create(self, user: str) -> None:
        if user in self._server.users:
            raise refused("42710", f'user "{user}" already exists')
        self._server.users[user] = Known(None)

    def _password(self, user: str, password: str) -> None:
        classes = (str.isupper, str.islower, str.isdigit)
        if not 8 <= len(password) <= 64 or not all(any(map(each, password)) for each in classes) or set(password) & set("'\"\\/@ "):
            raise refused("22023", f"password {password} does not meet the rules")
        self._known(user).password = password

    def _revoke_role(self, role: str, user: str) -> None:
        self._known(user).roles = {(name, option) for name, option in self._known(user).roles if name != role}

    def _grant(self, privilege: str, kind: str, first: str, second: str | None, user: str, option: str | None) -> None:
        self._known(user).grants.add((kind, (first, second) if second else (first,), privilege, bool(option)))

    def _revoke(self, privilege: str, kind: str, first: str, second: str | None, user: str) -> None:
        on = (first, second) if second else (first,)
        self._known(user).grants = {grant for grant in self._known(user).grants if grant[:3] != (kind, on, privilege)}


def refused(state: str, message: str) -> ProgrammingError:
    return ProgrammingError({"S": "ERROR", "C": state, "M": message})
