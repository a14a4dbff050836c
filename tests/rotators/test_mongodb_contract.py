"""What the engine takes for granted of MongoDB, command by command: the strict fake keeps to it, and of what it knows, FerretDB too.

The rules about roles, restrictions and sessions are the manual's: https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
"""

from collections.abc import Iterator

import pytest
from tests.rotators.mongodb_fake import ADMIN_ROLES, MECHANISMS, OWN_PASSWORD, FakeMongo, Known
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mongodb import connection, driver
from keyturn_rotators.engines.mongodb.connection import AUTHENTICATION_FAILED, UNAUTHORIZED, Refusal, Session, logs_in
from keyturn_rotators.engines.mongodb.users import User, Users
from keyturn_rotators.errors import Kind, RotationError

pytestmark = pytest.mark.timeout(900)  # the first one builds FerretDB
FIRST, SECOND, ADMIN = "first-password", "second-password", "admin-password"
READ, AUDIT = ("readWrite", "orders"), ("read", "audit")


class Server:
    """A server with the user `app` and an admin."""

    def __init__(self, port: int) -> None:
        self._place = {"engine": "mongo", "host": "127.0.0.1", "port": port, "ssl": False}

    def login(self, password: str, user: str = "app") -> Credential:
        return Credential(self._place | {"username": user, "password": password})

    def session(self, password: str = ADMIN, user: str = "admin") -> Session:
        return Session(self.login(password, user), deadline=Deadline.after(60))

    def takes(self, *passwords: str, user: str = "app") -> list[bool]:
        return [logs_in(self.login(password, user), deadline=Deadline.after(60)) for password in passwords]


@pytest.fixture(scope="module")
def wire() -> Iterator[MongoWire]:
    with MongoWire() as running:
        running.create_user("admin", ADMIN)
        yield running


@pytest.fixture
def mongo(monkeypatch: pytest.MonkeyPatch) -> FakeMongo:
    """The fake's own side."""
    server = FakeMongo(Life())
    server.users["admin", "app"] = Known(FIRST, {READ, OWN_PASSWORD})
    server.users["admin", "admin"] = Known(ADMIN, {("userAdminAnyDatabase", "admin")})
    monkeypatch.setattr(driver, "MongoClient", server.client)
    monkeypatch.setattr(connection, "reach", lambda *_, **__: None)
    return server


@pytest.fixture
def fake(mongo: FakeMongo) -> Server:
    return Server(27017)


