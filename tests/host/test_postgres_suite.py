"""Debian's PostgreSQL, an older one, through the common suite: over verified TLS, and by the rules for memberships before PostgreSQL 16.

Its cases are those that depend on the server: on its catalogue, on who may change or end whom, on how it is spoken to. What an engine does
before it asks the server, or whatever the server is, the wheel's server has met with the same code (tests/rotators/test_postgres.py).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.test_postgres_tls import binaries
from tests.rotators.bench import COMMON, IN_TURN
from tests.rotators.suite import EngineSuite
from tests.rotators.test_postgres import PostgresBench, made

from keyturn_lab.backends import Postgres
from keyturn_lab.controlplane.certificates import Authority

pytestmark = pytest.mark.host

__all__ = ["binaries"]  # a fixture
DIFFERENT = (
    "test_a_rotation_makes_another_credential_current_and_valid",
    "test_the_credential_before_works_until_the_next_rotation",
    "test_the_credential_before_is_refused_as_soon_as_the_next_is_set",
    "test_each_step_may_come_twice",
    "test_wherever_a_rotation_dies_the_current_credential_logs_in_and_the_next_attempt_completes_it",
    "test_passwords_of_every_printable_character_are_taken",
    "test_a_superuser_who_is_refused_is_told_as_such_and_changes_nothing",
    "test_a_host_that_never_answers_fails_within_the_steps_limit",
    "test_tls_that_cannot_be_verified_is_a_tls_failure",
    "test_retiring_ends_the_sessions_of_the_old_credential_and_no_others",
    "test_rotations_go_on_after_retiring",
    "test_wherever_retiring_dies_the_next_attempt_completes_it",
    "test_an_old_credential_is_restored_promoted_and_rotated_again",
    "test_what_was_rolled_back_is_retired_in_its_turn",
    "test_wherever_restoring_dies_the_next_attempt_completes_it",
)


@pytest.fixture(scope="module")
def pg(binaries: Path, authority: Authority) -> Iterator[Postgres]:
    with Postgres(binaries=binaries, tls=authority.issue("server", common_name="postgres", hosts=["127.0.0.1"])) as server:
        yield server


class Tls(EngineSuite, complete=False):
    """Secrets without `ssl`, which means TLS, in a process that knows the server's authority."""

    @pytest.fixture
    def bench(self, pg: Postgres, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresBench]:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))
        other = Authority(tmp_path).certificate
        for bench in made(pg, self.strategy):
            for secret in bench.store.values:
                bench.edit(secret, ssl=None)
            monkeypatch.setattr(bench, "spoil_tls", lambda: monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(other)))
            bench.strides = (29, 23)  # the wheel's server has met the deaths between
            yield bench


class TestSingleUserOnDebian(Tls, only=DIFFERENT):
    capabilities, strategy = COMMON, "SingleUser"


class TestAlternatingUsersOnDebian(Tls, only=DIFFERENT):
    capabilities, strategy = IN_TURN, "AlternatingUsers"


def test_the_server_is_one_that_knows_no_membership_options(pg: Postgres) -> None:
    assert pg.execute("SELECT current_setting('server_version_num')::int < 160000") == [[True]]
