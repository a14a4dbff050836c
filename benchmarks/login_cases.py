"""What is rotated while pods log in: for each engine and strategy a real server, a user on it, and who may change that user."""

from __future__ import annotations

import re
import secrets
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from keyturn_lab.backends import openldap
from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_lab.backends.mariadb import MariaDb
from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_lab.backends.openssh import OpenSsh, new_key
from keyturn_lab.backends.postgres import Postgres
from keyturn_lab.backends.rabbitmq import RabbitMq
from keyturn_lab.backends.redis import Redis
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.drivers import Target
from keyturn_rotators.package import build

USER, ADMIN = "orders", "rotation_admin"
DECLARATION = Path(__file__).parents[1] / "examples" / "http-api-key" / "acme.toml"
DIRECTORY_PAGE = Path(__file__).parents[1] / "docs" / "rotators" / "ldap.md"
SINGLE_USER, ALTERNATING_USERS, OVERLAP = "SingleUser", "AlternatingUsers", "Overlap"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a secret and its superuser's begin with."""

    secret: Mapping[str, object] = field(repr=False)
    superuser: Mapping[str, object] | None = field(default=None, repr=False)  # None: nobody else has a part in it


@dataclass(frozen=True, kw_only=True)
class Case:
    """One engine with one strategy."""

    engine: str
    strategy: str
    rotator: str  # the zip
    client: str  # the module of keyturn_lab.apps
    backend: Callable[[], AbstractContextManager[Given]]
    user: str = "username"  # the secret's field of what the pods log in as, and with
    password: str = "password"

    @property
    def name(self) -> str:
        """As a namespace and as a function are called."""
        return f"{self.engine}-{self.strategy.lower()}"

    @property
    def promises_zero(self) -> bool:
        """Whether no login may fail."""
        return self.strategy != SINGLE_USER

    @property
    def by_superuser(self) -> bool:
        """Whether a superuser changes the user. Where there is one user, some engines let it change its own password."""
        return self.strategy != SINGLE_USER or self.engine in {"redis", "rabbitmq"}

    @property
    def environment(self) -> dict[str, str]:
        """Of the rotation function."""
        return {"KEYTURN_STRATEGY": self.strategy} | ({"KEYTURN_PROVIDER_FILE": DECLARATION.name} if self.rotator == "http_api_key" else {})

    def zip(self, path: Path) -> None:
        """Write what is shipped, with the provider's declaration where there is one."""
        path.write_bytes(build(self.rotator, target=Target.here()))
        if self.rotator == "http_api_key":
            # The lab's provider knows a key at once: one look is enough.
            declaration = re.sub(r"settles_within = \d+", "settles_within = 0", DECLARATION.read_text())
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(DECLARATION.name, declaration)


def _password() -> str:
    return secrets.token_urlsafe(18)


@contextmanager
def _postgres() -> Iterator[Given]:
    password, admin = _password(), _password()
    with Postgres() as server:
        server.create_app_user(USER, password)
        server.create_admin(ADMIN, admin, rotates=(USER,))
        yield Given(secret=server.secret(USER, password), superuser=server.secret(ADMIN, admin))


@contextmanager
def _mariadb() -> Iterator[Given]:
    password, admin = _password(), _password()
    with MariaDb() as server:
        server.create_app_user(USER, password)
        server.create_admin(ADMIN, admin, databases=("app",))
        yield Given(secret=server.secret(USER, password), superuser=server.secret(ADMIN, admin))


@contextmanager
def _mongodb() -> Iterator[Given]:
    """FerretDB has no roles: the admin is a user like the other."""
    password, admin = _password(), _password()
    with MongoWire() as server:
        server.create_user(USER, password)
        server.create_user(ADMIN, admin)
        yield Given(secret=server.secret(USER, password), superuser=server.secret(ADMIN, admin))


