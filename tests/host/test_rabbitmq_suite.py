"""RabbitMQ through the common suite, with the least administrator of docs/rotators/rabbitmq.md."""

from collections.abc import Iterator

import pytest
from tests.rotators.bench import BY_SUPERUSER, IN_TURN, Bench
from tests.rotators.rabbitmq_bench import rabbitmq_bench
from tests.rotators.suite import EngineSuite
from tests.support.debian import install

from keyturn_lab.backends.rabbitmq import RabbitMq

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMq]:
    install("rabbitmq-server")
    with RabbitMq() as running:
        yield running


class OnRabbitMq(EngineSuite, complete=False):
    strides = (1, 1)

    @pytest.fixture
    def bench(self, server: RabbitMq) -> Iterator[Bench]:
        with rabbitmq_bench(server, self.strategy) as bench:
            bench.strides = self.strides
            yield bench


class TestSingleUser(OnRabbitMq):
    capabilities, strategy = BY_SUPERUSER, "SingleUser"


class TestAlternatingUsers(OnRabbitMq):
    capabilities, strategy = IN_TURN, "AlternatingUsers"
    strides = (3, 3)  # each step makes some twenty requests; the users change places between the deaths
