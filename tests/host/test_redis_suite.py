"""Redis 7 of Debian through the common suite, and over TLS, which the wheel's Redis has not."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.redis_bench import RedisBench, redis_bench
from tests.rotators.redis_cases import rules_of
from tests.rotators.redis_suites import TestAlternatingUsers, TestOverlap, TestSingleUser
from tests.support.debian import install

from keyturn_lab.backends.redis import Redis
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.errors import Kind
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host
__all__ = ["TestAlternatingUsers", "TestOverlap", "TestSingleUser"]  # for pytest, which runs them against this module's server


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis(program=install("redis-server")) as running:
        yield running


def test_selectors_and_rights_to_keys_are_made_equal_too(server: Redis) -> None:
    with redis_bench(server, "AlternatingUsers") as bench:
        for selector in ("(%R~shared:* +get)", "(%W~log:* +append +set)"):
            server.run("ACL", "SETUSER", bench.current.username, selector, "%R~config:*")
            bench.rotate()
            assert sorted(rules_of(server, bench.app)) == sorted(rules_of(server, bench.clone))
            assert "(" in server.users()[bench.current.username]


@pytest.fixture
def over_tls(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisBench]:
    """A server that speaks TLS only, secrets without `ssl`, and a process that knows our authority."""
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    program, tls = install("redis-server"), authority.issue("server", common_name="redis", hosts=["127.0.0.1"])
    with Redis(program=program, tls=tls) as server, redis_bench(server, "Overlap") as bench:
        for secret in (APP, SUPERUSER):
            bench.edit(secret, ssl=None)
        yield bench


def test_a_user_is_rotated_and_retired_over_verified_tls(over_tls: RedisBench) -> None:
    old_version = over_tls.current_version()
    over_tls.rotate()
    assert over_tls.can_login(over_tls.version(old_version))
    over_tls.step(Step.RETIRE, old_version)
    assert not over_tls.can_login(over_tls.version(old_version))
    assert over_tls.can_login(over_tls.current)


def test_a_server_of_an_authority_that_is_not_ours_is_refused(over_tls: RedisBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTURN_CA_BUNDLE")
    assert over_tls.failure_of_set().kind is Kind.TLS


def test_a_certificate_for_another_host_is_refused(over_tls: RedisBench) -> None:
    for secret in (APP, SUPERUSER):
        over_tls.edit(secret, host="localhost")
    error = over_tls.failure_of_set()
    assert error.kind is Kind.TLS
    assert "localhost" in str(error)
