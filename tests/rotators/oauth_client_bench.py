"""Clients of an OAuth server: registered at the strict one, and logging in there or at canaille."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote_plus

from tests.rotators.bench import SUPERUSER, Bench
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.canaille import Canaille
from keyturn_lab.backends.oauth_server import METADATA, OAuthServer
from keyturn_rotators.credential import Credential

EXAMPLE = Path(__file__).parents[2] / "examples" / "oauth-client" / "acme-id.toml"


class OAuthBench(Bench):
    """A client of its own. `port` is a proxy's to the server; `token_url` the engine's way to the token endpoint, `direct_url` ours."""

    credential_field = "client_secret"

    def __init__(self, server: OAuthServer, life: Life, *, port: int, token_url: str, direct_url: str, overlap: bool = False) -> None:
        self.server, self.client, self._direct = server, server.register(**METADATA), direct_url
        value = server.secret(
            self.client, token_endpoint=token_url, registration_client_uri=f"http://127.0.0.1:{port}/register/{self.client.id}"
        )
        if overlap:
            value |= {"provider": "acme-id", "key_id": self.client.secrets[-1].id, "masterarn": SUPERUSER}
        admin = server.admin_secret(provider="acme-id", url=f"http://127.0.0.1:{port}")
        super().__init__(life, value, superuser=admin if overlap else None)
        self.environ = {"KEYTURN_STRATEGY": "Overlap", "KEYTURN_PROVIDER_FILE": str(EXAMPLE)} if overlap else {}

    def can_login(self, credential: Credential) -> bool:
        pair = ":".join(quote_plus(credential.text(name)) for name in ("client_id", "client_secret"))
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        request = urllib.request.Request(self._direct, data=b"grant_type=client_credentials", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return "access_token" in json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code != 401:
                    raise
            return False

    def spoil_superuser(self) -> None:
        self.edit(SUPERUSER, token="certainly-not-this-one")


@contextmanager
def oauth_bench(server: OAuthServer, *, overlap: bool = False) -> Iterator[OAuthBench]:
    """Registration and tokens at the strict server, through a proxy that dies with the process."""
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        token_url, direct_url = (f"http://127.0.0.1:{port}/token" for port in (proxy.port, server.port))
        yield OAuthBench(server, life, port=proxy.port, token_url=token_url, direct_url=direct_url, overlap=overlap)


@contextmanager
def canaille_bench(server: Canaille) -> Iterator[OAuthBench]:
    """Registration at the strict server, which tells canaille; tokens at canaille."""
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy, MortalProxy(server.host, server.token_port, life=life) as tokens:
        token_url, direct_url = (f"http://127.0.0.1:{port}/oauth/token" for port in (tokens.port, server.token_port))
        yield OAuthBench(server, life, port=proxy.port, token_url=token_url, direct_url=direct_url)