@pytest.fixture(params=["fake", "FerretDB"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "fake":
        fake: Server = request.getfixturevalue("fake")
        return fake
    wire: MongoWire = request.getfixturevalue("wire")
    for user in ("app", "another"):
        if wire.run("usersInfo", {"user": user, "db": "admin"})["users"]:
            wire.run("dropUser", user)
    wire.create_user("app", FIRST)
    return Server(wire.port)


def test_a_right_password_is_taken_and_a_wrong_one_is_a_failure_of_authentication(server: Server) -> None:
    assert server.takes(FIRST, SECOND) == [True, False]
    with pytest.raises(Refusal) as refused:
        server.session("no-such-password", "nobody")
    assert (refused.value.code, refused.value.kind) == (AUTHENTICATION_FAILED, Kind.AUTHENTICATION)


def test_a_password_that_is_set_replaces_the_other(server: Server) -> None:
    with server.session() as session:
        Users(session, database="admin").set_password("app", SECOND, mechanisms=None)
    assert server.takes(FIRST, SECOND) == [False, True]


def test_a_login_goes_on_when_its_password_is_replaced(server: Server) -> None:
    with server.session(FIRST, "app") as held:
        with server.session() as session:
            session.run("updateUser", "app", pwd=SECOND)
        held.run("ping", 1)


def test_mechanisms_are_all_unless_some_are_named_with_the_password(server: Server) -> None:
    with server.session() as session:
        users = Users(session, database="admin")
        assert users.get("app").mechanisms == frozenset(MECHANISMS)
        users.set_password("app", SECOND, mechanisms=frozenset({"SCRAM-SHA-256"}))
        assert users.get("app").mechanisms == frozenset({"SCRAM-SHA-256"})
        users.set_password("app", FIRST, mechanisms=None)
        assert users.get("app").mechanisms == frozenset(MECHANISMS)


def test_a_user_that_is_not_there_is_none_until_it_is_created_and_then_cannot_be_created_again(server: Server) -> None:
    with server.session() as session:
        assert session.run("usersInfo", {"user": "another", "db": "admin"})["users"] == []
        session.run("createUser", "another", pwd=FIRST, roles=[])
        [found] = session.run("usersInfo", {"user": "another", "db": "admin"})["users"]
        assert (found["user"], found["db"], found["roles"]) == ("another", "admin", [])
        with pytest.raises(Refusal) as refused:
            session.run("createUser", "another", pwd=FIRST, roles=[])
        assert refused.value.code == 51003
    assert server.takes(FIRST, user="another") == [True]


def test_a_user_that_is_not_there_cannot_be_changed(server: Server) -> None:
    with server.session() as session, pytest.raises(Refusal) as refused:
        session.run("updateUser", "nobody", pwd=FIRST)
    assert (refused.value.code, refused.value.kind) == (11, Kind.POLICY)


def test_a_command_that_is_not_known_is_refused_by_number(server: Server) -> None:
    with server.session() as session:
        assert session.attempt("noSuchCommand", 1) is None
        with pytest.raises(Refusal) as refused:
            session.run("noSuchCommand", 1)
    assert refused.value.code == 59


def test_roles_are_granted_and_revoked_and_nothing_else_is_touched(fake: Server) -> None:
    with fake.session() as session:
        users = Users(session, database="admin")
        users.equalise(User(name="model", roles=frozenset({AUDIT}), mechanisms=frozenset(MECHANISMS)), users.get("app"))
        assert users.get("app").roles == {AUDIT}
    assert fake.takes(FIRST) == [True]


def test_a_role_that_does_not_exist_is_refused(fake: Server) -> None:
    with fake.session() as session, pytest.raises(Refusal, match="RoleNotFound"):
        session.run("grantRolesToUser", "app", roles=[{"role": "nobodyKnows", "db": "orders"}])


def test_restrictions_are_told_only_where_they_are_asked_for(fake: Server, mongo: FakeMongo) -> None:
    mongo.users["admin", "app"].restrictions = [{"clientSource": ["10.0.0.0/8"]}]
    with fake.session() as session:
        [short] = session.run("usersInfo", {"user": "app", "db": "admin"})["users"]
        [long] = session.run("usersInfo", {"user": "app", "db": "admin"}, showAuthenticationRestrictions=True)["users"]
    assert "authenticationRestrictions" not in short
    assert long["authenticationRestrictions"] == [{"clientSource": ["10.0.0.0/8"]}]


@pytest.mark.parametrize(
    ("command", "fields"), [("updateUser", {"pwd": SECOND}), ("grantRolesToUser", {"roles": [{"role": "read", "db": "audit"}]})]
)
def test_who_administrates_no_users_changes_none_and_sees_only_itself(
    fake: Server, mongo: FakeMongo, command: str, fields: dict[str, object]
) -> None:
    mongo.users["admin", "another"] = Known(FIRST, {READ})
    with fake.session(FIRST, "app") as session:
        assert Users(session, database="admin").get("app").roles == {READ, OWN_PASSWORD}
        for refused_command, value, others in ((command, "another", fields), ("usersInfo", {"user": "another", "db": "admin"}, {})):
            with pytest.raises(Refusal) as refused:
                session.run(refused_command, value, **others)
            assert (refused.value.code, refused.value.kind) == (UNAUTHORIZED, Kind.PERMISSION)


def test_a_user_changes_its_own_password_only_with_the_right_to_it(fake: Server, mongo: FakeMongo) -> None:
    with fake.session(FIRST, "app") as session:
        session.run("updateUser", "app", pwd=SECOND)
        mongo.users["admin", "app"].roles.discard(OWN_PASSWORD)
        with pytest.raises(Refusal) as refused:
            session.run("updateUser", "app", pwd=FIRST)
    assert refused.value.code == UNAUTHORIZED
    assert fake.takes(FIRST, SECOND) == [False, True]


def test_sessions_are_ended_only_by_who_may(fake: Server, mongo: FakeMongo) -> None:
    for role, ended in ((("userAdminAnyDatabase", "admin"), []), (("root", "admin"), [("admin", "app")])):
        assert role in ADMIN_ROLES
        mongo.users["admin", "admin"].roles = {role}
        with fake.session() as session:
            session.attempt("killAllSessions", [{"user": "app", "db": "admin"}], unless=frozenset({UNAUTHORIZED}))
        assert mongo.ended == ended


def test_documentdb_has_no_restrictions_no_mechanisms_and_ends_no_sessions(fake: Server, mongo: FakeMongo) -> None:
    mongo.documentdb = True
    with fake.session() as session:
        assert session.attempt("usersInfo", {"user": "app", "db": "admin"}, showAuthenticationRestrictions=True) is None
        assert session.attempt("killAllSessions", [{"user": "app", "db": "admin"}]) is None
        assert Users(session, database="admin").get("app") == User(name="app", roles=frozenset({READ, OWN_PASSWORD}))


@pytest.mark.parametrize(
    ("command", "fields"),
    [("updateUser", {"pwd": SECOND, "retainCurrentPassword": True}), ("createUser", {"pwd": SECOND, "roles": [], "locked": True})],
)
def test_the_fake_takes_no_field_that_the_manual_does_not_know(fake: Server, command: str, fields: dict[str, object]) -> None:
    with fake.session() as session, pytest.raises(RotationError, match="40415"):
        session.run(command, "app", **fields)
    assert fake.takes(FIRST) == [True]
