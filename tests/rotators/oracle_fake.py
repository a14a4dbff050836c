"""A strict fake of Oracle Database at the driver's boundary, since none can be had here. It takes the place of `oracledb.connect_async`.

It knows the statements that the engine sends, by the manual's grammar, and what they need and do: users, passwords with their rollover
period, profiles, rights and sessions. It refuses by the server's error numbers, in the driver's own error classes; any other statement
fails the test. What it says of the rollover period is from the manuals, and written down in test_oracle_driver.py.
https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/ALTER-USER.html
"""

import asyncio
import inspect
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any

import oracledb
from tests.rotators.fake_server import FakeRows, FakeServer, InABlock, Rows
from tests.rotators.oracle_users import FakeUser, down, failed

REAL_CONNECT = inspect.signature(oracledb.connect_async)
ID = r'"([^"]+)"'


class FakeOracle(FakeServer):
    """The server's state."""

    service, elsewhere = "ORCL", "OTHER"  # another database of the same listener, which the same users can enter

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.users: dict[str, FakeUser] = {}
        self.sessions: dict[tuple[int, int, int], FakeConnection] = {}
        self.on_rds = False
        self.has_schema_privileges = False  # from 23ai on
        self.number = 100

    def log_in(self, user: str, password: str) -> FakeUser:
        name = user[1:-1] if user.startswith('"') else user.upper()
        found = self.users.get(name)
        if found is not None and found.locked:
            raise failed(28000, "The account is locked.")
        if found is None or not found.takes(password):
            raise failed(1017, "invalid credential or not authorized; logon denied")
        if ("CREATE SESSION", "NO") not in found.privileges and ("CREATE SESSION", "YES") not in found.privileges:
            raise failed(1045, f"user {name} lacks CREATE SESSION privilege; logon denied")
        return found

    async def connect(self, *args: Any, **options: Any) -> "FakeConnection":
        """In the place of oracledb.connect_async, whose parameters it keeps to."""
        given = REAL_CONNECT.bind(*args, **options).arguments
        server = self.at.get(given["port"])
        try:
            with socket.create_connection((given["host"], given["port"])):
                if not isinstance(server, FakeOracle):
                    await asyncio.Event().wait()  # as the driver does, whose time-out is that of the connection alone
                    raise AssertionError
                server.accept()
        except OSError as error:
            raise down(error) from error
        server.life.request()
        if given.get("protocol") == "tcps":
            assert given["ssl_server_dn_match"] is True
            assert given["ssl_context"].check_hostname is True
            raise down(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"))
        if given["service_name"] not in (server.service, server.elsewhere):
            raise failed(12514, "Cannot connect to database. Service is not registered with the listener")
        return FakeConnection(server, given["user"], given["password"], given["service_name"])


class FakeConnection:
    """What the engine uses of oracledb's AsyncConnection."""

    def __init__(self, server: FakeOracle, user: str, password: str, service: str = FakeOracle.service) -> None:
        self.user = server.log_in(user, password)
        self.service = service
        self.server = server
        server.number += 1
        self.key = (server.number, server.number * 7, 1)
        server.sessions[self.key] = self

    @property
    def name(self) -> str:
        return next(name for name, user in self.server.users.items() if user is self.user)

    async def close(self) -> None:
        self.server.sessions.pop(self.key, None)
        self.server.unlock(self)

    def cursor(self, scrollable: bool = False) -> "FakeCursor":
        return FakeCursor(self)

    def execute(self, sql: str, params: list[Any]) -> Rows | None:
        if self.key not in self.server.sessions:
            raise failed(28, "your session has been killed")
        sql = " ".join(sql.split())
        statement, match = self.server.known(sql, params, among=STATEMENTS, places=len(set(re.findall(r":\d", sql))))
        return statement(self, match, params)

    def need(self, right: str, code: int = 1031, text: str = "insufficient privileges") -> None:
        if right not in self.user.may:
            raise failed(code, text)

    def catalogue(self, name: str) -> FakeUser | None:
        self.need("SELECT_CATALOG_ROLE", 942, "table or view does not exist")
        return self.server.users.get(name)


class FakeCursor(FakeRows, InABlock):
    """One statement and its rows."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    async def execute(self, statement: str | None, parameters: list[Any] | None = None) -> None:
        self._connection.server.life.request()
        self.keep(self._connection.execute(statement or "", list(parameters or [])))

    async def fetchall(self) -> Rows:
        return self.kept()

    async def callfunc(self, name: str, return_type: Any, parameters: list[Any] | None = None) -> Any:
        self._connection.server.life.request()
        assert (name, return_type) == ("SYS.DBMS_LOCK.REQUEST", int)
        self._connection.need("EXECUTE ON SYS.DBMS_LOCK", 6550, "identifier 'SYS.DBMS_LOCK' must be declared")
        assert parameters is not None
        number, mode, timeout = parameters
        assert (0 <= number <= 1073741823, mode, isinstance(timeout, int)) == (True, 6, True)
        return 0 if self._connection.server.locks.setdefault(number, self._connection) is self._connection else 1


Statement = Callable[[FakeConnection, re.Match[str], list[Any]], Rows | None]


def _identified(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    user = it.server.users.get(match["user"])
    if user is not it.user or match["unlock"]:
        it.need("ALTER USER")
    if user is None:
        raise failed(1918, f"user '{match['user']}' does not exist")
    if user.judged and user is it.user and not match["old"]:
        raise failed(28221, "REPLACE not specified")
    if match["old"] and not user.takes(match["old"]):
        raise failed(28008, "invalid old password")
    user.change(match["password"])
    user.locked = user.locked and not match["unlock"]


def _end_rollover(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    user = it.server.users[match[1]]
    if user is not it.user:
        it.need("ALTER USER")
    user.first = None


def _account(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = it.catalogue(params[0])
    return [(user.status, "PASSWORD", *user.settings)] if user else []


def _create(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("CREATE USER")
    settings = (match["tablespace"], match["temporary"], match["profile"])
    if match["user"] in it.server.users:
        raise failed(1920, f"user name '{match['user']}' conflicts with another user or role name")
    it.server.users[match["user"]] = FakeUser(password=match["password"], settings=settings)


def _settings(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER USER")
    it.server.users[match["user"]].settings = (match["tablespace"], match["temporary"], match["profile"])


def _lock(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER USER")
    it.server.users[match[1]].locked = match["how"] == "LOCK"


def _sessions(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    it.need("SELECT_CATALOG_ROLE", 942, "table or view does not exist")
    return [one.key for one in it.server.sessions.values() if one.name == params[0]]


def _seen(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(1,) for key in it.server.sessions if key[:2] == tuple(params)]


def _kill(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER SYSTEM")
    if it.server.sessions.pop((int(match["sid"]), int(match["serial"]), int(match["instance"])), None) is None:
        raise failed(30, "User session ID does not exist.")


def _kill_of_rds(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    if not it.server.on_rds:
        raise failed(6550, "identifier 'RDSADMIN.RDSADMIN_UTIL' must be declared")
    it.server.sessions.pop((params[0], params[1], 1), None)


def _database(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [("UNIQUE", it.service)]


def _status(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [(it.user.status,)]


def _rollover(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    return [] if it.user.rollover is None else [(it.user.rollover,)]


def _rows(read: Callable[[FakeUser], Rows]) -> Statement:
    def statement(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
        user = it.catalogue(params[0])
        return read(user) if user else []

    return statement


def _grant(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    user, more = it.server.users[match["who"]], "YES" if match["more"] else "NO"
    if match["role"]:
        if match["role"] not in it.user.may:
            it.need("GRANT ANY ROLE")
        user.roles[match["role"]] = more
        user.default_roles.add(match["role"])
    elif match["privilege"]:
        it.need("GRANT ANY PRIVILEGE")
        if match["privilege"] == "ENQUEUE ANY QUEUE":
            raise failed(990, "missing or invalid privilege")
        user.privileges.add((match["privilege"], more))


def _schemas(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = it.catalogue(params[0])
    if not it.server.has_schema_privileges:
        raise failed(942, "table or view does not exist")
    return [*user.schemas] if user else []


def _schema(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("GRANT ANY PRIVILEGE")
    schemas = it.server.users[match["who"]].schemas
    schemas -= {one for one in schemas if one[:2] == (match["privilege"], match["schema"])}
    if match["how"] == "GRANT":
        schemas.add((match["privilege"], match["schema"], "YES" if match["more"] else "NO"))


def _revoke(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    user = it.server.users[match["who"]]
    if match["role"]:
        it.need("GRANT ANY ROLE")
        del user.roles[match["role"]]
        user.default_roles.discard(match["role"])
    else:
        it.need("GRANT ANY PRIVILEGE")
        user.privileges -= {(match["privilege"], "NO"), (match["privilege"], "YES")}


def _grant_object(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("GRANT ANY OBJECT PRIVILEGE")
    user, more = it.server.users[match["who"]], "YES" if match["more"] else "NO"
    for column in re.findall(ID, match["columns"] or ""):
        user.columns.add((match["owner"], match["table"], column, match["privilege"], more))
    if not match["columns"]:
        owner, kind = ("SYS", match["kind"]) if match["kind"] else (match["owner"], "TABLE")
        user.objects.add((owner, match["table"], match["privilege"], more, "YES" if match["hierarchy"] else "NO", kind))


def _revoke_object(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("GRANT ANY OBJECT PRIVILEGE")
    user = it.server.users[match["who"]]
    user.objects = {one for one in user.objects if (one[1], one[2]) != (match["table"], match["privilege"])}
    user.columns = {one for one in user.columns if (one[1], one[3]) != (match["table"], match["privilege"])}


def _quota(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER USER")
    quotas = it.server.users[match["user"]].quotas
    size = -1 if match["size"] == "UNLIMITED" else int(match["size"])
    quotas[match["tablespace"]] = size
    if size == 0:
        del quotas[match["tablespace"]]


def _synonym(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("CREATE ANY SYNONYM")
    it.server.users[match["user"]].synonyms[match["name"]] = (match["owner"], match["table"], match["link"])


def _drop_synonym(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("DROP ANY SYNONYM")
    del it.server.users[match[1]].synonyms[match[2]]


def _default_roles(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.need("ALTER USER")
    user, roles = it.server.users[match["user"]], set(re.findall(ID, match["roles"]))
    if roles - set(user.roles):
        raise failed(1955, "DEFAULT ROLE not granted to user")
    user.default_roles = roles


SETTINGS = rf"DEFAULT TABLESPACE {ID.replace('(', '(?P<tablespace>')} TEMPORARY TABLESPACE {ID.replace('(', '(?P<temporary>')}"
SETTINGS += rf" PROFILE {ID.replace('(', '(?P<profile>')}"
USER = ID.replace("(", "(?P<user>")
WHO = ID.replace("(", "(?P<who>")
BY = r'IDENTIFIED BY "(?P<password>[^"]+)"'
ON = r'(?:(?P<kind>DIRECTORY|EDITION|USER) |"(?P<owner>[^"]+)"\.)"(?P<table>[^"]+)"'
PRIVILEGE = r'(?:"(?P<role>[^"]+)"|(?P<privilege>[A-Z0-9 ]+?))'
STATEMENTS: dict[str, Statement] = {
    r"SELECT SYS_CONTEXT\('USERENV', 'DB_UNIQUE_NAME'\), SYS_CONTEXT\('USERENV', 'CON_NAME'\) FROM dual": _database,
    r"SELECT SYSDATE FROM dual": lambda it, match, params: [("now",)],
    rf'ALTER USER {USER} {BY}(?: REPLACE "(?P<old>[^"]+)")?(?P<unlock> ACCOUNT UNLOCK)?': _identified,
    rf"ALTER USER {ID} EXPIRE PASSWORD ROLLOVER PERIOD": _end_rollover,
    rf"ALTER USER {ID} ACCOUNT (?P<how>LOCK|UNLOCK)": _lock,
    rf"CREATE USER {USER} {BY} {SETTINGS}": _create,
    rf"ALTER USER {USER} {SETTINGS}": _settings,
    rf"ALTER USER {USER} QUOTA (?P<size>\d+|UNLIMITED) ON {ID.replace('(', '(?P<tablespace>')}": _quota,
    rf"ALTER USER {USER} DEFAULT ROLE (?P<roles>NONE|{ID}(?:, {ID})*)": _default_roles,
    r"SELECT account_status, authentication_type, default_tablespace, temporary_tablespace, profile"
    r" FROM dba_users WHERE username = :1": _account,
    r"SELECT account_status FROM user_users": _status,
    r"SELECT limit FROM user_password_limits WHERE resource_name = 'PASSWORD_ROLLOVER_TIME'": _rollover,
    r"SELECT sid, serial#, inst_id FROM gv\$session WHERE username = :1 AND status <> 'KILLED'": _sessions,
    r"SELECT 1 FROM gv\$session WHERE sid = :1 AND serial# = :2 AND status <> 'KILLED'": _seen,
    r"ALTER SYSTEM KILL SESSION '(?P<sid>\d+),(?P<serial>\d+),@(?P<instance>\d+)' IMMEDIATE": _kill,
    r"BEGIN rdsadmin\.rdsadmin_util\.kill\(sid => :1, serial => :2, method => 'IMMEDIATE'\); END;": _kill_of_rds,
    r"SELECT privilege, admin_option FROM dba_sys_privs WHERE grantee = :1": _rows(lambda user: [*user.privileges]),
    r"SELECT granted_role, admin_option FROM dba_role_privs WHERE grantee = :1": _rows(lambda user: [*user.roles.items()]),
    r"SELECT granted_role FROM dba_role_privs WHERE grantee = :1 AND default_role = 'YES'": _rows(
        lambda user: [(role,) for role in user.default_roles]
    ),
    r"SELECT owner, table_name, privilege, grantable, hierarchy, type FROM dba_tab_privs WHERE grantee = :1": _rows(
        lambda user: [*user.objects]
    ),
    r"SELECT owner, table_name, column_name, privilege, grantable FROM dba_col_privs WHERE grantee = :1": _rows(
        lambda user: [*user.columns]
    ),
    r"SELECT tablespace_name, max_bytes FROM dba_ts_quotas WHERE username = :1 AND dropped = 'NO'": _rows(
        lambda user: [*user.quotas.items()]
    ),
    r"SELECT synonym_name, table_owner, table_name, db_link FROM dba_synonyms WHERE owner = :1": _rows(
        lambda user: [(name, *what) for name, what in user.synonyms.items()]
    ),
    r"SELECT object_type, COUNT\(\*\) FROM dba_objects WHERE owner = :1 AND object_type <> 'SYNONYM' GROUP BY object_type": _rows(
        lambda user: [*user.owns]
    ),
    r"SELECT privilege, schema, admin_option FROM dba_schema_privs WHERE grantee = :1": _schemas,
    rf'(?P<how>GRANT|REVOKE) (?P<privilege>[A-Z ]+) ON SCHEMA "(?P<schema>[^"]+)" (?:TO|FROM) {WHO}(?P<more> WITH ADMIN OPTION)?': _schema,
    rf"GRANT {PRIVILEGE} TO {WHO}(?P<more> WITH ADMIN OPTION)?": _grant,
    rf"REVOKE {PRIVILEGE} FROM {WHO}": _revoke,
    rf"GRANT (?P<privilege>[A-Z ]+?)(?P<columns> \([^)]+\))? ON {ON} TO {WHO}(?P<hierarchy> WITH HIERARCHY OPTION)?"
    r"(?P<more> WITH GRANT OPTION)?": _grant_object,
    rf"REVOKE (?P<privilege>[A-Z ]+?) ON {ON} FROM {WHO}": _revoke_object,
    rf'CREATE OR REPLACE SYNONYM {USER}\."(?P<name>[^"]+)" FOR (?:"(?P<owner>[^"]+)"\.)?"(?P<table>[^"]+)"'
    r'(?:@"(?P<link>[^"]+)")?': _synonym,
    rf"DROP SYNONYM {ID}\.{ID}": _drop_synonym,
}
