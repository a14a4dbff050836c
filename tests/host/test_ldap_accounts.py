"""OpenLDAP: memberships of two users, password policies, TLS in both its forms, and what the administrator may not do."""

from collections.abc import Iterator

import ldap3
import pytest
from tests.host.test_ldap_suite import server
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.ldap_bench import LdapBench, ldap_bench

from keyturn_lab.backends.directory_client import add, modify
from keyturn_lab.backends.openldap import ADMIN, SERVICES, OpenLdap
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.host

__all__ = ["server"]  # a fixture


@pytest.fixture
def alternating(server: OpenLdap) -> Iterator[LdapBench]:
    with ldap_bench(server, "AlternatingUsers", superuser=True) as bench:
        yield bench


@pytest.fixture
def own(server: OpenLdap) -> Iterator[LdapBench]:
    with ldap_bench(server, "SingleUser", superuser=False) as bench:
        yield bench


@pytest.fixture(scope="module")
def strict(server: OpenLdap) -> str:
    """A policy with a history, and with rules that passwords of ours keep."""
    return server.add_policy("strict", pwdInHistory="5", pwdMinLength="16", pwdCheckQuality="2")


def test_the_second_user_is_like_the_first_and_in_the_same_groups(alternating: LdapBench) -> None:
    alternating.rotate()
    server = alternating.server
    assert alternating.current.username == alternating.clone
    assert server.groups_of(alternating.clone) == server.groups_of(alternating.app) == set(alternating.groups)
    with server.root() as root:
        root.search(alternating.clone, "(objectClass=*)", ldap3.BASE, attributes=["description", "cn", "userPassword"])
        [entry] = root.response
    assert entry["raw_attributes"]["description"] == [b"of the shop"]
    assert entry["raw_attributes"]["cn"] == [alternating.clone.partition(",")[0].partition("=")[2].encode()]
    assert len(entry["raw_attributes"]["userPassword"]) == 1


def test_the_second_user_has_the_password_policy_of_the_first(server: OpenLdap, strict: str) -> None:
    with ldap_bench(server, "AlternatingUsers", superuser=True, policy=strict) as bench:
        bench.rotate()
        with server.root() as root:
            root.search(bench.clone, "(objectClass=*)", ldap3.BASE, attributes=["pwdPolicySubentry"])
            [entry] = root.response
    assert entry["raw_attributes"]["pwdPolicySubentry"] == [strict.encode()]


def test_memberships_are_made_equal_at_every_rotation(alternating: LdapBench) -> None:
    alternating.rotate()
    server, mark = alternating.server, alternating.app.partition(",")[0].partition("=")[2]
    added = server.add_groups(f"{mark}-more", alternating.clone)
    with server.root() as root:
        modify(root, alternating.groups[0], "member", ldap3.MODIFY_DELETE, alternating.clone)
    alternating.rotate()
    assert alternating.current.username == alternating.app
    assert server.groups_of(alternating.app) == {*added, *alternating.groups[1:]}


def test_groups_that_the_administrator_may_not_change_are_a_permission_failure(alternating: LdapBench) -> None:
    with alternating.server.root() as root:
        group = f"cn={alternating.app.partition(',')[0].partition('=')[2]}-elsewhere,dc=example,dc=com"
        add(root, group, ["groupOfNames"], {"member": [alternating.app]})
    error = alternating.failure_of_set()
    assert error.kind is Kind.PERMISSION
    assert group in str(error)
    assert alternating.can_login(alternating.current)
    assert not alternating.can_login(alternating.pending), "it is let in only once it may do what the other may"


def test_a_password_of_the_history_is_told_as_such(server: OpenLdap, strict: str) -> None:
    with ldap_bench(server, "SingleUser", superuser=False, policy=strict) as bench:
        old = bench.current_version()
        bench.rotate()
        with pytest.raises(RotationError, match="the password history") as failed:
            bench.step(Step.RESTORE, old)
        assert failed.value.kind is Kind.POLICY
        assert bench.can_login(bench.current)


