"""A secret and its user on the server that speaks MongoDB's protocol."""

import uuid
from collections.abc import Iterator

from pymongo.errors import OperationFailure
from tests.rotators.bench import SUPERUSER, Bench
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.mongodb.connection import AUTHENTICATION_FAILED

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"


class MongoBench(Bench):
    """Names are unique, so that all tests share one server."""

    def __init__(self, server: MongoWire, life: Life, *, port: int, strategy: str, superuser: bool, untrusted: MongoWire | None) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server, self.app, admin = server, f"app_{mark}", f"admin_{mark}"
        server.create_user(self.app, PASSWORD)
        server.create_user(admin, ADMIN_PASSWORD)
        place: dict[str, object] = {"port": port}
        value = server.secret(self.app, PASSWORD) | place | ({"masterarn": SUPERUSER} if superuser else {})
        super().__init__(life, value, superuser=server.secret(admin, ADMIN_PASSWORD) | place if superuser else None)
        self.environ = {"KEYTURN_STRATEGY": strategy}
        self._untrusted = untrusted

    def spoil_tls(self) -> None:
        """Of a server without TLS one hears only after some seconds that it has none."""
        assert self._untrusted
        for secret in self.store.values:
            self.edit(secret, ssl=True, port=self._untrusted.port)

    @property
    def clone(self) -> str:
        return f"{self.app}_clone"

    def can_login(self, credential: Credential) -> bool:
        try:
            self.server.run("ping", 1, user=credential.username, password=credential.password)
        except OperationFailure as refused:
            if refused.code != AUTHENTICATION_FAILED:
                raise
            return False
        return True

    def user(self, name: str) -> dict[str, object]:
        """As the server keeps it."""
        [found] = self.server.run("usersInfo", {"user": name, "db": "admin"})["users"]
        return dict(found)


def made(server: MongoWire, strategy: str, *, superuser: bool, untrusted: MongoWire | None = None) -> Iterator[MongoBench]:
    """`untrusted`: a server whose certificate nobody trusts."""
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield MongoBench(server, life, port=proxy.port, strategy=strategy, superuser=superuser, untrusted=untrusted)
