"""A strict fake of MongoDB at the driver's boundary, for what FerretDB lacks: roles, restrictions and the ending of sessions.

It knows the commands of MongoDB's manual that the rotator sends, refuses every field that they do not have there, and asks for the
privileges that they ask for; logins are held to the passwords that were set. With `documentdb` it has what Amazon's documentation says of
DocumentDB. It is not a server: that a real one takes the same commands, it cannot prove.
https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
"""

from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import OperationFailure
from tests.unit.rotators.stores import Life

Role = tuple[str, str]
ADMIN_ROLES = frozenset({("userAdminAnyDatabase", "admin"), ("root", "admin")})
OWN_PASSWORD = ("ownPassword", "admin")  # a user-defined role with the action changeOwnPassword
MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
FIELDS = {
    "ping": set(),
    "usersInfo": {"showAuthenticationRestrictions"},
    "createUser": {"pwd", "roles", "mechanisms", "authenticationRestrictions", "customData"},
    "updateUser": {"pwd", "roles", "mechanisms", "authenticationRestrictions", "customData"},
    "grantRolesToUser": {"roles"},
    "revokeRolesFromUser": {"roles"},
    "killAllSessions": set[str](),
}
OPTIONS = {"username", "password", "authSource", "tls", "connect", "directConnection", "replicaSet", "appname", "maxPoolSize"}
OPTIONS |= {"serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS", "serverMonitoringMode", "retryReads", "retryWrites"}
OPTIONS |= {"event_listeners"}


@dataclass(slots=True)
class Known:
    """A user, as the server keeps it."""

    password: str
    roles: set[Role] = field(default_factory=set)
    mechanisms: list[str] = field(default_factory=lambda: list(MECHANISMS))
    restrictions: list[Any] = field(default_factory=list)
    custom: dict[str, Any] = field(default_factory=dict)


class FakeMongo:
    """The server: users by database and name, and the sessions that were ended."""

    def __init__(self, life: Life, *, documentdb: bool = False, keeps_a_role: bool = False) -> None:
        """`keeps_a_role`: it refuses to take a user its last one."""
        self.life = life
        self.documentdb = documentdb
        self.keeps_a_role = keeps_a_role
        self.users: dict[tuple[str, str], Known] = {}
        self.roles: set[Role] = {("readWrite", "orders"), ("read", "audit"), ("reports", "orders"), OWN_PASSWORD, *ADMIN_ROLES}
        self.ended: list[tuple[str, str]] = []
        self.sent: list[str] = []

    def client(self, host: str, port: int, **options: Any) -> "FakeClient":
        """In the place of pymongo's MongoClient."""
        assert set(options) <= OPTIONS, "an option that the driver does not have"
        assert options["directConnection"] is True, "no other host than the secret's is asked"
        return FakeClient(self, options["authSource"], options["username"], options["password"])


class FakeClient:
    """One login, which is tried with the first command as the driver does."""

    def __init__(self, server: FakeMongo, source: str, username: str, password: str) -> None:
        self.server, self.who, self._password = server, (source, username), password
        self._logged_in = False

    def __getitem__(self, database: str) -> "FakeDatabase":
        return FakeDatabase(self, database)

    def close(self) -> None: ...

    def log_in(self) -> None:
        if not self._logged_in:
            known = self.server.users.get(self.who)
            if known is None or known.password != self._password:
                raise refused(18, "AuthenticationFailed", "Authentication failed.")
            self._logged_in = True

    def needs(self, database: str, *, own: Role | None = None, whose: str = "") -> None:
        """The privilege to administrate a database's users, or for oneself a role."""
        roles = self.server.users[self.who].roles
        if not roles & (ADMIN_ROLES | {("userAdmin", database)}) and not (own in roles and self.who == (database, whose)):
            raise refused(13, "Unauthorized", f"not authorized on {database} to execute command")


