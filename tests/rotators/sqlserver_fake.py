"""A strict fake of SQL Server at the driver's boundary, since no SQL Server can be had here. It takes the place of `pytds.connect`.

It knows the statements that the engine sends, by the manual's grammar, and what they need and do: logins, passwords, users, roles,
permissions and sessions. It refuses by the server's error numbers, in the driver's own error classes; any other statement fails the test.
https://learn.microsoft.com/en-us/sql/t-sql/statements/alter-login-transact-sql
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytds
from tests.rotators.fake_server import FakeRows, FakeServer, InABlock, Rows

from keyturn_rotators.engines.sqlserver.transport import NoTls

REAL_CONNECT = inspect.signature(pytds.connect)
ID = r"\[((?:[^\]]|\]\])+)\]"
ON = rf"(?: ON (?P<kind>[A-Z ]+)::(?P<path>{ID}(?:\.{ID})?)(?: \((?P<column>{ID})\))?)?"
SECRET = (
    r"DECLARE @do nvarchar\(max\) = N'(?P<verb>CREATE LOGIN|ALTER LOGIN|ALTER USER) ' \+ QUOTENAME\(%s\)"
    r" \+ N' WITH PASSWORD = N' \+ QUOTENAME\(%s, ''''\)(?P<old> \+ N' OLD_PASSWORD = N' \+ QUOTENAME\(%s, ''''\))?"
    r"; EXEC sys\.sp_executesql @do"
)
LOGIN_FAILED, DISABLED, KILLED, NOT_FOUND = 18456, 18470, 596, 15151
OF_SERVER = frozenset({"CONNECT SQL", "VIEW SERVER STATE", "VIEW ANY DATABASE", "ALTER TRACE", "IMPERSONATE ANY LOGIN"})
FIXED_ROLES = frozenset({"sysadmin", "securityadmin", "processadmin", "setupadmin"})  # whose members everybody sees
CLASSES = {"LOGIN": "SERVER_PRINCIPAL", "OBJECT": "OBJECT_OR_COLUMN", "ROLE": "DATABASE_ROLE", "USER": "SQL_USER"}  # or as they are called
LEAST = frozenset({"ALTER ANY LOGIN", "VIEW ANY DEFINITION", "VIEW SERVER STATE", "ALTER ANY CONNECTION"})

Permission = tuple[str, str, str, str | None, str | None, str | None]  # class, permission, state, schema, name, column


def failed(number: int, text: str, *before: str) -> pytds.OperationalError:
    """As pytds makes it of the server's messages: all of their words, and the number of the last."""
    error = pytds.OperationalError(" ".join([*before, text]))
    error.number = error.msg_no = number
    error.text = text
    return error


@dataclass(slots=True, kw_only=True)
class FakeLogin:
    """A principal of the server, or a user whose password its database keeps."""

    password: str
    disabled: bool = False
    settings: tuple[str, str, bool, bool] = ("master", "us_english", True, False)
    may: frozenset[str] = frozenset()
    roles: set[str] = field(default_factory=set)
    permissions: set[Permission] = field(default_factory=set)
    history: list[str] | None = None  # the passwords that it has had, where none may come again


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A login's user in one database."""

    login: str
    schema: str = "dbo"
    roles: set[str] = field(default_factory=set)
    permissions: set[Permission] = field(default_factory=set)
    owns: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class FakeDatabase:
    """Users by name. `owners`: logins that may change what is in it."""

    owners: set[str] = field(default_factory=set)
    users: dict[str, FakeUser] = field(default_factory=dict)
    contained: dict[str, FakeLogin] = field(default_factory=dict)

    def user_of(self, login: str) -> tuple[str, FakeUser] | None:
        return next(((name, user) for name, user in self.users.items() if user.login == login), None)


