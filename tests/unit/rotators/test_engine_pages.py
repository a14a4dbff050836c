"""The pages of SSH and of directories: their secrets are ones that the rotators read, and their policies allow what a rotation calls."""

import json
from typing import Any

import pytest
from tests.support.docs import in_backticks
from tests.support.rotator_pages import RotatorPage

from keyturn_rotators.engines.ldap.connection import PORT, port_of, starttls
from keyturn_rotators.engines.registry import BY_NAME
from keyturn_rotators.engines.ssh.connection import PORT as SSH_PORT
from keyturn_rotators.engines.ssh.keys import MARKED
from keyturn_rotators.passwords import EXCLUDED

NAMES = ("activedirectory", "ldap", "ssh")
CALLS = {"DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"}


@pytest.mark.parametrize("name", NAMES)
def test_a_pages_secret_is_rotated_by_the_engine_of_its_zip(name: str) -> None:
    entry = BY_NAME[str(RotatorPage(name).secret().engine)]
    assert entry.module == name
    assert set(entry.names) <= in_backticks(RotatorPage(name).path)
    assert any(f"keyturn-rotators package {name} " in block for block in RotatorPage(name).blocks("console"))
    assert any(f'"dist/keyturn-rotator-{name}' in block for block in RotatorPage(name).blocks("hcl"))


def test_directories_are_spoken_to_over_ldaps_unless_the_secret_says_otherwise() -> None:
    for name in ("activedirectory", "ldap"):
        credential = RotatorPage(name).secret()
        assert (credential.tls, starttls(credential), port_of(credential), credential.superuser_secret is None) == (
            True,
            False,
            PORT,
            False,
        )
        assert EXCLUDED in in_backticks(RotatorPage(name).path)


def test_the_key_of_the_page_has_a_mark_as_rotations_make_it() -> None:
    credential = RotatorPage("ssh").secret()
    assert credential.port(0) == SSH_PORT
    assert MARKED.fullmatch(credential.text("public_key").rpartition(" ")[2].replace("...", "eu-west-1:111122223333:secret:sftp"))


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_allows_the_calls_of_a_rotation_and_reading_the_administrators_secret(name: str) -> None:
    page = RotatorPage(name)
    policy: dict[str, Any] = json.loads(page.blocks("json")[-1])
    rotate, read = policy["Statement"]
    assert set(rotate["Action"]) == {f"secretsmanager:{call}" for call in CALLS}
    assert read["Action"] == "secretsmanager:GetSecretValue"
    assert rotate["Resource"] != read["Resource"]
    for statement in (rotate, read):
        assert statement["Resource"] in page.text.replace(page.blocks("json")[-1], ""), "as Terraform has it"
