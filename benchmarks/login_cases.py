"""What is rotated while pods log in: for each engine and strategy a real server, a user on it, and who may change that user."""

from __future__ import annotations

import multiprocessing
import re
import secrets
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from keyturn_lab.backends import openldap
from keyturn_lab.backends.canaille import Canaille
from keyturn_lab.backends.http_provider import HttpProvider
from keyturn_lab.backends.mariadb import MariaDb
from keyturn_lab.backends.mongo_wire import MongoWire
from keyturn_lab.backends.oauth_server import METADATA, OAuthServer
from keyturn_lab.backends.openssh import OpenSsh, new_key
from keyturn_lab.backends.postgres import Postgres
from keyturn_lab.backends.rabbitmq import RabbitMq
from keyturn_lab.backends.redis import Redis
from keyturn_lab.backends.samba import Samba
from keyturn_lab.controlplane.certificates import Authority
from keyturn_rotators.drivers import Target
from keyturn_rotators.package import build

USER, ADMIN = "orders", "rotation_admin"
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SINGLE_USER, ALTERNATING_USERS, OVERLAP = "SingleUser", "AlternatingUsers", "Overlap"
# With one user, these have it changed by a superuser all the same: some have no other way, the others are measured as most have them.
ALWAYS_BY_SUPERUSER = frozenset({"activedirectory", "rabbitmq", "redis", "ssh"})


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a secret and its superuser's begin with."""

    secret: Mapping[str, object] = field(repr=False)
    superuser: Mapping[str, object] | None = field(default=None, repr=False)  # None: nobody else has a part in it
    environment: Mapping[str, str] = field(default_factory=dict)  # of the rotation function


Backend = Callable[[], AbstractContextManager[Given]]
Fields = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One engine with one strategy."""

    engine: str
    strategy: str
    rotator: str  # the zip
    client: str  # the module of keyturn_lab.apps
    backend: Backend
    fields: Fields = field(default_factory=dict)  # the secret's own names of what the pods log in with, by the usual ones
    declaration: Path | None = None  # of the provider's requests

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
        """Whether a superuser changes the user."""
        return self.strategy != SINGLE_USER or self.engine in ALWAYS_BY_SUPERUSER

    @property
    def environment(self) -> dict[str, str]:
        """Of the rotation function. Providers keep a few keys only, and nobody else revokes old ones here."""
        strategy = {"KEYTURN_STRATEGY": self.strategy}
        if self.declaration is None:
            return strategy
        return strategy | {"KEYTURN_PROVIDER_FILE": self.declaration.name, "KEYTURN_REVOKE_SUPERSEDED": "true"}

    def zip(self, path: Path) -> None:
        """Write what is shipped, with the provider's declaration where there is one."""
        path.write_bytes(build(self.rotator, target=Target.here()))
        if self.declaration:
            # The lab's servers know a key at once: one look is enough.
            declared = re.sub(r"settles_within = \d+", "settles_within = 0", self.declaration.read_text())
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(self.declaration.name, declared)


def _password() -> str:
    return f"Aa1-{secrets.token_urlsafe(18)}"  # a domain wants several classes


