"""Declarations: the known ones hold to the format, and a bad one says which provider, which field, and what to do."""

import datetime
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from keyturn_rotators.engines.http_api_key import catalogue
from keyturn_rotators.engines.http_api_key.catalogue import KNOWN, find, packaged
from keyturn_rotators.engines.http_api_key.declaration import ADMIN, KEY_ID, parse
from keyturn_rotators.errors import Kind, RotationError

EXAMPLE = Path(__file__).parents[3] / "examples" / "http-api-key" / "acme.toml"


def example(**changes: Any) -> dict[str, Any]:
    """The example with fields changed: `create__path="x"` is create.path; None takes a field away."""
    content = tomllib.loads(EXAMPLE.read_text())
    content.pop("name")
    for path, value in changes.items():
        *tables, name = path.split("__")
        table = content
        for each in tables:
            table = table.setdefault(each, {})
        if value is None:
            del table[name]
        else:
            table[name] = value
    return content


def refusal(**changes: Any) -> str:
    with pytest.raises(RotationError) as refused:
        parse("acme", example(**changes))
    assert refused.value.kind is Kind.POLICY
    assert "the declaration of the provider acme is not usable" in str(refused.value)
    assert refused.value.check
    return str(refused.value)


def test_the_example_is_a_declaration() -> None:
    provider = parse("acme", example())
    assert provider.fields == {"account"}
    assert [provider.create.limit, provider.revoke.gone, provider.test.refused] == [frozenset({409}), frozenset({404}), frozenset({401})]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"url": None}, "url is missing"),
        ({"url": "ftp://acme.example"}, "url is not an https URL"),
        ({"url": "https://user@acme.example"}, "url is not an https URL"),
        ({"url": "acme.example"}, "url is not an https URL"),
        ({"url": 7}, "url is not a text"),
        ({"url": "{secret:url}"}, "url has the placeholder {secret:url}"),
        ({"url": "https://{secret:host}"}, "url has the placeholder {secret:host}"),
        ({"admin__bearer": "{secret:api_key}"}, "admin has the placeholder {secret:api_key}"),
        ({"key__bearer": "{admin:token}"}, "key has the placeholder {admin:token}"),
        ({"admin": {}}, "admin is missing"),
        ({"key": {}}, "key is missing"),
        ({"key": "x"}, "key is not a table"),
        ({"admin__basic": ["one"]}, "admin.basic is not a list of user and password"),
        ({"admin__baerer": "x"}, "admin.baerer is not a field"),
        ({"create__path": "v1/keys"}, "create.path does not begin"),
        ({"create__path": "/v1/keys?x=1"}, "create.path has a query"),
        ({"create__path": None}, "create.path is missing"),
        ({"create__path": "/{id}"}, "create.path has the placeholder {id}"),
        ({"create__method": "post"}, "create.method is 'post'"),
        ({"create__auth": "root"}, "create.auth is 'root'"),
        ({"create__form": {"a": "b"}}, "create.form is there besides json"),
        ({"create__json": {"when": datetime.date(2026, 1, 1)}}, "create.json is neither"),
        ({"create__json": {"name": "fixed"}}, "create has no {label}"),
        ({"create__expect": ["201"]}, "create.expect is not a list of HTTP status codes"),
        ({"create__expect": [99]}, "create.expect is not a list of HTTP status codes"),
        ({"create__answer": {"key_id": "/id"}}, "create.answer.api_key is missing"),
        ({"create__answer": {"api_key": "/key"}}, "create.answer.key_id is missing"),
        ({"create__answer__api_key": "key"}, 'create.answer.api_key does not begin with "/"'),
        ({"create__answer__api_key": "/~k"}, "create.answer.api_key has a"),
        ({"test__path": "/{label}"}, "test has the placeholder {label}"),
        ({"test__auth": "admin"}, "test.auth is 'admin'"),
        ({"test__refused": [200]}, "test.refused has a status that is expected"),
        ({"test__refused": [429]}, "test.refused has a status that is expected"),
        ({"test__refused": [500]}, "test.refused has a status that is expected"),
        ({"test__refused": []}, "test.refused has a status"),
        ({"test__require": {"/valid": [1]}}, "test.require is not a table"),
        ({"test__require": {"valid": True}}, "test.require.valid does not begin"),
        ({"test__proves": {"key_id": "id"}}, "test.proves.key_id does not begin"),
        ({"revoke__path": None}, "revoke.path is missing"),
        ({"revoke__query": {"id": "{test:/id}"}}, "revoke has the placeholder {test:/id}"),
        ({"list__id": None}, "list.id is missing"),
        ({"list__pages__size": 0}, "list.pages.size is less than 1"),
        ({"list__pages__first": "1"}, "list.pages.first is not a whole number"),
        ({"list": None}, "create has the placeholder {listed:/scopes}"),
        ({"settles_within": -1}, "settles_within is not a number of seconds"),
        ({"settles_within": True}, "settles_within is not a number of seconds"),
        ({"retries": 3}, "retries is not a field"),
    ],
)
def test_a_bad_field_is_told_by_its_name(changes: dict[str, Any], where: str) -> None:
    assert where in refusal(**changes)


def test_a_key_that_can_be_made_valid_again_is_known_by_the_list_alone() -> None:
    said = refusal(list=None, create__json={"name": "{label}"}, restore__path="/v1/keys/{secret:key_id}/enable")
    assert "restore is there without list" in said


def test_a_refusal_must_be_a_refusal_and_not_a_failure() -> None:
    assert "no refusal" in refusal(test__refused=[401, 503])


def test_a_key_that_manages_itself_may_say_where(tmp_path: Path) -> None:
    content = example(url="https://{secret:host}", admin={}, create__auth="current", revoke__auth="own", list__auth="current")
    assert parse("acme", content).fields == {"account", "host"}


# the known providers


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_provider_holds_to_the_format_and_says_how_far_it_was_checked(name: str) -> None:
    provider = find(name)
    assert provider.documentation.startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d against the documentation; not run against the provider", provider.checked)
    assert provider.listing is not None, "without a list a key that was made and lost stays"
    assert KEY_ID in provider.create.answer
    assert {request.auth for request in provider.requests} <= {ADMIN, "own"}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_provider_is_asked_over_tls(name: str) -> None:
    url = packaged(name)["url"]
    assert isinstance(url, str)
    assert url.startswith("https://") or url == "{admin:url}"


def test_every_packaged_declaration_is_known_and_named_as_its_file() -> None:
    folder = Path(catalogue.__file__).parent / catalogue.FOLDER
    files = {file.stem: tomllib.loads(file.read_text())["name"] for file in folder.glob("*.toml")}
    assert files == {name: name for name in KNOWN}


# where declarations come from


@pytest.mark.parametrize("name", ["../../credential", "acme", "", "datadog-api-key.toml"])
def test_a_name_that_is_not_known_is_refused_and_is_never_a_path(name: str) -> None:
    with pytest.raises(RotationError, match="not known") as refused:
        find(name)
    assert "datadog-api-key" in refused.value.check


def test_a_file_of_ones_own_adds_a_provider_to_the_known_ones() -> None:
    assert find("acme", file=str(EXAMPLE)).name == "acme"
    assert find("twilio-api-key", file=str(EXAMPLE)).name == "twilio-api-key"


@pytest.mark.parametrize(("content", "why"), [(None, "cannot be read"), (b"[", "is not TOML"), (b"\xff", "is not UTF-8")])
def test_a_file_that_is_of_no_use_says_why(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "own.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RotationError, match=why):
        find("own", file=str(file))
