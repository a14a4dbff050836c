"""RabbitMQ through the common suite, with the least administrator of docs/rotators/rabbitmq.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import Bench, Capability
from tests.rotators.rabbitmq_bench import COMMON, rabbitmq_bench
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.rabbitmq import RabbitMq

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMq]:
    install("rabbitmq-server")
    with RabbitMq() as running:
        yield running


class TestSingleUser(EngineSuite):
    capabilities = COMMON

    @pytest.fixture
    def bench(self, server: RabbitMq) -> Iterator[Bench]:
        with rabbitmq_bench(server, "SingleUser") as bench:
            yield bench


class TestAlternatingUsers(EngineSuite):
    capabilities = COMMON | {Capability.OVERLAP, Capability.SESSIONS}

    @pytest.fixture
    def bench(self, server: RabbitMq) -> Iterator[Bench]:
        with rabbitmq_bench(server, "AlternatingUsers") as bench:
            bench.strides = (3, 3)  # each step makes some twenty requests; the users change places between the deaths
            yield bench
