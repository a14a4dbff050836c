"""Samba as a domain controller: the old password's grace period, policies, groups, and disabled accounts."""

from collections.abc import Iterator

import pytest
from tests.host.test_activedirectory_suite import domain
from tests.rotators.activedirectory_bench import ActiveDirectoryBench, activedirectory_bench, add_administrator
from tests.rotators.bench import APP

from keyturn_lab.backends.samba import Samba
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Samba]:
    """As Samba is by default: the password before the current one is taken for an hour."""
    with domain(authority, grace_minutes=60) as running:
        add_administrator(running)
        yield running


@pytest.fixture(autouse=True)
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))


@pytest.fixture
def alternating(server: Samba) -> Iterator[ActiveDirectoryBench]:
    with activedirectory_bench(server, "AlternatingUsers") as bench:
        yield bench


def test_the_administrator_ends_the_grace_period_of_the_old_password(server: Samba) -> None:
    with activedirectory_bench(server, "SingleUser") as bench:
        old = bench.current_version()
        bench.rotate()
        assert bench.can_login(bench.version(old)), "the directory's grace period"
        bench.step(Step.RETIRE, old)
        assert not bench.can_login(bench.version(old))
        assert bench.can_login(bench.current)


def test_without_an_administrator_retiring_says_how_long_the_old_password_lives(server: Samba) -> None:
    server.shell("samba-tool domain passwordsettings set --min-pwd-age=0")
    with activedirectory_bench(server, "SingleUser", superuser=False) as bench:
        old = bench.current_version()
        bench.rotate()
        assert bench.can_login(bench.current)
        with pytest.raises(RotationError, match="60 minutes") as failed:
            bench.step(Step.RETIRE, old)
        assert failed.value.kind is Kind.SERVER


@pytest.mark.parametrize("times", [1, 2])
def test_a_password_that_is_restored_within_its_grace_period_is_set_and_not_only_taken_for_a_while(server: Samba, times: int) -> None:
    with activedirectory_bench(server, "SingleUser") as bench:
        old, new = bench.current_version(), bench.rotate()
        for _ in range(times):
            bench.step(Step.RESTORE, old)
        server.set_password(bench.app_dn, "Another-password-1")
        # The one before that is taken for a while, and no other.
        assert bench.can_login(bench.version(old))
        assert not bench.can_login(bench.version(new))


def test_a_current_password_that_was_replaced_and_is_taken_for_a_while_only_is_told_as_such(server: Samba) -> None:
    server.shell("samba-tool domain passwordsettings set --min-pwd-age=0")
    with activedirectory_bench(server, "SingleUser", superuser=False) as bench:
        bench.steps([Step.CREATE, Step.SET], bench.store.start(APP))  # and dies
        assert bench.can_login(bench.current), "the directory's grace period"
        with pytest.raises(RotationError, match="replaced already, and is taken for a while only") as failed:
            bench.rotate()
        assert failed.value.kind is Kind.AUTHENTICATION


def test_without_an_administrator_a_password_of_the_history_is_not_restored_although_it_is_taken_for_a_while(server: Samba) -> None:
    server.shell("samba-tool domain passwordsettings set --min-pwd-age=0")
    with activedirectory_bench(server, "SingleUser", superuser=False) as bench:
        old = bench.current_version()
        bench.rotate()
        assert bench.can_login(bench.version(old)), "the directory's grace period"
        with pytest.raises(RotationError, match="the password history"):
            bench.step(Step.RESTORE, old)
        assert bench.can_login(bench.current)


def test_a_users_own_change_meets_the_history_and_is_told_so(server: Samba) -> None:
    server.shell("samba-tool domain passwordsettings set --min-pwd-age=0")
    with activedirectory_bench(server, "SingleUser", superuser=False) as bench:
        first = bench.current_version()
        for _ in range(2):  # the first is past its grace then
            bench.rotate()
        with pytest.raises(RotationError, match="the password history") as failed:
            bench.step(Step.RESTORE, first)
        assert failed.value.kind is Kind.POLICY
        assert bench.can_login(bench.current)


def test_a_password_that_the_rules_refuse_is_a_policy_failure_and_the_old_one_goes_on(alternating: ActiveDirectoryBench) -> None:
    alternating.environ |= {"KEYTURN_PASSWORD_LENGTH": "5"}
    with pytest.raises(RotationError, match="rules for length and quality") as failed:
        alternating.rotate()
    assert failed.value.kind is Kind.POLICY
    assert alternating.can_login(alternating.current)


def test_a_retired_user_is_disabled_at_once_whatever_the_grace_period(alternating: ActiveDirectoryBench) -> None:
    old = alternating.current_version()
    alternating.rotate()
    alternating.step(Step.RETIRE, old)
    assert not alternating.can_login(alternating.version(old))
    [control] = alternating.server.read(alternating.app_dn, "userAccountControl")
    assert int(control) & 2
    alternating.step(Step.RESTORE, old)
    assert alternating.can_login(alternating.version(old))


def test_memberships_are_made_equal_at_every_rotation(alternating: ActiveDirectoryBench) -> None:
    server = alternating.server
    alternating.rotate()
    assert server.groups_of(alternating.clone_dn) == {alternating.group}
    added = server.add_group(f"more-of-{alternating.app}", alternating.clone_dn)
    server.remove_member(alternating.group, alternating.clone_dn)
    alternating.rotate()
    assert server.groups_of(alternating.app_dn) == {added}


def test_plaintext_is_refused_by_the_directory_and_told_as_such(alternating: ActiveDirectoryBench) -> None:
    for secret in alternating.store.values:
        alternating.edit(secret, ssl=False, port=alternating.server.port)
    token = alternating.store.start(APP)
    alternating.step(Step.CREATE, token)
    with pytest.raises(RotationError) as failed:
        alternating.step(Step.SET, token)
    assert failed.value.kind is Kind.TLS


@pytest.mark.parametrize("expires", [True, False])
def test_the_second_users_password_expires_only_where_the_firsts_does(alternating: ActiveDirectoryBench, expires: bool) -> None:
    name = alternating.current.username
    alternating.server.shell('samba-tool user setexpiry "$NAME"' + (" --days=30" if expires else " --noexpiry"), NAME=name)
    alternating.rotate()
    [control] = alternating.server.read(alternating.clone_dn, "userAccountControl")
    assert bool(int(control) & 0x10000) is not expires
