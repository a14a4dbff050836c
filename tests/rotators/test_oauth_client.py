"""Secrets of OAuth clients through the common suite.

The server that makes secrets itself, and the one that lets clients choose, give their tokens by canaille, a real OAuth server; canaille has
one secret for a client, so the one with several is the strict server alone.
"""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, SUPERUSER, Bench, Capability
from tests.rotators.oauth_client_bench import OAuthBench, canaille_bench, oauth_bench
from tests.rotators.suite import EngineSuite

from keyturn_lab.backends.canaille import Canaille
from keyturn_lab.backends.oauth_server import OAuthServer
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import Step


@pytest.fixture(scope="module")
def canaille() -> Iterator[Canaille]:
    with Canaille() as server:
        yield server


@pytest.fixture
def strict() -> Iterator[OAuthServer]:
    with OAuthServer() as server:
        yield server


class MadeByTheServer(EngineSuite):
    """createSecret makes the credential, and looks for one that is stored."""

    def test_one_rotation_costs_no_more_calls_of_the_secret_than_it_must(self, bench: Bench) -> None:
        bench.rotate()
        calls = {action: number for (action, secret), number in bench.store.calls.items() if secret == APP}
        assert calls == {"DescribeSecret": 3, "GetSecretValue": 5, "PutSecretValue": 1, "UpdateSecretVersionStage": 1}


class TestSingleUser(MadeByTheServer):
    capabilities = frozenset({Capability.RETIRE})

    @pytest.fixture
    def bench(self, canaille: Canaille) -> Iterator[Bench]:
        canaille.client_chooses, canaille.rotates = False, True
        with canaille_bench(canaille) as bench:
            yield bench

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.current == before
        assert not bench.can_login(before), "a registration has one secret, and the server has made another"
        assert bench.can_login(bench.pending)

    def test_the_credential_before_is_refused_as_soon_as_the_next_is_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert not bench.can_login(before)

    def _somebody_logs_in(self, bench: Bench) -> bool:
        """The secret that is registered: from an answer that is lost to the next attempt, which reads it there, it is in no version."""
        assert isinstance(bench, OAuthBench)
        return bench.can_login(bench.current.replaced(client_secret=bench.client.secrets[-1].value))


class TestSingleUserWhoChooses(EngineSuite):
    capabilities = frozenset({Capability.RETIRE, Capability.RESTORE, Capability.PASSWORD})

    @pytest.fixture
    def bench(self, canaille: Canaille) -> Iterator[Bench]:
        canaille.client_chooses, canaille.rotates = True, False
        with canaille_bench(canaille) as bench:
            bench.environ = {"KEYTURN_SECRET_CHOSEN_BY": "rotator"}
            yield bench


class TestOverlap(MadeByTheServer):
    capabilities = frozenset({Capability.OVERLAP, Capability.RETIRE, Capability.SUPERUSER})

    @pytest.fixture
    def bench(self, strict: OAuthServer) -> Iterator[Bench]:
        with oauth_bench(strict, overlap=True) as bench:
            bench.environ["KEYTURN_REVOKE_SUPERSEDED"] = "true"
            yield bench

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.current == before
        assert bench.can_login(before)
        assert bench.can_login(bench.pending)

    def test_a_superuser_who_is_refused_is_told_as_such_and_changes_nothing(self, bench: Bench) -> None:
        bench.spoil_superuser()
        with pytest.raises(RotationError) as refused:
            bench.step(Step.CREATE, bench.store.start(APP))
        assert refused.value.kind is Kind.AUTHENTICATION
        assert f"secret {SUPERUSER}" in str(refused.value)
        assert bench.can_login(bench.current)

    def test_restoring_is_answered_as_unsupported(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RESTORE, old_version)  # it is valid still: there is nothing to be done
        bench.step(Step.RETIRE, old_version)
        with pytest.raises(Unsupported, match="rotate instead"):
            bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)
