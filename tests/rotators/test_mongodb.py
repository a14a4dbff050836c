"""MongoDB's protocol through the common suite, against FerretDB: users, passwords, logins and refusals are real.

FerretDB has no roles and ends nobody's sessions: those are tested in test_mongodb_roles.py, against a fake.
"""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import BY_SUPERUSER, COMMON, Bench, Capability
from tests.rotators.mongodb_bench import PASSWORD, MongoBench, made
from tests.rotators.proxies import MortalProxy
from tests.rotators.suite import EngineSuite
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mongodb import connection, driver
from keyturn_rotators.engines.mongodb.connection import BACK_END
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.timeout(900)  # the first one builds the server


@pytest.fixture(scope="module")
def server() -> Iterator[MongoWire]:
    with MongoWire() as running:
        yield running


@pytest.fixture(scope="module")
def secured(authority: Authority) -> Iterator[MongoWire]:
    with MongoWire(tls=authority.issue("server", common_name="mongo", hosts=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def alternating(server: MongoWire, secured: MongoWire) -> Iterator[MongoBench]:
    yield from made(server, "AlternatingUsers", superuser=True, untrusted=secured)


@pytest.fixture
def single(server: MongoWire, secured: MongoWire) -> Iterator[MongoBench]:
    yield from made(server, "SingleUser", superuser=False, untrusted=secured)


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, single: MongoBench) -> Bench:
        single.strides = (3, 5)  # a login is four requests
        return single


class TestSingleUserByTheSuperuser(EngineSuite):
    capabilities = BY_SUPERUSER

    @pytest.fixture
    def bench(self, server: MongoWire, secured: MongoWire) -> Iterator[Bench]:
        for bench in made(server, "SingleUser", superuser=True, untrusted=secured):
            bench.strides = (5, 7)
            yield bench


class TestAlternatingUsers(EngineSuite):
    capabilities = BY_SUPERUSER | {Capability.OVERLAP}

    @pytest.fixture
    def bench(self, alternating: MongoBench) -> Bench:
        alternating.strides = (5, 7)
        return alternating


@pytest.mark.parametrize("strategy", ["SingleUser", "AlternatingUsers"])
def test_a_user_keeps_its_mechanisms_and_so_does_the_one_that_is_made(server: MongoWire, strategy: str) -> None:
    for bench in made(server, strategy, superuser=strategy == "AlternatingUsers"):
        server.run("updateUser", bench.app, pwd=PASSWORD, mechanisms=["SCRAM-SHA-256"])
        for _ in range(3):
            bench.rotate()
            assert bench.user(bench.current.username)["mechanisms"] == ["SCRAM-SHA-256"]


def test_a_secret_with_the_field_of_its_database_is_rotated(server: MongoWire, single: MongoBench) -> None:
    with server.connect() as client:
        client["orders"].command("createUser", single.app, pwd="a-password-elsewhere", roles=[])
    single.edit("app", dbname="orders", password="a-password-elsewhere")
    single.rotate()
    assert single.can_login(single.current.replaced(password=PASSWORD)), "the user of the same name in admin is another one"
    with (
        server.connect(user=single.app, password=single.current.password) as client,
        pytest.raises(Exception, match="Authentication failed"),
    ):
        client["admin"].command("ping")


def test_a_user_that_the_database_does_not_keep_is_named(single: MongoBench) -> None:
    single.edit("app", username="nobody")
    with pytest.raises(RotationError, match="user nobody") as refused:
        single.rotate()
    assert refused.value.kind is Kind.AUTHENTICATION
    assert "authSource" in refused.value.check


def test_nothing_is_done_for_a_user_of_another_database_than_the_current_ones(alternating: MongoBench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    value = alternating.version(old).replaced(authSource="elsewhere").to_json()
    alternating.store.values["app"][old] = value
    for step in (Step.RETIRE, Step.RESTORE):
        with pytest.raises(RotationError, match="authSource is not the current"):
            alternating.step(step, old)


def test_a_password_that_scram_cannot_carry_is_refused_and_not_shown(single: MongoBench) -> None:
    single.edit("app", password="canary\x07")
    with pytest.raises(RotationError) as refused:
        single.rotate()
    assert refused.value.kind is Kind.POLICY
    assert "canary" not in str(refused.value)


@pytest.fixture(scope="module")
def member() -> Iterator[MongoWire]:
    """Of a replica set."""
    with MongoWire(replica_set="rs0") as running:
        yield running


def test_a_rotation_goes_by_tls_that_is_verified(secured: MongoWire, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    for bench in made(secured, "AlternatingUsers", superuser=True):
        old = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old)
        assert bench.can_login(bench.current)
        assert not bench.can_login(bench.version(old))


def test_a_server_without_tls_is_told_from_one_that_does_not_answer(single: MongoBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CONNECT_WITHIN", 1.0)  # it says nothing to what is no request
    single.edit("app", ssl=True)
    with pytest.raises(RotationError, match="offers no TLS") as refused:
        single.rotate()
    assert refused.value.kind is Kind.TLS


def test_an_authority_that_nobody_knows_is_not_trusted(secured: MongoWire) -> None:
    for bench in made(secured, "SingleUser", superuser=False):
        with pytest.raises(RotationError, match="certificate is not trusted") as refused:
            bench.rotate()
        assert refused.value.kind is Kind.TLS


def test_the_driver_itself_verifies_what_it_connects_to(secured: MongoWire, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "reach", lambda *_, **__: None)
    for bench in made(secured, "SingleUser", superuser=False):
        with pytest.raises(RotationError, match="no answer from the server"):
            bench.rotate()
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
        bench.rotate()
        bench.edit("app", host="localhost")
        with pytest.raises(RotationError, match="no answer from the server"):
            bench.rotate()


def test_a_host_that_the_certificate_does_not_name_is_not_trusted(
    secured: MongoWire, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    for bench in made(secured, "SingleUser", superuser=False):
        bench.edit("app", host="localhost")
        with pytest.raises(RotationError, match="certificate is not trusted"):
            bench.rotate()


def test_a_replica_set_of_the_name_in_the_secret_is_rotated(member: MongoWire) -> None:
    for bench in made(member, "AlternatingUsers", superuser=True):
        for secret in ("app", "superuser"):
            bench.edit(secret, replicaSet="rs0")
        bench.rotate()
        assert bench.can_login(bench.current)


def test_a_replica_set_of_another_name_is_refused(member: MongoWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CONNECT_WITHIN", 1.0)  # the driver goes on looking for one
    for bench in made(member, "SingleUser", superuser=False):
        bench.edit("app", replicaSet="another")
        with pytest.raises(RotationError) as refused:
            bench.rotate()
        assert refused.value.kind is Kind.NETWORK


def test_a_host_that_is_lost_after_it_was_reached_is_given_up_at_once(server: MongoWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CONNECT_WITHIN", 60.0)  # for which the driver would go on, and tell that no server was found
    life = Life()
    life.begin(ends_before=0)
    lost = r"no answer from the server \(AutoReconnect\)"
    with MortalProxy(server.host, server.port, life=life) as proxy, pytest.raises(RotationError, match=lost) as refused:
        BACK_END.verify(Credential(server.secret("app", PASSWORD, port=proxy.port)), Deadline.after(120))
    assert refused.value.kind is Kind.NETWORK
