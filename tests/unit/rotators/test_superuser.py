"""Where the superuser's login comes from, and where its password is never sent."""

import json

import pytest
from tests.unit.rotators.stores import DictionaryStore

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.superuser import Superuser

APP = {"host": "db.example", "username": "app", "password": "p", "masterarn": "admin"}
ADMIN = {"host": "db.example", "port": 5433, "username": "root", "password": "canary"}


def login(
    environ: dict[str, str] | None = None, *, app: dict[str, object] | None = None, admin: dict[str, object] | None = None
) -> Credential:
    value, superuser = APP | (app or {}), ADMIN | (admin or {})
    store = DictionaryStore(app=json.dumps(value), admin=json.dumps(superuser), other=json.dumps(superuser | {"username": "other"}))
    context = Context(store, "app", Deadline.after(60))
    found = Superuser.from_environment(environ or {})
    return found.login(context.current(), context, port=5432, users=("app", "app_clone"))


def refused(what: str, environ: dict[str, str] | None = None, **values: dict[str, object]) -> RotationError:
    with pytest.raises(RotationError, match=what) as error:
        login(environ, **values)
    assert error.value.kind is Kind.POLICY
    assert "canary" not in str(error.value)
    return error.value


def test_it_is_the_secret_that_masterarn_names() -> None:
    assert (login().username, login().port(1)) == ("root", 5433)


def test_it_is_the_secret_of_the_functions_variable_where_the_secret_names_none() -> None:
    environ = {"KEYTURN_SUPERUSER_SECRET": "other"}
    assert login(environ, app={"masterarn": None}).username == "other"
    assert login(environ).username == "root"


def test_none_that_is_named_is_told_with_both_places_to_name_it() -> None:
    error = refused("no superuser's secret is named", app={"masterarn": ""})
    assert "masterarn" in error.check
    assert "KEYTURN_SUPERUSER_SECRET" in error.check


def test_one_for_another_host_is_refused() -> None:
    refused("for another host", admin={"host": "evil.example"})


def test_one_that_names_no_host_is_for_the_host_that_the_function_names() -> None:
    refused("names no host", admin={"host": None})
    refused("for another host", {"KEYTURN_SUPERUSER_HOST": "elsewhere.example"}, admin={"host": None})
    found = login({"KEYTURN_SUPERUSER_HOST": "db.example"}, admin={"host": None, "port": None}, app={"port": 6000})
    assert (found.host, found.port(1)) == ("db.example", 6000)


@pytest.mark.parametrize("user", ["app", "app_clone"])
def test_one_of_the_users_that_it_is_to_change_is_refused(user: str) -> None:
    refused("cannot rotate itself", admin={"username": user})


@pytest.mark.parametrize(
    ("environ", "app", "named"),
    [
        ({}, {}, True),
        ({}, {"masterarn": None}, False),
        ({"KEYTURN_SUPERUSER_SECRET": "other"}, {"masterarn": None}, True),
        ({"KEYTURN_SUPERUSER_SECRET": ""}, {"masterarn": ""}, False),
    ],
)
def test_a_superuser_is_there_where_the_secret_or_the_function_names_one(
    environ: dict[str, str], app: dict[str, object], named: bool
) -> None:
    context = Context(DictionaryStore(app=json.dumps(APP | app)), "app", Deadline.after(60))
    assert Superuser.from_environment(environ).is_named(context) is named