@pytest.mark.parametrize("superuser", [False, True])
def test_a_password_that_the_rules_refuse_is_told_as_such_and_the_old_one_goes_on(server: OpenLdap, strict: str, superuser: bool) -> None:
    with ldap_bench(server, "SingleUser", superuser=superuser, policy=strict) as bench:
        bench.environ["KEYTURN_PASSWORD_LENGTH"] = "8"
        error = bench.failure_of_set()
        assert error.kind is Kind.POLICY
        assert "the rules for length and quality of passwords" in str(error)
        assert bench.can_login(bench.current)


def test_two_users_go_on_under_a_policy_with_a_history(server: OpenLdap, strict: str) -> None:
    with ldap_bench(server, "AlternatingUsers", superuser=True, policy=strict) as bench:
        for _ in range(4):
            old = bench.current_version()
            bench.rotate()
            bench.step(Step.RETIRE, old)
            assert bench.can_login(bench.current)


def test_the_administrator_sets_the_password_of_one_user_where_it_is_named(server: OpenLdap) -> None:
    with ldap_bench(server, "SingleUser", superuser=True) as bench:
        old = bench.current_version()
        bench.rotate()
        assert bench.can_login(bench.current)
        bench.step(Step.RESTORE, old)
        assert bench.can_login(bench.version(old))


def test_a_user_whose_password_the_secret_does_not_have_is_left_alone(server: OpenLdap, alternating: LdapBench) -> None:
    victim = server.add_user(f"victim{alternating.app[4:12]}", "password-of-the-victim")
    for strategy in ("SingleUser", "AlternatingUsers"):
        alternating.environ["KEYTURN_STRATEGY"] = strategy
        alternating.edit(APP, username=victim)
        assert alternating.failure_of_set().kind is Kind.AUTHENTICATION
    assert server.accepts(victim, "password-of-the-victim")


def test_the_least_administrator_may_not_change_others(server: OpenLdap, alternating: LdapBench) -> None:
    alternating.rotate()
    admin = alternating.store.credential(SUPERUSER)
    with server.login(ADMIN, admin.password, tls=False) as connection:
        for dn in (ADMIN, "cn=root,dc=example,dc=com", "dc=example,dc=com"):
            connection.modify(dn, {"description": [(ldap3.MODIFY_REPLACE, ["changed"])]})
            assert connection.result["result"] != 0
        connection.search(SERVICES, "(uid=*)", attributes=["userPassword"])
        assert connection.response
        assert not any(each["raw_attributes"].get("userPassword") for each in connection.response)


@pytest.mark.parametrize("starttls", [False, True])
def test_secrets_that_say_nothing_of_ssl_are_rotated_over_verified_tls(
    own: LdapBench, authority: Authority, monkeypatch: pytest.MonkeyPatch, starttls: bool
) -> None:
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    own.edit(APP, ssl=None, port=own.server.port if starttls else own.server.tls_port, starttls=starttls)
    own.rotate()
    assert own.can_login(own.current)


@pytest.mark.parametrize("starttls", [False, True])
def test_a_server_of_another_authority_or_name_is_refused(
    own: LdapBench, authority: Authority, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, starttls: bool
) -> None:
    own.edit(APP, ssl=None, port=own.server.port if starttls else own.server.tls_port, starttls=starttls)
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(Authority(tmp_path_factory.mktemp("other")).certificate))
    assert own.failure_of_set().kind is Kind.TLS
    monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
    own.edit(APP, host="localhost")
    error = own.failure_of_set()
    assert error.kind is Kind.TLS
    assert "certificate is not trusted" in str(error)


def test_a_name_that_is_no_distinguished_name_is_refused_before_anything_is_written(own: LdapBench) -> None:
    own.edit(APP, username="app")
    with pytest.raises(RotationError, match="not a distinguished name"):
        own.step(Step.CREATE, own.store.start(APP))
