"""What a rotation does to the users of a Redis beside replacing a password, and what it refuses."""

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.redis_bench import PASSWORD, RedisBench, redis_bench
from tests.rotators.redis_cases import retire_first, rules_of
from tests.support.login_programs import until

from keyturn_lab.backends.redis import Redis
from keyturn_rotators.engines.redis.company import refuse_one_of_several
from keyturn_rotators.engines.redis.connection import Refusal, Session
from keyturn_rotators.engines.redis.users import Users
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.rotation import Step


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as running:
        yield running


@pytest.fixture(params=["Overlap", "SingleUser", "AlternatingUsers"])
def bench(server: Redis, request: pytest.FixtureRequest) -> Iterator[RedisBench]:
    with redis_bench(server, request.param) as bench:
        yield bench


@pytest.fixture
def overlapping(server: Redis) -> Iterator[RedisBench]:
    with redis_bench(server, "Overlap") as bench:
        yield bench


@pytest.fixture
def alternating(server: Redis) -> Iterator[RedisBench]:
    with redis_bench(server, "AlternatingUsers") as bench:
        yield bench


def test_what_is_set_and_what_is_retired_outlasts_a_restart(bench: RedisBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.server.restart()
    assert bench.can_login(bench.current)
    bench.step(Step.RETIRE, old_version)
    bench.server.restart()
    assert not bench.can_login(bench.version(old_version))
    assert bench.can_login(bench.current)


def test_a_rotation_that_died_before_it_saved_is_saved_by_the_next_attempt(bench: RedisBench) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    deaths = itertools.count(1)
    while not bench.can_login(bench.pending):
        bench.survives([Step.SET], token, ends_before=next(deaths))
    bench.step(Step.SET, token)
    bench.server.restart()
    assert bench.can_login(bench.pending)


def test_no_password_is_in_the_servers_log_of_slow_commands(bench: RedisBench) -> None:
    bench.server.run("CONFIG", "SET", "slowlog-log-slower-than", "0")
    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    seen = str(bench.server.run("SLOWLOG", "GET", "1000"))
    assert bench.app in seen or "ACL" in seen
    assert PASSWORD not in seen
    assert bench.current.password not in seen


def test_what_the_user_may_do_is_not_changed(bench: RedisBench) -> None:
    before = rules_of(bench.server, bench.app)
    bench.rotate()
    assert rules_of(bench.server, bench.current.username) == before


def test_a_user_who_is_let_in_with_any_password_is_refused(bench: RedisBench) -> None:
    bench.server.run("ACL", "SETUSER", bench.app, "nopass")
    error = bench.failure_of_set()
    assert error.kind is Kind.POLICY
    assert "nopass" in str(error)


def test_a_secret_whose_password_is_not_the_users_changes_nothing(bench: RedisBench) -> None:
    before = bench.server.users()
    bench.edit(APP, password="guessed-by-somebody")
    assert bench.failure_of_set().kind is Kind.AUTHENTICATION
    assert bench.server.users() == before


def test_a_superuser_without_the_right_is_told_which_command_it_lacks(bench: RedisBench) -> None:
    bench.server.run("ACL", "SETUSER", bench.admin, "-@all", "+acl|list")
    error = bench.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert "ACL SETUSER" in str(error)


def test_rules_that_were_changed_by_hand_are_those_of_the_next_user_too(alternating: RedisBench) -> None:
    for number in range(4):
        current = alternating.current.username
        alternating.server.run("ACL", "SETUSER", current, f"~more{number}:*", f"&more{number}", "-get" if number % 2 else "+get")
        alternating.rotate()
        assert rules_of(alternating.server, alternating.app) == rules_of(alternating.server, alternating.clone)


def test_a_right_that_only_the_idle_user_has_is_taken_from_it(alternating: RedisBench) -> None:
    alternating.rotate()
    alternating.server.run("ACL", "SETUSER", alternating.app, "allkeys", "+@all")
    alternating.rotate()
    assert rules_of(alternating.server, alternating.app) == rules_of(alternating.server, alternating.clone)
    assert "+@all" not in alternating.server.users()[alternating.app]


def test_the_user_has_the_secrets_passwords_and_no_others(overlapping: RedisBench) -> None:
    overlapping.server.run("ACL", "SETUSER", overlapping.app, ">left-over-by-somebody")
    overlapping.rotate()
    assert not overlapping.server.accepts(overlapping.app, "left-over-by-somebody")


def test_retiring_an_older_version_leaves_the_previous_ones_password(overlapping: RedisBench) -> None:
    first = overlapping.current_version()
    second = overlapping.rotate()
    overlapping.rotate()
    overlapping.step(Step.RETIRE, first)
    assert overlapping.can_login(overlapping.version(second))


def test_connections_of_a_user_that_goes_on_are_ended_only_where_the_function_is_told_to(overlapping: RedisBench) -> None:
    with closing(overlapping.hold(overlapping.current)) as held:
        retire_first(overlapping)
        assert held.is_alive()
    overlapping.environ["KEYTURN_END_SESSIONS"] = "true"
    with closing(overlapping.hold(overlapping.current)) as held:
        version = overlapping.current_version()
        overlapping.rotate()
        overlapping.step(Step.RETIRE, version)
        assert not held.is_alive()


@pytest.fixture
def replicated() -> Iterator[tuple[Redis, Redis]]:
    """A server, and its replica, whose users are its own."""
    with Redis() as first, Redis() as second:
        first.create_app_user("replica", "password-of-the-replica", rules=("+psync", "+replconf", "+ping"))
        for setting, value in (("masteruser", "replica"), ("masterauth", "password-of-the-replica")):
            second.run("CONFIG", "SET", setting, value)
        second.run("REPLICAOF", first.host, str(first.port))
        until(lambda: first.run("INFO", "replication")["connected_slaves"] == 1)
        yield first, second


def test_one_of_several_servers_is_left_alone_unless_the_function_is_told_to(replicated: tuple[Redis, Redis]) -> None:
    for server, why in zip(replicated, (r"has replicas \(1\)", "is a replica"), strict=True):
        with redis_bench(server, "AlternatingUsers") as bench:
            before = server.users()
            error = bench.failure_of_set()
            assert error.kind is Kind.POLICY
            assert re.search(why, str(error))
            assert server.users() == before
            bench.environ["KEYTURN_REDIS_ONE_OF_SEVERAL"] = "true"
            bench.rotate()
            assert bench.can_login(bench.current)


def test_a_superuser_who_may_not_ask_for_other_servers_rotates_all_the_same(alternating: RedisBench) -> None:
    alternating.server.run("ACL", "SETUSER", alternating.admin, "-info")
    alternating.rotate()
    assert alternating.can_login(alternating.current)


class Node:
    """A session at a node of a cluster, whose port the lab cannot choose."""

    place = Place(host="127.0.0.1:6379")

    def run(self, *words: str) -> str:
        assert words == ("INFO",)
        return "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n# Cluster\r\ncluster_enabled:1\r\n"


def test_a_node_of_a_cluster_is_left_alone() -> None:
    with pytest.raises(RotationError, match=r"node of a cluster.*KEYTURN_REDIS_ONE_OF_SEVERAL=true"):
        refuse_one_of_several(cast(Session, Node()))


@pytest.mark.parametrize(
    "said", ["ERR unknown command 'ACL', with args beginning with: 'SETUSER'", "ERR wrong number of arguments for 'auth' command"]
)
def test_a_server_without_users_of_its_own_is_told_as_such(said: str) -> None:
    refusal = Refusal(said, Place(host="127.0.0.1:6379"), doing="ACL SETUSER")
    assert refusal.kind is Kind.POLICY
    assert "elasticache" in refusal.check


class Crowded:
    """An administrator's session at a server where each connection that is ended comes back at once, a hundred times."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []

    def run(self, *words: str) -> int:
        self.commands.append(words)
        return int(len(self.commands) < 100)


def test_apps_that_connect_again_at_once_are_cut_off_once() -> None:
    crowded = Crowded()
    Users(cast(Session, crowded)).end_connections("app")
    assert crowded.commands == [("CLIENT", "KILL", "USER", "app")]


@pytest.mark.parametrize("strategy", ["Overlap", "SingleUser"])
def test_a_user_who_may_changes_its_own_password(server: Redis, strategy: str) -> None:
    with redis_bench(server, strategy) as bench:
        server.run("ACL", "SETUSER", bench.app, "+@admin", "+acl", "+client")
        bench.edit(APP, masterarn=None)
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RETIRE, old_version)
        assert bench.can_login(bench.current)
        assert bench.store.calls["GetSecretValue", SUPERUSER] == 0


def test_without_a_file_of_users_a_rotation_succeeds_and_the_configuration_is_rewritten_only_where_that_is_allowed() -> None:
    with Redis(acl_file=False) as server, redis_bench(server, "Overlap") as bench:
        server.run("CONFIG", "REWRITE")
        bench.rotate()
        first = bench.current
        server.restart()
        assert not bench.can_login(first)
        server.create_app_user(bench.app, first.password)
        server.run("ACL", "SETUSER", bench.admin, "+config|rewrite")
        bench.environ["KEYTURN_REDIS_CONFIG_REWRITE"] = "true"
        bench.rotate()
        server.restart()
        assert bench.can_login(bench.current)


def test_a_version_of_another_user_is_not_retired_in_its_name(bench: RedisBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.store.values[APP][old_version] = bench.store.values[APP][old_version].replace(bench.app, bench.admin)
    with pytest.raises(RotationError, match="the version's user is not") as refused:
        bench.step(Step.RETIRE, old_version)
    assert refused.value.kind is Kind.POLICY
