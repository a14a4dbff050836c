"""Redis through the common suite, one class per strategy. Whoever imports them defines the fixture `server`: which Redis it is."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench, Capability
from tests.rotators.redis_bench import COMMON, redis_bench
from tests.rotators.suite import EngineSuite

from keyturn_lab.backends.redis import Redis


class TestOverlap(EngineSuite):
    capabilities = COMMON | {Capability.OVERLAP, Capability.TLS}  # for all: a server without TLS keeps silent, which takes seconds

    @pytest.fixture
    def bench(self, server: Redis) -> Iterator[Bench]:
        with redis_bench(server, "Overlap") as bench:
            yield bench


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, server: Redis) -> Iterator[Bench]:
        with redis_bench(server, "SingleUser") as bench:
            yield bench


class TestAlternatingUsers(EngineSuite):
    capabilities = COMMON | {Capability.OVERLAP, Capability.SESSIONS}

    @pytest.fixture
    def bench(self, server: Redis) -> Iterator[Bench]:
        with redis_bench(server, "AlternatingUsers") as bench:
            yield bench
