"""A strict fake of RDS for Db2 at the driver's boundary, since no Db2 can be had here. It takes the place of `ibm_db_dbi.connect`.

It knows the statements that the engine sends, RDS's procedures among them, and what they need and do: users, passwords, groups, authorities
and privileges. It refuses by the server's SQLCODEs, in the driver's own error classes; any other statement fails the test.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/db2-sp-granting-revoking-privileges.html
"""

import inspect
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import ibm_db_dbi
from tests.rotators.fake_server import FakeRows, FakeServer, Rows

from keyturn_lab.tcp import shut

REAL_CONNECT = inspect.signature(ibm_db_dbi.connect)
OPTIONS = frozenset(
    "DATABASE HOSTNAME UID PWD PORT PROTOCOL PROGRAMNAME CONNECTTIMEOUT QUERYTIMEOUT RECEIVETIMEOUT SECURITY SSLSERVERCERTIFICATE".split()  # noqa: SIM905  # as they stand in a string of options
) | {"SSLCLIENTHOSTNAMEVALIDATION"}
STATES = {-30082: "08001", -30081: "08001", -1060: "08004", -551: "42501", -552: "42502", -438: "UD001", -440: "42884", -30061: "08004"}
MASTER, AUTHORITIES = "RDSADMIN", frozenset({"ACCESSCTRL"})  # of RDS's master user: nobody on RDS has SECADM or SYSADM
BY_SECADM = frozenset("ACCESSCTRL DATAACCESS DBADM SECADM CREATE_SECURE_OBJECT".split())  # noqa: SIM905  # as the manual lists them
BY_SYSADM = frozenset({"CREATE_EXTERNAL_ROUTINE", "CREATE_NOT_FENCED_ROUTINE"})  # from 11.5.7 on
ID = r'"((?:[^"]|"")+)"'
WORDS = {
    "REF": "REFERENCES",
    "IMPLSCHEMA": "IMPLICIT_SCHEMA",
    "EXTERNALROUTINE": "CREATE_EXTERNAL_ROUTINE",
    "NOFENCE": "CREATE_NOT_FENCED_ROUTINE",
    "QUIESCECONNECT": "QUIESCE_CONNECT",
    "SECURITYADM": "SECADM",
    "CREATESECURE": "CREATE_SECURE_OBJECT",
}
OBJECTS = {
    "DBAUTH": ("DATABASE", 0),
    "TABAUTH": ("TABLE", 2),
    "SCHEMAAUTH": ("SCHEMA", 1),
    "PACKAGEAUTH": ("PACKAGE", 2),
    "SEQUENCEAUTH": ("SEQUENCE", 2),
    "TBSPACEAUTH": ("TABLESPACE", 1),
}

Object = tuple[str, tuple[str, ...]]


def failed(code: int, text: str) -> Exception:
    """As the driver makes it of the client's message."""
    words = f"[IBM][CLI Driver][DB2/LINUXX8664] SQL{abs(code):04}N  {text}  SQLSTATE={STATES[code]} SQLCODE={code}"
    made: Exception = ibm_db_dbi._get_exception(Exception(words))
    return made


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A user of the instance, and what it has in the database."""

    password: str
    groups: set[str] = field(default_factory=set)
    may: frozenset[str] = frozenset()
    rights: dict[Object, dict[str, str]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    routines: set[tuple[str, str | None, str, str]] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


class FakeDb2(FakeServer):
    """The instance's state, with one database of the application's."""

    database = "ORDERS"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.users: dict[str, FakeUser] = {}
        self.shortest = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._answer, daemon=True).start()
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shut(self._listener)
        super().__exit__(kind, error, trace)

    def _answer(self) -> None:
        """Whoever connects, and speaks TLS, hears that nobody understands it."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, suppress(OSError):
                if client.recv(4096):
                    client.sendall(b"this is no TLS")

    def log_in(self, user: str, password: str, database: str) -> FakeUser:
        found = self.users.get(user)
        if found is None or found.password != password:
            raise failed(-30082, 'Security processing failed with reason "24" ("USERNAME AND/OR PASSWORD INVALID").')
        if database.upper() not in (self.database, MASTER):
            raise failed(-30061, f'The database alias or database name "{database}" was not found at the remote node.')
        if database.upper() == self.database and "CONNECT" not in found.rights.get(("DATABASE", ()), {}) and not found.may:
            raise failed(-1060, f'User "{user.upper()}" does not have the CONNECT privilege.')
        return found

    def connect(self, *args: Any, **given: Any) -> "FakeConnection":
        """In the place of ibm_db_dbi.connect, whose parameters it keeps to."""
        dsn = REAL_CONNECT.bind(*args, **given).arguments["dsn"]
        options = dict(part.split("=", 1) for part in dsn.removesuffix(";").split(";"))
        assert {name.upper() for name in options} <= OPTIONS, "the driver knows no such option"
        server = self.at.get(int(options["PORT"]))
        if not isinstance(server, FakeDb2):
            raise failed(-30081, 'A communication error has been detected. Protocol specific error code(s): "115", "*", "*".')
        server.life.request()
        assert "SECURITY" not in options, "nothing here shakes hands by TLS, which the engine finds out before"
        return FakeConnection(server, options["UID"], options["PWD"], options["DATABASE"])


