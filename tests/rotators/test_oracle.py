"""Oracle through the common suite, on a strict fake of it (oracle_fake.py): no Oracle can be had here."""

import asyncio
from collections.abc import Iterator

import oracledb
import pytest
from tests.rotators.bench import APP, BY_SUPERUSER, COMMON, IN_TURN, SUPERUSER, Bench, Capability, Held
from tests.rotators.oracle_fake import FakeConnection, FakeOracle
from tests.rotators.oracle_users import LEAST, FakeUser
from tests.rotators.suite import EngineSuite
from tests.rotators.two_passwords import TwoPasswords, TwoPasswordsBench
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step
from keyturn_rotators.versions import PENDING

PASSWORD, ADMIN_PASSWORD = "First-password-of-the-app", "Password-of-the-admin"
LOGIN = ("CREATE SESSION", "NO")


class Session(Held):
    """A connection of the application."""

    def __init__(self, server: FakeOracle, credential: Credential) -> None:
        self._connection = FakeConnection(server, credential.username, credential.password)

    def is_alive(self) -> bool:
        try:
            return self._connection.execute("SELECT SYSDATE FROM dual", []) is not None
        except oracledb.DatabaseError:
            return False

    def close(self) -> None:
        asyncio.run(self._connection.close())


class OracleBench(TwoPasswordsBench):
    """The user `app`; the admin is the one of the documentation."""

    longest_password = 30
    strides = (3, 2)
    forbidden = '"'

    def __init__(self, server: FakeOracle, *, strategy: str, by_superuser: bool, rollover: str | None = "0") -> None:
        self.server = server
        self.app = server.users["APP"] = FakeUser(password=PASSWORD, privileges={LOGIN}, rollover=rollover)
        server.users["ADMIN"] = FakeUser(password=ADMIN_PASSWORD, privileges={LOGIN}, may=LEAST)
        place = {"engine": "oracle", "host": "127.0.0.1", "port": server.port, "ssl": False, "dbname": server.service}
        value = place | {"username": "app", "password": PASSWORD} | ({"masterarn": SUPERUSER} if by_superuser else {})
        super().__init__(server.life, value, superuser=place | {"username": "admin", "password": ADMIN_PASSWORD})
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def older(self) -> str | None:
        return self.app.first

    def can_login(self, credential: Credential) -> bool:
        try:
            self.server.log_in(credential.username, credential.password)
        except oracledb.DatabaseError:
            return False
        return True

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOracle]:
    with FakeOracle(Life()) as running:
        monkeypatch.setattr(oracledb, "connect_async", running.connect)
        yield running


@pytest.fixture
def single(server: FakeOracle) -> OracleBench:
    return OracleBench(server, strategy="SingleUser", by_superuser=False)


@pytest.fixture
def overlap(server: FakeOracle) -> OracleBench:
    return OracleBench(server, strategy="Overlap", by_superuser=False, rollover="1")


@pytest.fixture
def alternating(server: FakeOracle) -> OracleBench:
    return OracleBench(server, strategy="AlternatingUsers", by_superuser=True)


class OnTheFake(EngineSuite, complete=False):
    rollover: str | None = "0"

    @pytest.fixture
    def bench(self, server: FakeOracle) -> Bench:
        return OracleBench(server, strategy=self.strategy, by_superuser=self.by_superuser, rollover=self.rollover)


class TestSingleUserByTheUserItself(OnTheFake):
    capabilities, strategy = COMMON, "SingleUser"


class TestSingleUserByTheSuperuser(OnTheFake):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"


class TestOverlapByTheUserItself(OnTheFake):
    capabilities, strategy, rollover = COMMON | {Capability.OVERLAP}, "Overlap", "1"


class TestOverlapByTheSuperuser(OnTheFake):
    capabilities, strategy, rollover = BY_SUPERUSER | {Capability.OVERLAP}, "Overlap", "0.5"


class TestAlternatingUsers(OnTheFake):
    capabilities, strategy = IN_TURN, "AlternatingUsers"


# two passwords


class TestTwoPasswords(TwoPasswords):
    """The first and the latest one, in a rollover period."""


@pytest.mark.parametrize("rollover", ["0", "DEFAULT", None])
def test_a_profile_without_a_rollover_time_is_refused_before_anything_is_changed(server: FakeOracle, rollover: str | None) -> None:
    bench = OracleBench(server, strategy="Overlap", by_superuser=False, rollover=rollover)
    error = bench.failure_of_set()
    assert (error.kind, "rollover" in str(error).lower()) == (Kind.POLICY, True)
    assert bench.can_login(bench.current)
    assert not bench.can_login(bench.pending)


