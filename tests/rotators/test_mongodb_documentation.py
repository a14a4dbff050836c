"""What docs/rotators/mongodb.md says is enough, is what the tests run with, and the page's secret and policy are the rotator's."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.rotators.bench import APP, SUPERUSER
from tests.rotators.mongodb_bench import MongoBench, made
from tests.rotators.mongodb_fake import OWN_PASSWORD
from tests.rotators.test_mongodb_roles import ADMIN
from tests.support.docs import ROOT

from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.mongodb.alternating import AlternatingUsers
from keyturn_rotators.engines.registry import BY_NAME
from keyturn_rotators.package import architectures, is_portable
from keyturn_rotators.passwords import EXCLUDED
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.timeout(900)  # the first one builds the server
PAGE = (ROOT / "docs" / "rotators" / "mongodb.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def bench() -> Iterator[MongoBench]:
    with MongoWire() as server:
        yield from made(server, "AlternatingUsers", superuser=True)


def test_the_superuser_of_the_page_has_the_role_that_the_tests_run_with() -> None:
    [block] = [block for block in blocks("text") if "keyturn_admin" in block]
    roles = {(role, database) for role, database in re.findall(r'\{role: "(\w+)", db: "(\w+)"\}', block)}
    assert roles == ADMIN.roles


def test_the_role_of_a_user_that_changes_its_own_password_is_the_one_that_the_tests_run_with() -> None:
    [block] = [block for block in blocks("text") if "changeOwnPassword" in block]
    name, database = OWN_PASSWORD
    assert f'db.getSiblingDB("{database}").createRole({{role: "{name}"' in block
    assert f'grantRolesToUser("app", ["{name}"])' in block


def test_the_policy_of_the_page_allows_the_calls_that_are_made_and_no_others(bench: MongoBench) -> None:
    before = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, before)
    bench.step(Step.RESTORE, before)
    calls: dict[str, set[str]] = {APP: set(), SUPERUSER: set()}
    for action, secret in bench.store.calls:
        calls[secret].add(f"secretsmanager:{action}")
    policy: dict[str, Any] = json.loads(next(block for block in blocks("json") if "Statement" in block))
    allowed = [statement["Action"] for statement in policy["Statement"]]
    assert set(allowed[0]) == calls[APP]
    assert {allowed[1]} == calls[SUPERUSER]


def test_the_secret_of_the_page_is_one_that_the_rotator_reads() -> None:
    credential = Credential.parse(blocks("json")[0], secret="documented")
    assert (credential.username, credential.port(1), credential.tls) == ("app", 27017, True)
    assert BY_NAME[credential.engine].module == "mongodb"
    assert credential.superuser_secret is not None


def test_the_names_limits_and_characters_of_the_page_are_the_codes() -> None:
    assert f"`{EXCLUDED}`" in PAGE
    assert f"Names: {AlternatingUsers.longest_name} characters" in PAGE
    for name in (*BY_NAME["mongodb"].names, *BY_NAME["mongodb"].strategies):
        assert name in PAGE


def test_the_zip_that_the_page_packages_is_the_one_that_it_installs() -> None:
    assert any("keyturn-rotators package mongodb " in block for block in blocks("console"))
    assert any('"dist/keyturn-rotator-mongodb-arm64.zip"' in block for block in blocks("hcl"))
    assert not is_portable("mongodb")
    assert architectures("mongodb") == ["x86_64", "arm64"]
