"""Names of two users in turn, and what a directory's answers mean."""

import pytest

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.activedirectory.dialect import ActiveDirectory
from keyturn_rotators.engines.ldap.names import base_of, equals, other, parent, split
from keyturn_rotators.engines.ldap.results import failure, refused_login
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.proof import is_taken

PLACE = Place(secret="app", host="ldap.example.com:636", user="uid=app")
REFUSED = 49


def user(name: str, **fields: object) -> Credential:
    return Credential({"username": name, **fields}, secret="app")


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("uid=app,ou=services,dc=example,dc=com", "uid=app_clone,ou=services,dc=example,dc=com"),
        ("CN=Smith\\, App, OU=services, DC=example", "CN=Smith\\, App_clone, OU=services, DC=example"),
        ("cn=a=b,dc=example", "cn=a=b_clone,dc=example"),
    ],
)
def test_the_second_users_name_differs_in_its_first_part_only(name: str, second: str) -> None:
    assert other(user(name)) == second
    assert other(user(second)) == name


@pytest.mark.parametrize("name", ["app", "uid=app", "app,dc=example", "uid=app+cn=app,dc=example", "\\", "uid=app\\,dc=example"])
def test_what_is_no_distinguished_name_of_one_attribute_is_refused(name: str) -> None:
    with pytest.raises(RotationError, match="field username is not a distinguished name"):
        split(user(name))


def test_groups_are_looked_for_in_the_users_domain_unless_the_secret_says_where() -> None:
    assert base_of(user("uid=app,ou=x,DC=example,dc=com")) == "DC=example,dc=com"
    assert base_of(user("uid=app,ou=x,dc=example,dc=com", base_dn="ou=groups,o=example")) == "ou=groups,o=example"
    with pytest.raises(RotationError, match="field base_dn is missing"):
        base_of(user("uid=app,o=example"))


def test_a_name_in_a_search_is_no_condition_of_its_own() -> None:
    assert equals("member", "cn=a)(uid=*") == "(member=cn=a\\29\\28uid=\\2a)"
    assert parent("CN=Smith\\, App,OU=services") == "OU=services"


@pytest.mark.parametrize("name", ["app@corp.example.com", "CORP\\app", "CN=app,DC=corp", "app*"])
def test_users_of_a_domain_are_known_by_their_short_names(name: str) -> None:
    with pytest.raises(RotationError, match="is not a sAMAccountName"):
        ActiveDirectory().check(user(name, domain="corp.example.com"))


def test_a_second_name_that_is_too_long_for_the_domain_is_refused() -> None:
    assert ActiveDirectory().next_user(user("a" * 14)) == "a" * 14 + "_clone"
    with pytest.raises(RotationError, match="20 characters"):
        ActiveDirectory().next_user(user("a" * 15))


def message(subcode: str) -> str:
    return f"80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {subcode}, v4563"


@pytest.mark.parametrize(
    ("subcode", "kind"),
    [
        ("52e", Kind.AUTHENTICATION),
        ("533", Kind.AUTHENTICATION),
        ("701", Kind.AUTHENTICATION),
        ("532", Kind.PERMISSION),
        ("773", Kind.PERMISSION),
        ("775", Kind.POLICY),
    ],
)
def test_a_domains_refusal_says_whether_the_password_was_right(subcode: str, kind: Kind) -> None:
    assert refused_login(PLACE, {"result": REFUSED, "message": message(subcode)}).kind is kind


def test_an_account_that_is_locked_proves_nothing_about_its_password() -> None:
    def login() -> object:
        raise refused_login(PLACE, {"result": REFUSED, "message": message("775")})

    with pytest.raises(RotationError, match="locked"):
        is_taken(login)  # type: ignore[arg-type]  # it opens nothing


@pytest.mark.parametrize(
    ("code", "text", "kind", "told"),
    [
        (19, "Password is in history of old passwords", Kind.POLICY, "against the password history"),
        (19, "0000052D: Constraint violation: the password was already used (in history)!", Kind.POLICY, "against the password history"),
        (19, "Password is too short for policy", Kind.POLICY, "against the rules for length and quality"),
        (53, "0000052D: SvcErr", Kind.POLICY, "perhaps against"),
        (50, "no write access", Kind.PERMISSION, "refused to set"),
        (8, "BindSimple: Transport encryption required.", Kind.TLS, "refused to set"),
        (13, "confidentiality required", Kind.TLS, "refused to set"),
        (10, "", Kind.POLICY, "refused to set"),
        (51, "", Kind.SERVER, "refused to set"),
        (32, "", Kind.POLICY, "refused to set"),
    ],
)
def test_what_was_refused_is_sorted_by_who_can_mend_it_and_the_directorys_text_is_not_shown(
    code: int, text: str, kind: Kind, told: str
) -> None:
    error = failure(PLACE, "set the password", {"result": code, "message": f"{text} canary", "description": "aResult"})
    assert error.kind is kind
    assert told in str(error)
    assert "canary" not in str(error)