class FakeSqlServer(FakeServer):
    """The server's state."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.logins: dict[str, FakeLogin] = {}
        self.databases: dict[str, FakeDatabase] = defaultdict(FakeDatabase, {"master": FakeDatabase(), "msdb": FakeDatabase()})
        self.guests = {"master", "msdb"}
        self.sessions: dict[int, FakeConnection] = {}
        self.shortest = 0
        self.number = 50

    def log_in(self, user: str, password: str, database: str) -> FakeLogin:
        login = self.logins.get(user) or self.databases[database].contained.get(user)
        if login is None or login.password != password:
            raise failed(LOGIN_FAILED, f"Login failed for user '{user}'.")
        if login.disabled:
            raise failed(DISABLED, f"Login failed for user '{user}'. Reason: The account is disabled.")
        if not self.may_enter(user, database):
            before = f'Cannot open database "{database}" requested by the login. The login failed.'
            raise failed(LOGIN_FAILED, f"Login failed for user '{user}'.", before)
        return login

    def may_enter(self, user: str, database: str) -> bool:
        there = self.databases[database]
        return database in self.guests or user in there.owners or user in there.contained or bool(there.user_of(user))

    def connect(self, *args: object, **options: Any) -> "FakeConnection":
        """In the place of pytds.connect, whose parameters it keeps to."""
        given = REAL_CONNECT.bind(*args, **options).arguments
        server = self.at.get(given["port"])
        if not isinstance(server, FakeSqlServer):
            raise TimeoutError("timed out")
        server.accept()
        server.life.request()
        if given["sock"].tls:
            raise NoTls
        return FakeConnection(server, given["user"], given["password"], given["database"], given["sock"])


class FakeConnection:
    """What the engine uses of pytds's connection."""

    def __init__(self, server: FakeSqlServer, user: str, password: str, database: str, sock: Any = None) -> None:
        self.login = server.log_in(user, password, database)
        self.server, self.user, self.database, self._sock = server, user, database, sock
        server.number += 1
        self.number = server.number
        server.sessions[self.number] = self

    @property
    def there(self) -> FakeDatabase:
        return self.server.databases[self.database]

    def close(self) -> None:
        self.server.sessions.pop(self.number, None)
        self.server.unlock(self)
        if self._sock:
            self._sock.close()

    def cursor(self) -> "FakeCursor":
        return FakeCursor(self)

    def execute(self, sql: str, params: list[Any]) -> Rows | None:
        if self.number not in self.server.sessions:
            raise failed(KILLED, "Cannot continue the execution because the session is in the kill state.")
        sql = " ".join(sql.split())
        statement, match = self.server.known(sql, params, among=STATEMENTS, places=sql.count("%s"))
        return statement(self, match, params)

    def need(self, right: str) -> None:
        if right not in self.login.may:
            raise failed(15247, "User does not have permission to perform this action.")

    def need_owner(self) -> None:
        if self.user not in self.there.owners:
            raise failed(15151, "Cannot alter it, because it does not exist or you do not have permission.")


