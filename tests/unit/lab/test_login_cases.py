"""The cases of `benchmarks failed-logins`: none is forgotten, and what each takes from elsewhere is there."""

from importlib.util import find_spec

import pytest
from benchmarks.login_cases import CASES, Case, documented

from keyturn_rotators.engines.registry import ENTRIES

FAKES = {"db2", "oracle", "sqlserver"}  # no server of these can be had here
STAND_INS = {"redshift", "redshift_serverless", "elasticache", "iam_access_key"}  # AWS's own services
NO_LOGIN = {"random"}  # a value that nobody logs in with
NOT_MARIADB = {("mysql", "Overlap")}  # MariaDB, which stands for MySQL, has no dual passwords

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_every_strategy_that_has_a_real_server_is_measured_once() -> None:
    measurable = [entry for entry in ENTRIES if entry.module not in FAKES | STAND_INS | NO_LOGIN]
    expected = {(entry.module, strategy) for entry in measurable for strategy in entry.strategies} - NOT_MARIADB
    assert sorted((case.rotator, case.strategy) for case in CASES) == sorted(expected)


@each_case
def test_a_case_has_its_client_program_and_its_declaration(case: Case) -> None:
    assert find_spec(f"keyturn_lab.apps.{case.client}")
    assert case.declaration is None or case.declaration.is_file()


@pytest.mark.parametrize(
    ("page", "begin", "part"),
    [
        ("activedirectory", "samba-tool user create", "dsacl set"),
        ("ldap", "access to ", "by "),
        ("ssh", "#!/bin/sh", "/usr/sbin/chpasswd"),
        ("ssh", "keyturn ALL=", "keyturn-chpasswd app"),
    ],
)
def test_what_a_page_says_about_the_administrator_is_found_there(page: str, begin: str, part: str) -> None:
    found = documented(page, begin)
    assert found.startswith(begin)
    assert part in found
    assert "```" not in found
