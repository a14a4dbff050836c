"""What docs/rotators/mongodb.md says is enough, is what the tests run with, and the page's secret and policy are the rotator's."""

import re
from collections.abc import Iterator

import pytest
from tests.rotators.mongodb_bench import MongoBench, made
from tests.rotators.mongodb_fake import OWN_PASSWORD
from tests.rotators.test_mongodb_roles import ADMIN
from tests.support.rotator_pages import RotatorPage

from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_rotators.engines.mongodb.alternating import AlternatingUsers
from keyturn_rotators.engines.registry import BY_NAME
from keyturn_rotators.package import architectures, is_portable
from keyturn_rotators.passwords import EXCLUDED
from keyturn_rotators.rotation import Step

pytestmark = pytest.mark.timeout(900)  # the first one builds the server
PAGE = RotatorPage("mongodb")


@pytest.fixture(scope="module")
def bench() -> Iterator[MongoBench]:
    with MongoWire() as server:
        yield from made(server, "AlternatingUsers", superuser=True)


def test_the_superuser_of_the_page_has_the_role_that_the_tests_run_with() -> None:
    block = PAGE.block("text", having="keyturn_admin")
    roles = {(role, database) for role, database in re.findall(r'\{role: "(\w+)", db: "(\w+)"\}', block)}
    assert roles == ADMIN.roles


def test_the_role_of_a_user_that_changes_its_own_password_is_the_one_that_the_tests_run_with() -> None:
    block = PAGE.block("text", having="changeOwnPassword")
    name, database = OWN_PASSWORD
    assert f'db.getSiblingDB("{database}").createRole({{role: "{name}"' in block
    assert f'grantRolesToUser("app", ["{name}"])' in block


def test_the_policy_of_the_page_allows_the_calls_that_are_made_and_no_others(bench: MongoBench) -> None:
    before = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, before)
    bench.step(Step.RESTORE, before)
    PAGE.assert_policy_is_for(bench.store.calls)


def test_the_secret_of_the_page_is_one_that_the_rotator_reads() -> None:
    credential = PAGE.secret()
    assert (credential.username, credential.port(1), credential.tls) == ("app", 27017, True)
    assert BY_NAME[credential.engine].module == "mongodb"
    assert credential.superuser_secret is not None


def test_the_names_limits_and_characters_of_the_page_are_the_codes() -> None:
    assert f"`{EXCLUDED}`" in PAGE
    assert f"Names: {AlternatingUsers.longest_name} characters" in PAGE
    for name in (*BY_NAME["mongodb"].names, *BY_NAME["mongodb"].strategies):
        assert name in PAGE


def test_the_zip_that_the_page_packages_is_the_one_that_it_installs() -> None:
    assert any("keyturn-rotators package mongodb " in block for block in PAGE.blocks("console"))
    assert any('"dist/keyturn-rotator-mongodb-arm64.zip"' in block for block in PAGE.blocks("hcl"))
    assert not is_portable("mongodb")
    assert architectures("mongodb") == ["x86_64", "arm64"]