class FakeCursor(FakeRows, InABlock):
    """One batch and its rows."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    def execute(self, operation: str, params: tuple[Any, ...] | None = ()) -> None:
        self._connection.server.life.request()
        self.keep(self._connection.execute(operation, list(params or ())))

    def fetchall(self) -> Rows:
        return self.kept()


Statement = Callable[[FakeConnection, re.Match[str], list[Any]], Rows | None]


def name_of(quoted: str) -> str:
    return quoted.removeprefix("[").removesuffix("]").replace("]]", "]")


def _secret(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    assert all(len(value) <= 128 for value in params), "QUOTENAME of more than 128 characters is NULL"
    name, password, *old = params
    if match["verb"] == "CREATE LOGIN":
        it.need("ALTER ANY LOGIN")
        if name in it.server.logins:
            raise failed(15025, f"The server principal '{name}' already exists.")
        it.server.logins[name] = FakeLogin(password="")
        it.server.logins[name].permissions.add(("SERVER", "CONNECT SQL", "G", None, None, None))
    contained = match["verb"] == "ALTER USER"
    login = (it.there.contained if contained else it.server.logins).get(name)
    itself = login is it.login and bool(match["old"])
    allowed = it.user in it.there.owners if contained else "ALTER ANY LOGIN" in it.login.may
    if login is None or not (itself or allowed) or (match["old"] and login.password != old[0]):
        raise failed(NOT_FOUND, f"Cannot alter the login '{name}', because it does not exist or you do not have permission.")
    _change(it.server, login, password)


def _change(server: FakeSqlServer, login: FakeLogin, password: str) -> None:
    if login.settings[2] and len(password) < server.shortest:
        raise failed(15116, "Password validation failed. The password does not meet Windows policy requirements because it is too short.")
    if login.history is not None and password in [*login.history, login.password]:
        raise failed(15115, "Password validation failed. The password cannot be used at this time.")
    if login.history is not None:
        login.history.append(login.password)
    login.password = password


def _enable(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER ANY LOGIN")
    it.server.logins[name_of(match[1])].disabled = match["how"] == "DISABLE"


def _settings(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER ANY LOGIN")
    login = it.server.logins[name_of(match["login"])]
    login.settings = (name_of(match["database"]), name_of(match["language"]), match["policy"] == "ON", match["expiration"] == "ON")


def _login(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    login = it.server.logins.get(params[0]) if "ALTER ANY LOGIN" in it.login.may or params[0] == it.user else None
    return [(login.disabled, *login.settings)] if login else []


def _lock(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(0 if it.server.locks.setdefault(f"{it.database}/{params[0]}", it) is it else -1,)]


def _sessions(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    seen = "VIEW SERVER STATE" in it.login.may
    return [(one.number,) for one in it.server.sessions.values() if one.user == params[0] and (seen or one is it)]


def _seen(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    one = it.server.sessions.get(params[0])
    return [(1,)] if one and (one is it or "VIEW SERVER STATE" in it.login.may) else []


def _kill(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    if "ALTER ANY CONNECTION" not in it.login.may:
        raise failed(6102, "User does not have permission to use the KILL statement.")
    if it.server.sessions.pop(int(match["number"]), None) is None:
        raise failed(6106, f"Process ID {match['number']} is not an active process ID.")


def _use(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    database = name_of(match[1])
    if not it.server.may_enter(it.user, database):
        text = f'The server principal "{it.user}" is not able to access the database "{database}" under the current security context.'
        raise failed(916, text)
    it.database = database


def _databases(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(name,) for name in sorted(it.server.databases) if it.server.may_enter(it.user, name)]


def _authentication(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(2 if it.user in it.there.contained else 1,)]


def _sees_all(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(int("VIEW ANY DEFINITION" in it.login.may),)]


def _user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    found = it.there.user_of(params[0])
    seen = "VIEW ANY DEFINITION" in it.login.may or it.user in it.there.owners
    return [(found[0], found[1].schema)] if found and seen else []


def _owned(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [*it.there.users[params[0]].owns]


def _create_user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need_owner()
    name = name_of(match["user"])
    if name in it.there.users:
        raise failed(15023, f"User, group, or role '{name}' already exists in the current database.")
    it.there.users[name] = FakeUser(login=name_of(match["login"]), schema=name_of(match["schema"] or "[dbo]"))
    it.there.users[name].permissions.add(("DATABASE", "CONNECT", "G", None, None, None))


def _alter_user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need_owner()
    it.there.users[name_of(match["user"])].schema = name_of(match["schema"])


def _drop_user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need_owner()
    del it.there.users[name_of(match[1])]


def _roles(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    found = it.server.logins[params[0]].roles if match["server"] else it.there.users[params[0]].roles
    if match["server"] and "VIEW ANY DEFINITION" not in it.login.may:
        found = found & FIXED_ROLES
    return [(role,) for role in sorted(found)]


def _role(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    role, name = name_of(match["role"]), name_of(match["who"])
    if match["server"]:
        it.need(f"ALTER SERVER ROLE {role}")
        found = it.server.logins[name].roles
    else:
        it.need_owner()
        found = it.there.users[name].roles
    (found.add if match["how"] == "ADD" else found.remove)(role)


def _permissions(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    of_server = "server_permissions" in match[0]
    found = it.server.logins[params[0]].permissions if of_server else it.there.users[params[0]].permissions
    return [*sorted(found, key=str)]


def _grant(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    of_server = match["kind"] in ("LOGIN", "ENDPOINT") or (not match["kind"] and match["permission"] in OF_SERVER)
    path = [name_of(part) for part in re.findall(r"\[(?:[^\]]|\]\])+\]", match["path"] or "")]
    schema, named = path[-2] if len(path) == 2 else None, path[-1] if path else None
    kind = CLASSES.get(match["kind"], match["kind"]) if match["kind"] else "SERVER" if of_server else "DATABASE"
    column = name_of(match["column"]) if match["column"] else None
    if of_server:
        assert it.database == "master", "Permissions at the server scope can only be granted when the current database is master"
        it.need(f"GRANT {match['permission']}")
        found = it.server.logins[name_of(match["who"])].permissions
    else:
        it.need_owner()
        found = it.there.users[name_of(match["who"])].permissions
    what = (kind, match["permission"])
    for one in [one for one in found if one[:2] == what and one[3:] == (schema, named, column)]:
        found.remove(one)
    state = {"GRANT": "W" if match["more"] else "G", "DENY": "D", "REVOKE": ""}[match["verb"]]
    if state:
        found.add((*what, state, schema, named, column))


SELECT_ROLES = r"SELECT r\.name FROM sys\.(?P<server>server_|)(?:database_)?role_members m JOIN sys\.\w+_principals r"
WHERE = r"\.principal_id = m\.role_principal_id WHERE m\.member_principal_id = (?:SUSER_ID|DATABASE_PRINCIPAL_ID)\(%s\)"
STATEMENTS: dict[str, Statement] = {
    r"SET LOCK_TIMEOUT \d+": lambda it, match, params: None,
    r"SELECT ORIGINAL_LOGIN\(\)": lambda it, match, params: [(it.user,)],
    r"SELECT HAS_PERMS_BY_NAME\(NULL, NULL, 'VIEW ANY DEFINITION'\)": _sees_all,
    r"SELECT @@SPID": lambda it, match, params: [(it.number,)],
    SECRET: _secret,
    rf"ALTER LOGIN {ID} (?P<how>ENABLE|DISABLE)": _enable,
    rf"ALTER LOGIN (?P<login>{ID}) WITH DEFAULT_DATABASE = (?P<database>{ID}), DEFAULT_LANGUAGE = (?P<language>{ID}),"
    r" CHECK_POLICY = (?P<policy>ON|OFF), CHECK_EXPIRATION = (?P<expiration>ON|OFF)": _settings,
    r"SELECT is_disabled, default_database_name, default_language_name, is_policy_checked, is_expiration_checked"
    r" FROM sys\.sql_logins WHERE name = %s": _login,
    r"DECLARE @got int; EXEC @got = sys\.sp_getapplock @Resource = %s, @LockMode = 'Exclusive', @LockOwner = 'Session',"
    r" @LockTimeout = %s, @DbPrincipal = 'public'; SELECT @got": _lock,
    r"SELECT session_id FROM sys\.dm_exec_sessions WHERE original_login_name = %s": _sessions,
    r"SELECT 1 FROM sys\.dm_exec_sessions WHERE session_id = %s": _seen,
    r"KILL (?P<number>\d+)": _kill,
    rf"USE {ID}": _use,
    r"SELECT name FROM sys\.databases WHERE state = 0 AND HAS_DBACCESS\(name\) = 1 ORDER BY name": _databases,
    r"SELECT authentication_type FROM sys\.database_principals WHERE principal_id = USER_ID\(\)": _authentication,
    r"SELECT name, default_schema_name FROM sys\.database_principals WHERE sid = SUSER_SID\(%s\)": _user,
    r"SELECT 'SCHEMA', name FROM sys\.schemas WHERE principal_id = DATABASE_PRINCIPAL_ID\(%s\) UNION ALL SELECT 'ROLE', name"
    r" FROM sys\.database_principals WHERE owning_principal_id = DATABASE_PRINCIPAL_ID\(%s\)": _owned,
    rf"CREATE USER (?P<user>{ID}) FOR LOGIN (?P<login>{ID})(?: WITH DEFAULT_SCHEMA = (?P<schema>{ID}))?": _create_user,
    rf"ALTER USER (?P<user>{ID}) WITH DEFAULT_SCHEMA = (?P<schema>{ID})": _alter_user,
    rf"DROP USER {ID}": _drop_user,
    rf"{SELECT_ROLES} ON r{WHERE}": _roles,
    rf"ALTER (?P<server>SERVER )?ROLE (?P<role>{ID}) (?P<how>ADD|DROP) MEMBER (?P<who>{ID})": _role,
    r"SELECT (?:CASE .+|p\.class_desc, .+) FROM sys\.(?:server|database)_permissions p"
    r" WHERE p\.grantee_principal_id = (?:SUSER_ID|DATABASE_PRINCIPAL_ID)\(%s\)": _permissions,
    rf"(?P<verb>GRANT|DENY) (?P<permission>[A-Z ]+?){ON} TO (?P<who>{ID})(?P<more> WITH GRANT OPTION)?": _grant,
    rf"(?P<verb>REVOKE) (?P<permission>[A-Z ]+?){ON} FROM (?P<who>{ID})(?P<more> CASCADE)?": _grant,
}
