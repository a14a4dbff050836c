"""A secret, its user, its group and the least administrator on a real Samba domain controller."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rotators.bench import SUPERUSER, Bench
from tests.rotators.proxies import MortalProxy
from tests.support.docs import ROOT, blocks_of
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.samba import SERVICES, Samba
from keyturn_rotators.credential import Credential

PASSWORD = "First-password-of-the-app-1"
ADMIN, ADMIN_PASSWORD = "keyturn", "Password-of-the-admin-1"


class ActiveDirectoryBench(Bench):
    """Names are unique, so that all tests share one server."""

    strides = (11, 11)  # TLS has more packets

    def __init__(self, server: Samba, life: Life, *, port: int, strategy: str, superuser: bool = True) -> None:
        self.server = server
        self.app = f"app{uuid.uuid4().hex[:8]}"
        self.app_dn, self.clone_dn = server.add_user(self.app, PASSWORD), f"CN={self.app}_clone,{SERVICES}"
        self.group = server.add_group(f"group-of-{self.app}", self.app_dn)
        value = server.secret(self.app, PASSWORD, port=port) | ({"masterarn": SUPERUSER} if superuser else {})
        admin = server.secret(ADMIN, ADMIN_PASSWORD, port=port)
        super().__init__(life, value, superuser=admin if superuser else None)
        self.environ = {"KEYTURN_STRATEGY": strategy}

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, credential.password)


def add_administrator(server: Samba) -> None:
    """The one of docs/rotators/activedirectory.md, by its very commands."""
    [commands] = [block.code for block in blocks_of(ROOT / "docs" / "rotators" / "activedirectory.md") if block.language == "bash"]
    server.shell(commands, PASSWORD=ADMIN_PASSWORD)


@contextmanager
def activedirectory_bench(server: Samba, strategy: str, *, superuser: bool = True) -> Iterator[ActiveDirectoryBench]:
    life = Life()
    with MortalProxy(server.host, server.tls_port, life=life) as proxy:
        yield ActiveDirectoryBench(server, life, port=proxy.port, strategy=strategy, superuser=superuser)
