"""Redis through the common suite, one class per strategy. Whoever imports them defines the fixture `server`: which Redis it is."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench, Capability
from tests.rotators.redis_bench import COMMON, redis_bench
from tests.rotators.suite import EngineSuite

from keyturn_lab.backends.redis import Redis


class OnRedis(EngineSuite, complete=False):
    @pytest.fixture
    def bench(self, server: Redis) -> Iterator[Bench]:
        with redis_bench(server, self.strategy) as bench:
            yield bench


class TestOverlap(OnRedis):
    capabilities = COMMON | {Capability.OVERLAP, Capability.TLS}  # for all: a server without TLS keeps silent, which takes seconds
    strategy = "Overlap"


class TestSingleUser(OnRedis):
    capabilities, strategy = COMMON, "SingleUser"


class TestAlternatingUsers(OnRedis):
    capabilities, strategy = COMMON | {Capability.OVERLAP, Capability.SESSIONS}, "AlternatingUsers"