@contextmanager
def _rabbitmq() -> Iterator[Given]:
    password, admin = _password(), _password()
    with RabbitMq() as server:
        server.create_app_user(USER, password)
        server.create_admin(ADMIN, admin)
        yield Given(secret=server.secret(USER, password), superuser=server.secret(ADMIN, admin, port=server.api_port))


@contextmanager
def _redis() -> Iterator[Given]:
    password, admin = _password(), _password()
    with Redis() as server:
        server.create_app_user(USER, password)
        server.create_admin(ADMIN, admin)
        yield Given(secret=server.secret(USER, password), superuser=server.secret(ADMIN, admin))


@contextmanager
def _http_api_key() -> Iterator[Given]:
    with HttpProvider(tls=False) as provider:
        key = provider.create_key(USER)
        place = {"engine": "http-api-key", "provider": "acme", "account": USER, "ssl": False, "host": provider.host, "port": provider.port}
        yield Given(secret=place | {"key_id": key.id, "api_key": key.secret}, superuser=provider.admin_secret(provider="acme"))


@contextmanager
def _ldap() -> Iterator[Given]:
    password, admin = _password(), _password()
    found = re.search(r"```text\n(access to .*?)```", DIRECTORY_PAGE.read_text(), re.DOTALL)
    assert found, f"{DIRECTORY_PAGE.name} has no rules for the administrator"
    with tempfile.TemporaryDirectory(prefix="keyturn-logins-") as directory:
        tls = Authority(Path(directory)).issue("server", common_name="slapd", hosts=[openldap.OpenLdap.host])
        with openldap.OpenLdap(tls=tls, access=found[1]) as server:
            user = server.add_user(USER, password)
            server.set_admin_password(admin)
            yield Given(secret=server.secret(user, password), superuser=server.secret(openldap.ADMIN, admin))


@contextmanager
def _ssh() -> Iterator[Given]:
    private, public = new_key()
    with OpenSsh() as server:
        server.add_account(USER, keys=f"{public}\n")
        yield Given(secret=server.secret(USER, private_key=private, public_key=public))


CASES = (
    Case(engine="postgres", strategy=ALTERNATING_USERS, rotator="postgres", client="postgres_client", backend=_postgres),
    Case(engine="postgres", strategy=SINGLE_USER, rotator="postgres", client="postgres_client", backend=_postgres),
    Case(engine="mariadb", strategy=ALTERNATING_USERS, rotator="mysql", client="mysql_client", backend=_mariadb),
    Case(engine="mariadb", strategy=SINGLE_USER, rotator="mysql", client="mysql_client", backend=_mariadb),
    Case(
        engine="http-api-key",
        strategy=OVERLAP,
        rotator="http_api_key",
        client="http_client",
        backend=_http_api_key,
        user="key_id",
        password="api_key",
    ),
    Case(engine="redis", strategy=OVERLAP, rotator="redis", client="redis_client", backend=_redis),
    Case(engine="redis", strategy=ALTERNATING_USERS, rotator="redis", client="redis_client", backend=_redis),
    Case(engine="redis", strategy=SINGLE_USER, rotator="redis", client="redis_client", backend=_redis),
    Case(engine="mongodb", strategy=ALTERNATING_USERS, rotator="mongodb", client="mongo_client", backend=_mongodb),
    Case(engine="mongodb", strategy=SINGLE_USER, rotator="mongodb", client="mongo_client", backend=_mongodb),
    Case(engine="rabbitmq", strategy=ALTERNATING_USERS, rotator="rabbitmq", client="rabbitmq_client", backend=_rabbitmq),
    Case(engine="rabbitmq", strategy=SINGLE_USER, rotator="rabbitmq", client="rabbitmq_client", backend=_rabbitmq),
    Case(engine="ldap", strategy=ALTERNATING_USERS, rotator="ldap", client="ldap_client", backend=_ldap),
    Case(engine="ldap", strategy=SINGLE_USER, rotator="ldap", client="ldap_client", backend=_ldap),
    Case(engine="ssh", strategy=OVERLAP, rotator="ssh", client="ssh_client", backend=_ssh, password="private_key"),
)
