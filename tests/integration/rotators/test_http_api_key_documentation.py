"""What docs/rotators/http-api-key.md says is so."""

import json
import re
import tomllib
from collections.abc import Iterator

import pytest
from tests.rotators.http_api_key_bench import HttpApiKeyBench
from tests.support.rotator_pages import RotatorPage
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_rotators.engines.http_api_key import catalogue, overlap
from keyturn_rotators.engines.http_api_key.catalogue import KNOWN, find
from keyturn_rotators.engines.http_api_key.declaration import parse
from keyturn_rotators.rotation import Step
from keyturn_rotators.superuser import SUPERUSER_SECRET

PAGE = RotatorPage("http-api-key")


@pytest.fixture
def bench() -> Iterator[HttpApiKeyBench]:
    with HttpProvider(tls=False) as provider:
        yield HttpApiKeyBench(provider, Life())


def test_the_secret_of_the_page_has_what_its_provider_asks_for() -> None:
    credential = PAGE.secret()
    provider = find(credential.text("provider"))
    assert all(credential.get(name) for name in (*provider.fields, "api_key", "key_id", "masterarn"))


def test_the_administrators_secret_of_the_page_has_what_its_provider_asks_for() -> None:
    admin = json.loads(PAGE.blocks("json")[1])
    provider = find(admin["provider"])
    templates = [provider.url, *provider.admin.templates()]
    assert {each.name for template in templates for each in template.placeholders()} <= set(admin)


@pytest.mark.parametrize("name", KNOWN)
def test_the_line_of_a_known_provider_names_the_fields_that_it_asks_for(name: str) -> None:
    cells = next(line for line in PAGE.text.splitlines() if line.startswith(f"| `{name}`")).split("|")
    provider = find(name)
    admin = {each.name for template in (provider.url, *provider.admin.templates()) for each in template.placeholders()}
    assert set(re.findall(r"`([a-z_]+)`", cells[2])) == provider.fields
    assert admin <= set(re.findall(r"`([a-z_]+)`", cells[3]))


def test_the_policy_of_the_page_allows_the_calls_that_are_made_and_no_others(bench: HttpApiKeyBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    PAGE.assert_policy_is_for(bench.store.calls)


def test_the_declaration_of_the_page_is_one() -> None:
    content = tomllib.loads(PAGE.blocks("text")[0])
    assert parse(content.pop("name"), content).fields == frozenset()


def test_every_variable_of_the_engine_is_on_the_page() -> None:
    for name in (catalogue.PROVIDER_FILE, overlap.KEY_FIELD, overlap.REVOKE_SUPERSEDED, SUPERUSER_SECRET):
        assert f"| `{name}` |" in PAGE


def test_a_label_is_as_long_as_the_page_says(bench: HttpApiKeyBench) -> None:
    long = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:" + "a/very/long_name" * 10
    longest = int(re.findall(r"of at most (\d+) letters", PAGE.text)[0])
    label = overlap._label(long, "x")
    assert len(label) == longest
    assert re.fullmatch(r"[A-Za-z0-9-]+", label)
