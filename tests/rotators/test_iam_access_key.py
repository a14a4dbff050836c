"""Access keys of IAM users through the common suite, by moto with a strict STS in front."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP, Bench, Capability
from tests.rotators.iam_access_key_bench import iam_bench
from tests.rotators.suite import EngineSuite

from keyturn_rotators.rotation import Step


class TestOverlap(EngineSuite):
    capabilities = frozenset({Capability.OVERLAP, Capability.RETIRE, Capability.RESTORE})

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with iam_bench() as bench:
            yield bench

    def test_nothing_is_valid_or_changed_before_set(self, bench: Bench) -> None:
        before = bench.current
        bench.step(Step.CREATE, bench.store.start(APP))
        assert bench.current == before
        assert bench.can_login(before)
        assert bench.can_login(bench.pending), "IAM makes a key that is valid at once"

    def test_one_rotation_costs_no_more_calls_of_the_secret_than_it_must(self, bench: Bench) -> None:
        bench.rotate()
        calls = {action: number for (action, secret), number in bench.store.calls.items() if secret == APP}
        assert calls == {"DescribeSecret": 3, "GetSecretValue": 5, "PutSecretValue": 1, "UpdateSecretVersionStage": 1}
