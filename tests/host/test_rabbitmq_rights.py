"""What a rotation does to RabbitMQ's users beside replacing a password, over TLS as well, and what it refuses."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.rabbitmq_bench import RabbitMqBench, rabbitmq_bench
from tests.support.debian import install

from keyturn_lab.backends.rabbitmq import RabbitMq
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[RabbitMq]:
    install("rabbitmq-server")
    with RabbitMq(tls=authority.issue("server", common_name="server", hosts=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def alternating(server: RabbitMq) -> Iterator[RabbitMqBench]:
    with rabbitmq_bench(server, "AlternatingUsers") as bench:
        yield bench


@pytest.fixture
def single(server: RabbitMq) -> Iterator[RabbitMqBench]:
    with rabbitmq_bench(server, "SingleUser") as bench:
        yield bench


def test_tags_permissions_topics_and_limits_are_made_equal_at_every_rotation(alternating: RabbitMqBench) -> None:
    server = alternating.server
    for number in range(4):
        user, vhost = alternating.current.username, f"{alternating.app}/{number}"
        server.api("PUT", "vhosts", vhost)
        server.api("PUT", "users", user, password=alternating.current.password, tags=f"monitoring,team{number}")
        server.api("PUT", "permissions", vhost, user, configure="", write=f"^{number}", read=".*")
        for exchange in ("amq.topic", f"exchange{number}"):
            server.api("PUT", "topic-permissions", vhost, user, exchange=exchange, write="^a", read=f"^{number}")
        server.api("PUT", "user-limits", user, "max-connections", value=10 + number)
        alternating.rotate()
        assert server.rights(alternating.app) == server.rights(alternating.clone)
        assert f"team{number}" in server.rights(alternating.current.username)["tags"]


def test_rights_that_only_the_idle_user_has_are_taken_from_it(alternating: RabbitMqBench) -> None:
    alternating.rotate()
    server, idle = alternating.server, alternating.app
    server.api("PUT", "vhosts", f"{idle}/extra")
    server.api("PUT", "permissions", f"{idle}/extra", idle, configure=".*", write=".*", read=".*")
    server.api("PUT", "topic-permissions", "/", idle, exchange="amq.topic", write=".*", read=".*")
    server.api("PUT", "user-limits", idle, "max-channels", value=3)
    alternating.rotate()
    assert server.rights(idle) == server.rights(alternating.clone)


def test_a_password_is_replaced_without_a_change_of_the_users_rights(single: RabbitMqBench) -> None:
    single.server.api("PUT", "users", single.app, password=single.current.password, tags="monitoring,policymaker")
    before = single.server.rights(single.app)
    single.rotate()
    assert single.server.rights(single.app) == before


def test_a_retired_user_has_no_password_and_keeps_its_rights(alternating: RabbitMqBench) -> None:
    old_version = alternating.current_version()
    before = alternating.server.rights(alternating.app)
    alternating.rotate()
    alternating.step(Step.RETIRE, old_version)
    assert alternating.server.api("GET", "users", alternating.app)["password_hash"] == ""
    assert alternating.server.rights(alternating.app) == before


def test_connections_of_a_user_that_goes_on_are_ended_only_where_the_function_is_told_to(single: RabbitMqBench) -> None:
    for told in (False, True):
        single.environ["KEYTURN_END_SESSIONS"] = str(told)
        with closing(single.hold(single.current)) as held:
            version = single.current_version()
            single.rotate()
            single.step(Step.RETIRE, version)
            assert held.is_alive() is not told


def test_a_virtual_host_that_the_user_may_not_open_fails_the_test_step_and_says_so(single: RabbitMqBench) -> None:
    single.server.api("PUT", "vhosts", f"{single.app}/closed")
    single.edit(APP, vhost=f"{single.app}/closed")
    token = single.store.start(APP)
    single.step(Step.CREATE, token)
    single.step(Step.SET, token)
    with pytest.raises(RotationError) as failed:
        single.step(Step.TEST, token)
    assert failed.value.kind is Kind.PERMISSION


def test_a_superuser_who_is_no_administrator_is_told_as_such(alternating: RabbitMqBench) -> None:
    alternating.server.api("PUT", "users", alternating.admin, password="password-of-the-admin", tags="monitoring")
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert "administrator" in error.check


def test_a_secret_whose_password_is_not_the_users_changes_nothing(alternating: RabbitMqBench) -> None:
    alternating.edit(APP, password="guessed-by-somebody")
    assert alternating.failure_of_set().kind is Kind.AUTHENTICATION
    assert not [user for user in alternating.server.api("GET", "users") if user["name"] == alternating.clone]


def test_a_pending_version_for_another_virtual_host_is_refused(alternating: RabbitMqBench) -> None:
    token = alternating.store.start(APP)
    alternating.step(Step.CREATE, token)
    alternating.edit(APP, label="AWSPENDING", vhost="elsewhere")
    with pytest.raises(RotationError, match="vhost"):
        alternating.step(Step.SET, token)


@pytest.fixture
def over_tls(alternating: RabbitMqBench, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> RabbitMqBench:
    """Secrets without `ssl`, and a process that knows our authority."""
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    alternating.edit(APP, ssl=None, port=alternating.server.tls_port)
    alternating.edit(SUPERUSER, ssl=None, port=alternating.server.tls_api_port)
    return alternating


def test_two_users_are_rotated_in_turn_and_retired_over_verified_tls(over_tls: RabbitMqBench) -> None:
    for _ in range(3):
        version = over_tls.current_version()
        over_tls.rotate()
        assert over_tls.can_login(over_tls.version(version))
        over_tls.step(Step.RETIRE, version)
        assert not over_tls.can_login(over_tls.version(version))


@pytest.mark.parametrize("secret", [APP, SUPERUSER])
def test_a_certificate_for_another_host_is_refused(over_tls: RabbitMqBench, secret: str) -> None:
    for each in (APP, SUPERUSER):
        over_tls.edit(each, host="localhost")
    if secret == SUPERUSER:
        over_tls.edit(APP, ssl=False, port=over_tls.server.port)
    error = over_tls.failure_of_set()
    assert error.kind is Kind.TLS
    assert "localhost" in str(error)
