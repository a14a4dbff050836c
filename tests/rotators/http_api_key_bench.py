"""Keys of the lab's HttpProvider, which plays the provider of the example `acme`."""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.rotators.bench import APP, SUPERUSER, Bench
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.http_provider import HttpProvider, Key
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.http_api_key import Overlap

EXAMPLE = Path(__file__).parents[2] / "examples" / "http-api-key" / "acme.toml"
RESTORABLE = """
[revoke]
method = "POST"
path = "/v1/accounts/{secret:account}/keys/{secret:key_id}/disable"

[restore]
method = "POST"
path = "/v1/accounts/{secret:account}/keys/{secret:key_id}/enable"
"""


def restorable(folder: Path) -> Path:
    """The example, with keys that are disabled and enabled instead of revoked."""
    file = folder / "restorable.toml"
    file.write_text(re.sub(r"\[revoke\]\n[^\n]*\n", RESTORABLE, EXAMPLE.read_text()))
    return file


def impatient(folder: Path) -> Path:
    """The example, of a provider whose changes count at once: one look is enough, however slow the machine is."""
    file = folder / "impatient.toml"
    file.write_text(re.sub(r"settles_within = \d+", "settles_within = 0", EXAMPLE.read_text()))
    return file


class HttpApiKeyBench(Bench):
    """An account of its own with one key that was made by hand; the provider may be shared."""

    credential_field = "api_key"

    def __init__(
        self,
        provider: HttpProvider,
        life: Life,
        *,
        url: str | None = None,
        file: Path = EXAMPLE,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        self.provider, self.account = provider, f"shop-{uuid.uuid4().hex[:8]}"
        self.first = provider.create_key(self.account, scopes=["read", "write"])
        value = {
            "engine": "http-api-key",
            "provider": "acme",
            "account": self.account,
            "key_id": self.first.id,
            "api_key": self.first.secret,
            "masterarn": SUPERUSER,
            "ssl": provider.url.startswith("https"),
        }
        admin = provider.admin_secret(provider="acme") | ({"url": url} if url else {})
        super().__init__(life, value | dict(fields or {}), superuser=admin)
        self.environ = {"KEYTURN_PROVIDER_FILE": str(file)}

    def can_login(self, credential: Credential) -> bool:
        return self.provider.accepts(credential.text("api_key"))

    def spoil_superuser(self) -> None:
        self.edit(SUPERUSER, token="certainly-not-this-one")

    @property
    def keys(self) -> list[Key]:
        """The account's keys at the provider."""
        return self.provider.keys(self.account)

    def engine(self) -> Overlap:
        return Overlap.from_environment(self.environ)

    def context(self, *, within: float = 60.0) -> Context:
        return Context(self.store, APP, Deadline.after(within))


@contextmanager
def mortal_bench(provider: HttpProvider, *, file: Path = EXAMPLE) -> Iterator[HttpApiKeyBench]:
    """A bench whose requests go through a proxy that dies with the process; over plain HTTP, so that what is counted are requests."""
    life = Life()
    with MortalProxy(provider.host, provider.port, life=life) as proxy:
        yield HttpApiKeyBench(provider, life, url=f"http://127.0.0.1:{proxy.port}", file=file)
