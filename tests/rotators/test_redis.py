"""Redis 6.2 through the common suite, with the least admin of docs/rotators/redis.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.redis_suites import TestAlternatingUsers, TestOverlap, TestSingleUser

from keyturn_lab.backends.redis import Redis

__all__ = ["TestAlternatingUsers", "TestOverlap", "TestSingleUser"]  # for pytest, which runs them against this module's server


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as running:
        yield running
