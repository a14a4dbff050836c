"""A secret, its user and the least admin on a real Redis."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError
from tests.rotators.bench import SUPERUSER, Bench, Capability, Held
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.redis import Redis
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"
COMMON = frozenset({Capability.HOST, Capability.SUPERUSER, Capability.PASSWORD, Capability.RETIRE, Capability.RESTORE})


class Session(Held):
    """A connection of the application, not by way of the proxy."""

    def __init__(self, server: Redis, credential: Credential) -> None:
        self._client = server.connect(user=credential.username, password=credential.password)
        self._id = self._client.client_id()

    def is_alive(self) -> bool:
        try:
            return bool(self._client.client_id() == self._id)  # it may have connected again
        except (RedisError, OSError):
            return False

    def close(self) -> None:
        self._client.close()


class RedisBench(Bench):
    """Names are unique, so that all tests share one server."""

    def __init__(self, server: Redis, life: Life, proxy: MortalProxy, *, strategy: str) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server, self.app, self.admin = server, f"app_{mark}", f"admin_{mark}"
        server.create_app_user(self.app, PASSWORD)
        server.create_admin(self.admin, ADMIN_PASSWORD)
        value = server.secret(self.app, PASSWORD, masterarn=SUPERUSER, port=proxy.port)
        super().__init__(life, value, superuser=server.secret(self.admin, ADMIN_PASSWORD, port=proxy.port))
        self.environ = {"KEYTURN_STRATEGY": strategy}

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, credential.password)

    def hold(self, credential: Credential) -> Held:
        return Session(self.server, credential)


@contextmanager
def redis_bench(server: Redis, strategy: str) -> Iterator[RedisBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield RedisBench(server, life, proxy, strategy=strategy)
