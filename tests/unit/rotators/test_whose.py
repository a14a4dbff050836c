"""Nothing is done in a user's name but for whoever knows its credential: the current one, or the one before after a rollback."""

import json

import pytest
from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.versions import PREVIOUS
from keyturn_rotators.whose import login_before, refuse_another

BASE = {"host": "db", "username": "app", "vhost": "/"}
PENDING = Credential({**BASE, "password": "next"}, secret="app")


def context(*, previous: dict[str, str] | None = None) -> Context:
    """Of a secret whose current password is `current`."""
    store = DictionaryStore(app=json.dumps({**BASE, "password": "current"}))
    if previous is not None:
        store.values["app"]["v0"], store.labels["app"]["v0"] = json.dumps(previous), {PREVIOUS}
    return Context(store, "app", Deadline.after(60))


class BackEnd:
    """Takes one password, and remembers with which it was tried."""

    def __init__(self, password: str, *, refusal: Kind = Kind.AUTHENTICATION) -> None:
        self._password, self._refusal = password, refusal
        self.tried: list[str] = []

    def login(self, credential: Credential) -> str:
        self.tried.append(credential.password)
        if credential.password != self._password:
            raise RotationError(self._refusal, "refused", check="it")
        return f"logged in with {credential.password}"


def other_vhost(first: Credential, second: Credential) -> str | None:
    return None if first.get("vhost") == second.get("vhost") else "vhost"


def test_the_current_credential_is_tried_alone_where_it_is_taken() -> None:
    back_end = BackEnd("current")
    seen = login_before(back_end.login, PENDING, context(previous={**BASE, "password": "before"}))
    assert (seen, back_end.tried) == ("logged in with current", ["current"])


def test_the_one_before_is_tried_where_the_current_one_is_refused() -> None:
    back_end = BackEnd("before")
    seen = login_before(back_end.login, PENDING, context(previous={**BASE, "password": "before"}), differs=other_vhost)
    assert (seen, back_end.tried) == ("logged in with before", ["current", "before"])


@pytest.mark.parametrize("field", ["username", "host", "vhost"])
def test_the_one_before_is_sent_nowhere_if_it_is_anothers_or_for_another_place(field: str) -> None:
    back_end = BackEnd("before")
    with pytest.raises(RotationError, match="refused"):
        login_before(back_end.login, PENDING, context(previous={**BASE, "password": "before", field: "other"}), differs=other_vhost)
    assert back_end.tried == ["current"]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.AUTHENTICATION])
def test_a_failure_that_says_nothing_of_the_credential_ends_it(kind: Kind) -> None:
    back_end = BackEnd("before", refusal=kind)
    with pytest.raises(RotationError) as failed:
        login_before(back_end.login, PENDING, context(previous={**BASE, "password": "before"}))
    assert failed.value.kind is kind
    assert back_end.tried == ["current"]


def test_a_secret_that_has_no_version_before_is_refused_as_it_is() -> None:
    back_end = BackEnd("before")
    with pytest.raises(RotationError, match="refused"):
        login_before(back_end.login, PENDING, context())


def test_an_older_version_is_refused_by_the_field_that_differs() -> None:
    refuse_another(None, PENDING)
    with pytest.raises(RotationError, match="the version's vhost is not the current version's") as refused:
        refuse_another(other_vhost(PENDING.replaced(vhost="other"), PENDING), PENDING)
    assert refused.value.kind is Kind.POLICY