class FakeConnection:
    """What the engine uses of the driver's connection."""

    def __init__(self, server: FakeDb2, user: str, password: str, database: str) -> None:
        self.user = server.log_in(user, password, database)
        self.server, self.database = server, database.upper()

    def close(self) -> None: ...

    def cursor(self) -> "FakeCursor":
        return FakeCursor(self)

    def execute(self, sql: str, params: list[Any]) -> Rows | None:
        statement, match = self.server.known(sql, params, among=STATEMENTS, places=sql.count("?"))
        return statement(self, match, params)

    def procedure(self) -> None:
        """RDS's procedures are in RDSADMIN, and for the master user."""
        if self.database != MASTER:
            raise failed(-440, 'No authorized routine named "CHANGE_PASSWORD" of type "PROCEDURE" having compatible arguments was found.')
        if "rdsadmin" not in self.user.may:
            raise failed(-551, 'The statement failed because the authorization ID does not have the required authorization. "EXECUTE"')


class FakeCursor(FakeRows):
    """One statement and its rows."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    def execute(self, operation: str | None = None, parameters: tuple[Any, ...] | None = None) -> None:
        self._connection.server.life.request()
        self.keep(self._connection.execute(operation or "", list(parameters or ())))

    def fetchall(self) -> Rows:
        return self.kept()

    def close(self) -> None: ...


Statement = Callable[[FakeConnection, re.Match[str], list[Any]], Rows | None]


def _named(it: FakeConnection, name: str) -> FakeUser | None:
    """Whom a name of the catalogue, in capitals, stands for."""
    return next((user for own, user in it.server.users.items() if own.upper() == name), None)


def _change_password(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.procedure()
    name, password = params
    if len(password) < it.server.shortest:
        raise failed(-438, f"Application raised error or warning with diagnostic text: cannot change the password of {name}")
    assert name in it.server.users, "what RDS says to a user that is not there is not documented: AWS's own function adds it before"
    it.server.users[name].password = password


def _add_user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.procedure()
    name, password, groups = params
    if name in it.server.users or len(password) < it.server.shortest:
        raise failed(-438, f"Application raised error or warning with diagnostic text: Username {name} already exists")
    it.server.users[name] = FakeUser(password=password, groups=set(groups.split(",")) - {""})


def _remove_user(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.procedure()
    if it.server.users.pop(params[0], None) is None:
        raise failed(-438, f"Application raised error or warning with diagnostic text: cannot remove the user {params[0]}")


def _groups(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = _named(it, params[0])
    return [(name.upper(),) for name in user.groups] if user else []


def _change_groups(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    it.procedure()
    groups = it.server.users[params[0]].groups
    names = set(params[1].split(","))
    groups |= names if match["how"] == "add" else set()
    groups -= {name for name in groups if name.upper() in names} if match["how"] == "remove" else set()


def _list(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    kind, width = OBJECTS[match["view"]]
    columns = match["columns"].split(", ")[width:]
    words = [WORDS.get(column.removesuffix("AUTH"), column.removesuffix("AUTH")) for column in columns]
    user = _named(it, params[0])
    found = user.rights if user else {}
    return [(*path, *(letters.get(word, "N") for word in words)) for (what, path), letters in found.items() if what == kind]


def _list_roles(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = _named(it, params[0])
    return [*user.roles.items()] if user else []


def _list_routines(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = _named(it, params[0])
    return [*user.routines] if user else []


def _count(it: FakeConnection, match: re.Match[str], params: list[Any]) -> Rows:
    user = _named(it, params[0])
    assert user is not None
    return [(view, int(view in user.others)) for view in re.findall("SELECT '([A-Z]+)'", match[0])]


def _need(it: FakeConnection, kind: str, word: str = "") -> None:
    if kind == "DATABASE" and word in BY_SECADM | BY_SYSADM and not it.user.may & {"SECADM" if word in BY_SECADM else "SYSADM"}:
        raise failed(-552, "The authorization ID does not have the privilege to perform the operation GRANT.")
    if "ACCESSCTRL" not in it.user.may:
        raise failed(-551, "The authorization ID does not have the required authorization. GRANT")


def _grant(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    _need(it, match["kind"], match["privilege"].split()[0])
    user = _named(it, _plain(match["who"]))
    assert user is not None
    key = (match["kind"], tuple(_plain(part) for part in re.findall(ID, match["path"] or "")))
    word = match["privilege"].split()[0]
    if match["how"] == "GRANT":
        user.rights.setdefault(key, {})[word] = "G" if match["more"] else "Y"
        return
    del user.rights[key][word]
    if not user.rights[key]:
        del user.rights[key]


def _routine(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    _need(it, "ROUTINE")
    user = _named(it, _plain(match["who"]))
    assert user is not None
    name = _plain(match["name"]) if match["name"] else None
    key = (_plain(match["schema"]), name, match["kind"][0])
    user.routines = {one for one in user.routines if one[:3] != key}
    if match["how"] == "GRANT":
        user.routines.add((*key, "G" if match["more"] else "Y"))


def _role(it: FakeConnection, match: re.Match[str], params: list[Any]) -> None:
    if it.user.roles.get(_plain(match["role"])) != "Y":
        raise failed(-551, "The authorization ID does not have the required authorization. GRANT")
    user = _named(it, _plain(match["who"]))
    assert user is not None
    if match["how"] == "GRANT":
        user.roles[_plain(match["role"])] = "Y" if match["more"] else "N"
    else:
        del user.roles[_plain(match["role"])]


def _plain(name: str) -> str:
    return name.replace('""', '"')


WHO = f"(?:TO|FROM) USER {ID.replace('((', '(?P<who>(', 1)}"
ON = rf"(?:ON (?=[^T]|TABLE )|OF (?=TABLESPACE ))(?P<kind>DATABASE|TABLESPACE|TABLE|SCHEMA|PACKAGE|SEQUENCE)(?: (?P<path>{ID}(?:\.{ID})?))?"
NAMED = "WHERE GRANTEETYPE = 'U' AND GRANTEE = \\?"
COUNTED = rf"SELECT '[A-Z]+', COUNT\(\*\) FROM SYSCAT\.[A-Z]+ {NAMED}"
STATEMENTS: dict[str, Statement] = {
    "VALUES CURRENT TIMESTAMP": lambda it, match, params: [("now",)],
    r"CALL rdsadmin\.change_password\(\?, \?\)": _change_password,
    r"CALL rdsadmin\.add_user\(\?, \?, \?\)": _add_user,
    r"CALL rdsadmin\.remove_user\(\?\)": _remove_user,
    r"CALL rdsadmin\.(?P<how>add|remove)_groups\(\?, \?\)": _change_groups,
    r"SELECT GROUP FROM TABLE\(SYSPROC\.AUTH_LIST_GROUPS_FOR_AUTHID\(\?\)\) AS T": _groups,
    rf"SELECT ROLENAME, ADMIN FROM SYSCAT\.ROLEAUTH {NAMED}": _list_roles,
    rf"SELECT SCHEMA, SPECIFICNAME, ROUTINETYPE, EXECUTEAUTH FROM SYSCAT\.ROUTINEAUTH {NAMED}": _list_routines,
    rf"SELECT (?P<columns>[A-Z, ]+) FROM SYSCAT\.(?P<view>[A-Z]+) {NAMED}": _list,
    rf"{COUNTED}(?: UNION ALL {COUNTED})*": _count,
    rf"(?P<how>GRANT) (?P<privilege>[A-Z_ ]+) {ON} {WHO}(?P<more> WITH GRANT OPTION)?": _grant,
    rf"(?P<how>REVOKE) (?P<privilege>[A-Z_]+) {ON} {WHO}": _grant,
    rf"(?P<how>GRANT|REVOKE) ROLE {ID.replace('((', '(?P<role>(', 1)} {WHO}(?P<more> WITH ADMIN OPTION)?": _role,
    rf"(?P<how>GRANT|REVOKE) EXECUTE ON (?:SPECIFIC )?(?P<kind>FUNCTION|PROCEDURE) {ID.replace('((', '(?P<schema>(', 1)}"
    rf"\.(?:\*|{ID.replace('((', '(?P<name>(', 1)}) {WHO}(?: RESTRICT|(?P<more> WITH GRANT OPTION))?": _routine,
}
