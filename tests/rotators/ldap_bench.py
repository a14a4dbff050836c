"""A secret, its user, its groups and the least administrator on a real OpenLDAP."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rotators.bench import SUPERUSER, Bench
from tests.rotators.proxies import MortalProxy
from tests.support.docs import ROOT, blocks_of
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.openldap import ADMIN, SERVICES, OpenLdap
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
ADMIN_PASSWORD = "password-of-the-admin"


class LdapBench(Bench):
    """Names are unique, so that all tests share one server."""

    strides = (3, 3)

    def __init__(self, server: OpenLdap, life: Life, *, port: int, strategy: str, superuser: bool, policy: str | None = None) -> None:
        self.server = server
        name = f"app{uuid.uuid4().hex[:8]}"
        self.app = server.add_user(name, PASSWORD, policy=policy, description="of the shop")
        self.clone = f"uid={name}_clone,{SERVICES}"
        self.groups = server.add_groups(name, self.app)
        server.set_admin_password(ADMIN_PASSWORD)
        value = server.secret(self.app, PASSWORD, port=port) | ({"masterarn": SUPERUSER} if superuser else {})
        super().__init__(life, value, superuser=server.secret(ADMIN, ADMIN_PASSWORD, port=port) if superuser else None)
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, credential.password)


def access_rules() -> str:
    """The rules that docs/rotators/ldap.md has."""
    [rules] = [block.code for block in blocks_of(ROOT / "docs" / "rotators" / "ldap.md") if block.code.startswith("access to")]
    return rules


@contextmanager
def ldap_bench(server: OpenLdap, strategy: str, *, superuser: bool, policy: str | None = None) -> Iterator[LdapBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield LdapBench(server, life, port=proxy.port, strategy=strategy, superuser=superuser, policy=policy)