def test_a_single_user_with_a_rollover_time_has_its_old_password_until_it_is_retired(server: FakeOracle) -> None:
    bench = OracleBench(server, strategy="SingleUser", by_superuser=False, rollover="1")
    old = bench.current_version()
    bench.rotate()
    assert bench.can_login(bench.version(old))
    bench.step(Step.RETIRE, old)
    assert not bench.can_login(bench.version(old))


def test_a_history_that_forbids_the_current_password_again_is_told_and_costs_nothing(overlap: OracleBench) -> None:
    overlap.rotate()
    overlap.app.history = []
    error = overlap.failure_of_set()
    assert (error.kind, "PASSWORD_REUSE" in error.check) == (Kind.POLICY, True)
    assert overlap.can_login(overlap.current)


def test_an_idle_user_with_a_rollover_time_has_no_password_but_the_new_one(alternating: OracleBench) -> None:
    first = alternating.current_version()
    alternating.rotate()
    alternating.app.rollover = "1"
    alternating.rotate()
    assert alternating.can_login(alternating.current)
    assert not alternating.can_login(alternating.version(first))


# passwords


def test_a_user_whose_profile_judges_passwords_says_its_old_one(single: OracleBench) -> None:
    single.app.judged = True
    for _ in range(3):
        single.rotate()
        assert single.can_login(single.current)


def test_a_password_with_a_double_quote_is_refused_and_never_sent(single: OracleBench) -> None:
    token = single.store.start(APP)
    single.step(Step.CREATE, token)
    single.edit(APP, label=PENDING, password='x" ACCOUNT LOCK --')
    with pytest.raises(RotationError, match="double quote"):
        single.step(Step.SET, token)
    assert not [said for said in single.server.statements if "ACCOUNT" in said]


def test_a_name_in_double_quotes_is_taken_letter_by_letter(alternating: OracleBench) -> None:
    alternating.server.users["App.x"] = alternating.server.users.pop("APP")
    alternating.edit(APP, username='"App.x"')
    for expected in ('"App.x_CLONE"', '"App.x"'):
        alternating.rotate()
        assert alternating.current.username == expected
        assert alternating.can_login(alternating.current)


def test_names_are_awss_so_that_its_secrets_carry_on(alternating: OracleBench) -> None:
    names = []
    for _ in range(3):
        alternating.rotate()
        names.append(alternating.current.username)
    assert names == ["APP_CLONE", "APP", "APP_CLONE"]


# rights


def test_rights_are_kept_equal_over_many_alternations_whatever_is_granted_and_revoked_between(alternating: OracleBench) -> None:
    objects = [
        ("SHOP", "ORDERS {}", "SELECT", "NO", "NO", "TABLE"),
        ("SHOP", "ORDERS {}", "SELECT", "YES", "YES", "TABLE"),
        ("SYS", "EXPORTS", "READ", "NO", "NO", "DIRECTORY"),
    ]
    for number in range(20):
        name = alternating.server.users[alternating.current.username.upper()]
        name.privileges = {LOGIN, ("CREATE TABLE", "YES" if number % 2 else "NO")}
        name.roles = {"READER": "NO", f"ROLE {number}": "YES"}
        name.default_roles = {"READER"} if number % 3 else set()
        name.objects = {objects[number % 3]}
        name.columns = {("SHOP", "PRICES", f"C{one}", "UPDATE", "NO") for one in range(number % 4)}
        name.quotas = {"USERS": -1 if number % 2 else 1024 * number} if number % 4 else {}
        name.synonyms = {"ORDERS": ("SHOP", f"ORDERS{number}", "LINK.X" if number % 2 else None)} if number % 3 else {}
        name.settings = ("USERS", "TEMP", f"PROFILE{number}")
        alternating.rotate()
        partner = alternating.server.users[alternating.current.username]
        assert partner is not name
        for what in ("privileges", "roles", "default_roles", "objects", "columns", "quotas", "synonyms", "settings"):
            assert getattr(partner, what) == getattr(name, what), what


