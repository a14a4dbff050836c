"""A secret, its user and the least administrator on a real RabbitMQ."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rotators.bench import SUPERUSER, Bench, Held
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.amqp_client import AmqpConnection
from keyturn_lab.backends.rabbitmq import RabbitMq
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"


class Session(Held):
    """A connection of the application, not by way of the proxy."""

    def __init__(self, connection: AmqpConnection) -> None:
        self._connection = connection

    def is_alive(self) -> bool:
        return self._connection.is_alive()

    def close(self) -> None:
        self._connection.close()


class RabbitMqBench(Bench):
    """Names are unique, so that all tests share one server."""

    def __init__(self, server: RabbitMq, life: Life, *, port: int, api_port: int, strategy: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server, self.app, self.admin = server, f"app_{mark}", f"admin_{mark}"
        server.create_app_user(self.app, PASSWORD)
        server.create_admin(self.admin, ADMIN_PASSWORD)
        value = server.secret(self.app, PASSWORD, masterarn=SUPERUSER, port=port)
        super().__init__(life, value, superuser=server.secret(self.admin, ADMIN_PASSWORD, port=api_port))
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, credential.password)

    def hold(self, credential: Credential) -> Held:
        return Session(self.server.connect(credential.username, credential.password))


@contextmanager
def rabbitmq_bench(server: RabbitMq, strategy: str) -> Iterator[RabbitMqBench]:
    life = Life()
    with (
        MortalProxy(server.host, server.port, life=life) as amqp,
        MortalProxy(server.host, server.api_port, life=life) as api,
    ):
        yield RabbitMqBench(server, life, port=amqp.port, api_port=api.port, strategy=strategy)
