"""A secret, its account and the least administrator on a real OpenSSH server."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.rotators.bench import SUPERUSER, Bench, Capability
from tests.rotators.proxies import MortalProxy
from tests.support.docs import ROOT, blocks_of
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.openssh import OpenSsh, new_key
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
WRAPPER = "/usr/local/sbin/keyturn-chpasswd"
COMMON = frozenset({Capability.HOST, Capability.TLS, Capability.RETIRE, Capability.RESTORE})
OVERLAP = COMMON | {Capability.OVERLAP}
SINGLE_USER = COMMON | {Capability.SUPERUSER, Capability.PASSWORD}


class SshBench(Bench):
    """Names are unique, so that all tests share one server."""

    strides = (5, 5)  # a login alone makes some eight requests

    def spoil_tls(self) -> None:
        """The host key is what a certificate is elsewhere."""
        for secret in self.store.values:
            self.edit(secret, host_key=new_key()[1])


class KeyBench(SshBench):
    credential_field = "private_key"

    def __init__(self, server: OpenSsh, life: Life, *, port: int, options: str = "", around: tuple[str, str] = ("", "")) -> None:
        """`options`: of the line of the first key. `around`: what the file has before and after it."""
        self.server, self.app = server, f"app{uuid.uuid4().hex[:8]}"
        private, public = new_key()
        self.first_line = f"{options} {public} somebody@laptop\n".lstrip()
        server.add_account(self.app, keys=around[0] + self.first_line + around[1])
        super().__init__(life, server.secret(self.app, private_key=private, public_key=public, port=port))

    @property
    def file(self) -> str:
        return self.server.keys_file(self.app).read_text()

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, private_key=credential.text("private_key"))


class PasswordBench(SshBench):
    longest_password = 200
    strides = (7, 7)

    def __init__(self, server: OpenSsh, life: Life, *, port: int) -> None:
        mark = uuid.uuid4().hex[:8]
        self.server, self.app, self.admin = server, f"app{mark}", f"admin{mark}"
        private, public = new_key()
        server.add_account(self.app, password=PASSWORD)
        server.add_account(self.admin, keys=f"restrict {public}\n")
        wrapper, sudoers = least_administrator()
        server.write(WRAPPER, wrapper, mode=0o755)
        rule = sudoers.replace("keyturn ", f"{self.admin} ", 1).replace("keyturn-chpasswd app", f"keyturn-chpasswd {self.app}")
        server.write(f"/etc/sudoers.d/{self.admin}", rule, mode=0o440)
        value = server.secret(self.app, password=PASSWORD, masterarn=SUPERUSER, port=port)
        super().__init__(life, value, superuser=server.secret(self.admin, private_key=private, port=port))
        self.environ = {"KEYTURN_STRATEGY": "SingleUser", "KEYTURN_CHPASSWD": f"sudo -n {WRAPPER} {self.app}"}

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, password=credential.password)

    def spoil_superuser(self) -> None:
        self.edit(SUPERUSER, private_key=new_key()[0])


def least_administrator() -> tuple[str, str]:
    """The command and the line of sudoers that docs/rotators/ssh.md has."""
    found = [block.code for block in blocks_of(ROOT / "docs" / "rotators" / "ssh.md")]
    [wrapper] = [code for code in found if code.startswith("#!/bin/sh")]
    [sudoers] = [code for code in found if "NOPASSWD" in code]
    return wrapper.rstrip() + "\n", sudoers.rstrip() + "\n"


@contextmanager
def key_bench(server: OpenSsh, *, options: str = "", around: tuple[str, str] = ("", "")) -> Iterator[KeyBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield KeyBench(server, life, port=proxy.port, options=options, around=around)


@contextmanager
def password_bench(server: OpenSsh) -> Iterator[PasswordBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        yield PasswordBench(server, life, port=proxy.port)
