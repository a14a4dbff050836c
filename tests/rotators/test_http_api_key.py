"""Keys of an HTTP API through the common suite: at a provider that revokes for good, and at one that can take a revocation back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.http_api_key_bench import mortal_bench, restorable
from tests.rotators.suite import EngineSuite

from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_rotators.errors import Unsupported
from keyturn_rotators.rotation import Step


@pytest.fixture(scope="module")
def provider() -> Iterator[HttpProvider]:
    with HttpProvider(tls=False) as running:
        yield running


class MadeByTheProvider(EngineSuite):
    """Here createSecret makes the credential: it is valid before setSecret, and createSecret looks for one that is stored."""

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.current == before
        assert bench.can_login(before)
        assert bench.can_login(bench.pending)

    def test_one_rotation_costs_no_more_calls_of_the_secret_than_it_must(self, bench: Bench) -> None:
        bench.rotate()
        calls = {action: number for (action, secret), number in bench.store.calls.items() if secret == APP}
        assert calls == {"DescribeSecret": 3, "GetSecretValue": 5, "PutSecretValue": 1, "UpdateSecretVersionStage": 1}


class TestRevoked(MadeByTheProvider):
    capabilities = frozenset({Capability.OVERLAP, Capability.RETIRE})

    @pytest.fixture
    def bench(self, provider: HttpProvider) -> Iterator[Bench]:
        with mortal_bench(provider) as bench:
            yield bench

    def test_restoring_is_answered_as_unsupported(self, bench: Bench) -> None:
        old_version = bench.current_version()
        bench.rotate()
        bench.step(Step.RESTORE, old_version)  # it is valid still: there is nothing to be done
        assert bench.can_login(bench.version(old_version))
        bench.step(Step.RETIRE, old_version)
        with pytest.raises(Unsupported, match="rotate instead"):
            bench.step(Step.RESTORE, old_version)
        assert bench.can_login(bench.current)


class TestDisabled(MadeByTheProvider):
    capabilities = frozenset({Capability.OVERLAP, Capability.RETIRE, Capability.RESTORE})

    @pytest.fixture
    def bench(self, provider: HttpProvider, tmp_path: Path) -> Iterator[Bench]:
        with mortal_bench(provider, file=restorable(tmp_path)) as bench:
            yield bench