def documented(page: str, begin: str) -> str:
    """The block of a rotator's page that begins like that."""
    text = (ROOT / "docs" / "rotators" / f"{page}.md").read_text()
    found = re.search(rf"^```\w+\n({re.escape(begin)}.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page}.md has nothing that begins with {begin}"
    return found[1]


def _users(
    user: Callable[[str, str], None],
    admin: Callable[[str, str], None],
    secret: Callable[..., dict[str, object]],
    **admins: object,
) -> Given:
    """Make both by a server's functions. `admins`: fields of the superuser's secret alone."""
    passwords = {name: _password() for name in (USER, ADMIN)}
    user(USER, passwords[USER])
    admin(ADMIN, passwords[ADMIN])
    return Given(secret=secret(USER, passwords[USER]), superuser=secret(ADMIN, passwords[ADMIN], **admins))


@contextmanager
def _postgres() -> Iterator[Given]:
    with Postgres() as server:
        yield _users(server.create_app_user, partial(server.create_admin, rotates=(USER,)), server.secret)


@contextmanager
def _mariadb() -> Iterator[Given]:
    with MariaDb() as server:
        yield _users(server.create_app_user, partial(server.create_admin, databases=("app",)), server.secret)


@contextmanager
def _mongodb() -> Iterator[Given]:
    """FerretDB has no roles: the admin is a user like the other."""
    with MongoWire() as server:
        yield _users(server.create_user, server.create_user, server.secret)


@contextmanager
def _rabbitmq() -> Iterator[Given]:
    with RabbitMq() as server:
        yield _users(server.create_app_user, server.create_admin, server.secret, port=server.api_port)


@contextmanager
def _redis() -> Iterator[Given]:
    with Redis() as server:
        yield _users(server.create_app_user, server.create_admin, server.secret)


@contextmanager
def _http_api_key() -> Iterator[Given]:
    with HttpProvider(tls=False) as provider:
        key = provider.create_key(USER)
        place = {"engine": "http-api-key", "provider": "acme", "account": USER, "ssl": False, "host": provider.host, "port": provider.port}
        yield Given(secret=place | {"key_id": key.id, "api_key": key.secret}, superuser=provider.admin_secret(provider="acme"))


@contextmanager
def _oauth_registration() -> Iterator[Given]:
    """The client replaces its own secret at the strict server; tokens are canaille's."""
    with Canaille() as server:
        yield Given(secret=server.secret(server.register(**METADATA)))


@contextmanager
def _oauth_secrets() -> Iterator[Given]:
    """The strict server alone: canaille has one secret for a client."""
    with OAuthServer() as server:
        client = server.register(**METADATA)
        secret = server.secret(client, provider="acme-id", key_id=client.secrets[-1].id)
        yield Given(secret=secret, superuser=server.admin_secret(provider="acme-id"))


@contextmanager
def _ldap() -> Iterator[Given]:
    password, admin = _password(), _password()
    with tempfile.TemporaryDirectory(prefix="keyturn-logins-") as directory:
        tls = Authority(Path(directory)).issue("server", common_name="slapd", hosts=[openldap.OpenLdap.host])
        with openldap.OpenLdap(tls=tls, access=documented("ldap", "access to ")) as server:
            user = server.add_user(USER, password)
            server.set_admin_password(admin)
            yield Given(secret=server.secret(user, password), superuser=server.secret(openldap.ADMIN, admin))


@contextmanager
def _activedirectory() -> Iterator[Given]:
    """The administrator is the page's, by its very commands; the user is in a group, so that there is something to carry over."""
    password, admin = _password(), _password()
    with tempfile.TemporaryDirectory(prefix="keyturn-logins-") as directory:
        authority = Authority(Path(directory))
        tls = authority.issue("server", common_name="dc1", hosts=[Samba.host])
        with Samba(tls=tls, authority=authority.certificate) as server:
            server.add_group("readers", server.add_user(USER, password))
            server.shell(documented("activedirectory", "samba-tool user create"), PASSWORD=admin)
            yield Given(
                secret=server.secret(USER, password),
                superuser=server.secret("keyturn", admin),
                environment={"KEYTURN_CA_BUNDLE": str(authority.certificate)},
            )


@contextmanager
def _ssh_keys() -> Iterator[Given]:
    private, public = new_key()
    with OpenSsh() as server:
        server.add_account(USER, keys=f"{public}\n")
        yield Given(secret=server.secret(USER, private_key=private, public_key=public))


@contextmanager
def _ssh_password() -> Iterator[Given]:
    """The administrator is the page's, with its key and its command for the one account."""
    command = "keyturn-chpasswd"
    password, (private, public) = _password(), new_key()
    with OpenSsh() as server:
        server.add_account(USER, password=password)
        server.add_account("keyturn", keys=f"restrict {public}\n")
        server.write(f"/usr/local/sbin/{command}", documented("ssh", "#!/bin/sh"), mode=0o755)
        sudoers = documented("ssh", "keyturn ALL=").replace(f"{command} app", f"{command} {USER}")
        server.write("/etc/sudoers.d/keyturn", sudoers, mode=0o440)
        yield Given(
            secret=server.secret(USER, password=password),
            superuser=server.secret("keyturn", private_key=private),
            environment={"KEYTURN_CHPASSWD": f"sudo -n /usr/local/sbin/{command} {USER}"},
        )


@contextmanager
def _apart(backend: Backend) -> Iterator[Given]:
    """For a server that is Python's: in a process of its own, so that it does not keep the benchmark's from counting."""
    start = multiprocessing.get_context("spawn")
    ours, theirs = start.Pipe()
    process = start.Process(target=_run, args=(backend, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _run(backend: Backend, pipe: Connection) -> None:
    """Until the other end is closed."""
    with backend() as given, suppress(EOFError):
        pipe.send(given)
        pipe.recv()


def _cases(engine: str, *strategies: str, rotator: str = "", client: str, backend: Backend, fields: Fields | None = None) -> list[Case]:
    """One for each strategy."""
    return [
        Case(engine=engine, strategy=strategy, rotator=rotator or engine, client=client, backend=backend, fields=fields or {})
        for strategy in strategies
    ]


CASES = (
    *_cases("postgres", ALTERNATING_USERS, SINGLE_USER, backend=_postgres, client="postgres_client"),
    *_cases("mariadb", ALTERNATING_USERS, SINGLE_USER, backend=_mariadb, client="mysql_client", rotator="mysql"),
    Case(
        engine="http-api-key",
        strategy=OVERLAP,
        rotator="http_api_key",
        client="http_client",
        backend=partial(_apart, _http_api_key),
        fields={"username": "key_id", "password": "api_key"},
        declaration=EXAMPLES / "http-api-key" / "acme.toml",
    ),
    *(
        Case(
            engine="oauth-client",
            strategy=strategy,
            rotator="oauth_client",
            client="oauth_client",
            backend=partial(_apart, backend),
            fields={"host": "token_endpoint", "username": "client_id", "password": "client_secret"},
            declaration=declaration,
        )
        for strategy, backend, declaration in (
            (OVERLAP, _oauth_secrets, EXAMPLES / "oauth-client" / "acme-id.toml"),
            (SINGLE_USER, _oauth_registration, None),
        )
    ),
    *_cases("redis", OVERLAP, ALTERNATING_USERS, SINGLE_USER, backend=_redis, client="redis_client"),
    *_cases("mongodb", ALTERNATING_USERS, SINGLE_USER, backend=_mongodb, client="mongo_client"),
    *_cases("rabbitmq", ALTERNATING_USERS, SINGLE_USER, backend=_rabbitmq, client="rabbitmq_client"),
    *_cases("ldap", ALTERNATING_USERS, SINGLE_USER, backend=_ldap, client="ldap_client"),
    *_cases(
        "activedirectory",
        ALTERNATING_USERS,
        SINGLE_USER,
        backend=_activedirectory,
        client="activedirectory_client",
        fields={"dbname": "domain"},
    ),
    Case(engine="ssh", strategy=OVERLAP, rotator="ssh", client="ssh_client", backend=_ssh_keys, fields={"password": "private_key"}),
    *_cases("ssh", SINGLE_USER, backend=_ssh_password, client="ssh_client"),
)
