"""RDS for Db2 through the common suite, on a strict fake of it (db2_fake.py): no Db2 can be had here."""

from collections.abc import Iterator

import ibm_db_dbi
import pytest
from tests.rotators.bench import APP, BY_SUPERUSER, SUPERUSER, Bench, Capability
from tests.rotators.db2_fake import AUTHORITIES, FakeDb2, FakeUser
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import ROTATION, Step
from keyturn_rotators.versions import PENDING

PASSWORD, ADMIN_PASSWORD = "First-password-of-the-app", "Password-of-the-admin"
CONNECT = {("DATABASE", ()): {"CONNECT": "Y"}}


class Db2Bench(Bench):
    """The user `app`; the admin is RDS's master user, which has the procedures."""

    forbidden = ";{}"

    def __init__(self, server: FakeDb2, *, strategy: str) -> None:
        self.server = server
        self.app = server.users["app"] = FakeUser(
            password=PASSWORD, groups={"apps"}, rights={key: dict(one) for key, one in CONNECT.items()}
        )
        server.users["admin"] = FakeUser(password=ADMIN_PASSWORD, may=AUTHORITIES | {"rdsadmin"})
        place = {"engine": "db2", "host": "127.0.0.1", "port": server.port, "ssl": False}
        value = place | {"username": "app", "password": PASSWORD, "dbname": "orders", "masterarn": SUPERUSER}
        super().__init__(server.life, value, superuser=place | {"username": "admin", "password": ADMIN_PASSWORD})
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        try:
            self.server.log_in(credential.username, credential.password, "orders")
        except ibm_db_dbi.Error:
            return False
        return True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDb2]:
    with FakeDb2(Life()) as running:
        monkeypatch.setattr(ibm_db_dbi, "connect", running.connect)
        yield running


@pytest.fixture
def single(server: FakeDb2) -> Db2Bench:
    return Db2Bench(server, strategy="SingleUser")


@pytest.fixture
def alternating(server: FakeDb2) -> Db2Bench:
    return Db2Bench(server, strategy="AlternatingUsers")


class OnTheFake(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: FakeDb2) -> Bench:
        return Db2Bench(server, strategy=self.strategy)


class TestSingleUser(OnTheFake):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"


class TestAlternatingUsers(OnTheFake):
    capabilities, strategy = BY_SUPERUSER | {Capability.OVERLAP}, "AlternatingUsers"


def test_rights_are_kept_equal_over_many_alternations_whatever_is_granted_and_revoked_between(alternating: Db2Bench) -> None:
    objects = [
        (("TABLE", ("SHOP", 'OR"DERS {}')), {"SELECT": "Y", "UPDATE": "G"}),
        (("SCHEMA", ("SHOP",)), {"CREATEIN": "Y"}),
        (("TABLESPACE", ("USERSPACE1",)), {"USE": "G"}),
        (("SEQUENCE", ("SHOP", "NUMBERS")), {"USAGE": "Y", "ALTER": "Y"}),
        (("PACKAGE", ("SHOP", "P")), {"EXECUTE": "G"}),
        (("SCHEMA", ("DATA",)), {"SELECTIN": "Y", "INSERTIN": "G", "EXECUTEIN": "Y", "SCHEMAADM": "Y", "DATAACCESS": "Y"}),
    ]
    for number in range(20):
        user = alternating.server.users[alternating.current.username]
        user.rights = {("DATABASE", ()): {"CONNECT": "Y"} | ({"LOAD": "Y", "EXPLAIN": "Y"} if number % 3 else {})}
        user.rights |= {what: dict(letters) for what, letters in objects[number % 6 :]}
        user.roles = {"READERS": "N", f"ROLE {number}": "Y"}
        alternating.server.users["admin"].roles |= dict.fromkeys(user.roles, "Y")
        user.routines = {("SHOP", None if number % 2 else "SQL1", "F", "Y"), ("SHOP", "PAY", "P", "G" if number % 3 else "Y")}
        user.groups = {"APPS", f"GROUP{number}"}
        alternating.rotate()
        partner = alternating.server.users[alternating.current.username]
        assert partner is not user
        for what in ("rights", "roles", "routines", "groups"):
            assert getattr(partner, what) == getattr(user, what), what