def test_privileges_on_whole_schemas_are_made_equal_where_the_server_knows_them(alternating: OracleBench) -> None:
    alternating.server.has_schema_privileges = True
    for schemas in ({("SELECT ANY TABLE", "SHOP", "NO"), ("EXECUTE ANY PROCEDURE", "Pay", "YES")}, {("SELECT ANY TABLE", "SHOP", "YES")}):
        user = alternating.server.users[alternating.current.username.upper()]
        user.schemas = set(schemas)
        alternating.rotate()
        assert alternating.server.users[alternating.current.username].schemas == schemas


def test_what_two_have_granted_is_granted_once_with_the_option_to_pass_it_on(alternating: OracleBench) -> None:
    both = {("SHOP", "ORDERS", "SELECT", option, "NO", "TABLE") for option in ("NO", "YES")}
    alternating.app.objects = both
    alternating.app.columns = {("SHOP", "PRICES", "NET", "UPDATE", option) for option in ("NO", "YES")}
    alternating.rotate()
    clone = alternating.server.users["APP_CLONE"]
    assert clone.objects == {("SHOP", "ORDERS", "SELECT", "YES", "NO", "TABLE")}
    assert clone.columns == {("SHOP", "PRICES", "NET", "UPDATE", "YES")}


def test_what_the_superuser_may_not_grant_is_told_and_the_current_user_goes_on(alternating: OracleBench) -> None:
    alternating.app.privileges.add(("ENQUEUE ANY QUEUE", "NO"))
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert 'GRANT ENQUEUE ANY QUEUE TO "APP_CLONE"' in error.check
    assert alternating.can_login(alternating.current)


def test_a_grant_on_what_is_not_known_is_told_and_never_run(alternating: OracleBench) -> None:
    alternating.app.objects.add(("SHOP", "X", "EXECUTE", "NO", "NO", "JAVA CLASS"))
    assert '"SHOP"."X"' in alternating.failure_of_set().check
    assert not [said for said in alternating.server.statements if '"X"' in said]


def test_a_user_that_owns_objects_is_refused_before_anything_is_changed(alternating: OracleBench) -> None:
    alternating.app.owns = [("TABLE", 3)]
    error = alternating.failure_of_set()
    assert (error.kind, "3 of type TABLE" in str(error)) == (Kind.POLICY, True)
    assert set(alternating.server.users) == {"APP", "ADMIN"}


@pytest.mark.parametrize(
    ("right", "grant"),
    [("SELECT_CATALOG_ROLE", "documentation"), ("EXECUTE ON SYS.DBMS_LOCK", "DBMS_LOCK"), ("CREATE USER", "documentation")],
)
def test_a_superuser_that_lacks_a_right_is_told_which(alternating: OracleBench, right: str, grant: str) -> None:
    alternating.server.users["ADMIN"].may = LEAST - {right}
    error = alternating.failure_of_set()
    assert (error.kind, grant in error.check) == (Kind.PERMISSION, True)


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
def test_a_superuser_of_another_database_changes_nobody_of_the_same_name_there(server: FakeOracle, strategy: str) -> None:
    bench = OracleBench(server, strategy=strategy, by_superuser=True)
    bench.edit(SUPERUSER, dbname=server.elsewhere)
    error = bench.failure_of_set()
    assert (error.kind, "another database" in str(error)) == (Kind.POLICY, True)
    assert bench.can_login(bench.current)
    assert not bench.can_login(bench.pending)


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
def test_a_superusers_secret_as_rds_makes_it_names_no_service(server: FakeOracle, strategy: str) -> None:
    bench = OracleBench(server, strategy=strategy, by_superuser=True)
    bench.edit(SUPERUSER, host=None, port=None, dbname=None, engine=None)
    bench.environ["KEYTURN_SUPERUSER_HOST"] = "127.0.0.1"
    bench.rotate()
    assert bench.can_login(bench.current)


# sessions


def test_on_rds_sessions_are_ended_by_its_own_procedure(alternating: OracleBench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    alternating.server.users["ADMIN"].may = LEAST - {"ALTER SYSTEM"}
    held = alternating.hold(alternating.version(old))
    with pytest.raises(RotationError, match="could not be ended") as failed:
        alternating.step(Step.RETIRE, old)
    assert failed.value.kind is Kind.PERMISSION
    alternating.server.on_rds = True
    alternating.step(Step.RETIRE, old)
    assert not held.is_alive()


def test_two_steps_for_one_pair_are_kept_apart(alternating: OracleBench) -> None:
    class Taken(dict[int, object]):
        def setdefault(self, key: int, default: object = None) -> object:
            return "somebody else"

    alternating.server.locks = Taken()
    assert "another step" in str(alternating.failure_of_set())