class FakeDatabase:
    """`command` of one database."""

    def __init__(self, client: FakeClient, name: str) -> None:
        self._client, self._server, self._name = client, client.server, name

    def command(self, document: dict[str, Any]) -> dict[str, Any]:
        self._server.life.request()
        self._client.log_in()
        name, value = next(iter(document.items()))
        fields = {key: document[key] for key in list(document)[1:]}
        self._server.sent.append(name)
        if name not in FIELDS:
            raise refused(59, "CommandNotFound", f"no such command: '{name}'")
        if unknown := set(fields) - FIELDS[name]:
            raise refused(40415, "Location40415", f"BSON field '{name}.{unknown.pop()}' is an unknown field.")
        answer = getattr(self, f"_{name}")(value, **fields)
        return {"ok": 1.0} | (answer or {})

    def _ping(self, value: int) -> None: ...

    def _usersInfo(self, value: dict[str, str], *, showAuthenticationRestrictions: bool = False) -> dict[str, Any]:  # MongoDB's
        assert set(value) == {"user", "db"}
        if self._server.documentdb and showAuthenticationRestrictions:
            raise refused(303, "", "Field 'showAuthenticationRestrictions' is currently not supported")
        if (value["db"], value["user"]) != self._client.who:
            self._client.needs(value["db"])
        known = self._server.users.get((value["db"], value["user"]))
        if known is None:
            return {"users": []}
        found: dict[str, Any] = {"_id": f"{value['db']}.{value['user']}", "user": value["user"], "db": value["db"]}
        found["roles"] = [{"role": role, "db": database} for role, database in known.roles]
        if not self._server.documentdb:
            found |= {"mechanisms": known.mechanisms} | ({"customData": known.custom} if known.custom else {})
            found |= {"authenticationRestrictions": known.restrictions} if showAuthenticationRestrictions else {}
        return {"users": [found]}

    def _createUser(self, name: str, *, pwd: str, roles: list[dict[str, str]], **others: Any) -> None:  # MongoDB's
        self._client.needs(self._name)
        if (self._name, name) in self._server.users:
            raise refused(51003, "Location51003", f'User "{name}@{self._name}" already exists')
        self._server.users[self._name, name] = Known(pwd, self._checked(roles) if roles else set())
        if others:
            self._change(self._server.users[self._name, name], **others)

    def _updateUser(self, name: str, **changes: Any) -> None:  # MongoDB's
        assert "roles" not in changes, "it would take roles that somebody has granted meanwhile"
        own = OWN_PASSWORD if set(changes) <= {"pwd", "mechanisms"} else None
        self._client.needs(self._name, own=own, whose=name)
        if not changes:
            raise refused(2, "BadValue", "Must specify at least one field to update in updateUser")
        self._change(self._known(name), **changes)

    def _grantRolesToUser(self, name: str, *, roles: list[dict[str, str]]) -> None:  # MongoDB's
        self._known(name).roles |= self._checked(roles)

    def _revokeRolesFromUser(self, name: str, *, roles: list[dict[str, str]]) -> None:  # MongoDB's
        left = self._known(name).roles - self._checked(roles)
        if self._server.keeps_a_role and not left:
            raise refused(9, "FailedToParse", "a user must have a role")
        self._known(name).roles = left

    def _killAllSessions(self, value: list[dict[str, str]]) -> None:  # MongoDB's
        if self._server.documentdb:
            raise refused(303, "", "Feature not supported: killAllSessions")
        if not self._server.users[self._client.who].roles & {("root", "admin")}:
            raise refused(13, "Unauthorized", "not authorized on admin to execute command killAllSessions")
        self._server.ended += [(user["db"], user["user"]) for user in value]

    def _known(self, name: str) -> Known:
        if (self._name, name) not in self._server.users:
            raise refused(11, "UserNotFound", f"Could not find user {name} for db {self._name}")
        return self._server.users[self._name, name]

    def _checked(self, roles: list[dict[str, str]]) -> set[Role]:
        """Roles that exist, and that the one who grants them may grant: those of databases whose users it administrates."""
        assert roles
        assert all(set(role) == {"role", "db"} for role in roles)
        named = {(role["role"], role["db"]) for role in roles}
        if missing := named - self._server.roles:
            raise refused(31, "RoleNotFound", f"Could not find role: {missing.pop()}")
        for _, database in named:
            self._client.needs(database)
        return named

    def _change(self, known: Known, **changes: Any) -> None:
        for name, value in changes.items():
            if name == "pwd" and "weak" in value:
                raise refused(8000, "AtlasError", f"the password {value} is too weak")
            if name == "mechanisms":
                assert value
                assert set(value) <= set(MECHANISMS)
                assert not self._server.documentdb, "it tells none"
        known.password = changes.get("pwd", known.password)
        known.mechanisms = changes.get("mechanisms", MECHANISMS if "pwd" in changes else known.mechanisms)
        known.restrictions = changes.get("authenticationRestrictions", known.restrictions)
        known.custom = changes.get("customData", known.custom)


def refused(code: int, name: str, message: str) -> OperationFailure:
    details = {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}
    return OperationFailure(message, code, details)