def test_what_two_have_granted_is_granted_once_with_the_option_to_pass_it_on(alternating: Db2Bench) -> None:
    alternating.app.routines = {("SHOP", "PAY", "P", "Y"), ("SHOP", "PAY", "P", "G")}
    alternating.rotate()
    assert alternating.server.users["app_clone"].routines == {("SHOP", "PAY", "P", "G")}


def test_what_the_superuser_may_not_grant_is_told_and_the_current_user_goes_on(alternating: Db2Bench) -> None:
    alternating.app.rights["DATABASE", ()] |= {"DATAACCESS": "Y", "CREATE_EXTERNAL_ROUTINE": "Y"}
    alternating.app.roles = {"READERS": "N"}
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    for authority in ("DATAACCESS", "CREATE_EXTERNAL_ROUTINE"):
        assert f'GRANT {authority} ON DATABASE TO USER "APP_CLONE"' in error.check
    assert 'GRANT ROLE "READERS" TO USER "APP_CLONE"' in error.check
    assert alternating.can_login(alternating.current)


def test_privileges_of_a_kind_that_is_not_made_equal_are_told_before_anything_is_changed(alternating: Db2Bench) -> None:
    alternating.app.others.add("VARIABLEAUTH")
    error = alternating.failure_of_set()
    assert (error.kind, "SYSCAT.VARIABLEAUTH" in str(error)) == (Kind.POLICY, True)
    assert set(alternating.server.users) == {"app", "admin"}


def test_a_user_who_is_not_rdss_master_is_told_as_such(single: Db2Bench) -> None:
    single.server.users["admin"].may = frozenset({"ACCESSCTRL"})
    error = single.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert single.can_login(single.current)


def test_a_password_that_rds_refuses_is_told_as_such(single: Db2Bench) -> None:
    single.server.shortest = 100
    error = single.failure_of_set()
    assert (error.kind, "RDS's rules" in error.check) == (Kind.POLICY, True)


@pytest.mark.parametrize("character", ";{}")
def test_a_password_that_would_end_the_drivers_option_is_refused_before_anything_is_sent(single: Db2Bench, character: str) -> None:
    token = single.store.start(APP)
    single.step(Step.CREATE, token)
    single.edit(APP, label=PENDING, password=f"x{character}HOSTNAME=elsewhere")
    with pytest.raises(RotationError, match="field password has one of"):
        single.step(Step.SET, token)
    assert single.can_login(single.current)


def test_a_superusers_secret_is_needed_for_a_single_user_too(single: Db2Bench) -> None:
    single.edit(APP, masterarn="")
    assert "no superuser's secret" in str(single.failure_of_set())


def test_a_retired_users_password_is_one_that_nobody_knows(alternating: Db2Bench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    alternating.step(Step.RETIRE, old)
    known = {alternating.version(version).password for version in alternating.store.values[APP]}
    assert alternating.app.password not in known


def test_the_engines_of_awss_consoles_are_known(single: Db2Bench) -> None:
    for engine in ("db2-se", "db2-ae"):
        single.edit(APP, engine=engine)
        single.edit(SUPERUSER, engine=engine)
        single.rotate()
        assert single.can_login(single.current)


def test_no_password_is_written_into_a_statement(alternating: Db2Bench) -> None:
    for _ in range(2):
        token = alternating.store.start(APP)
        alternating.steps(ROTATION, token)
    said = "\n".join(alternating.server.statements)
    assert "rdsadmin.change_password" in said
    assert not [version for version in alternating.store.values[APP] if alternating.version(version).password in said]
