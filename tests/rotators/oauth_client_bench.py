"""Clients of an OAuth server: registered at the strict one, and logging in there or at canaille."""

import base64
import json
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_plus

import pytest
from tests.rotators.bench import SUPERUSER, Bench
from tests.rotators.oauth_client_server import Client, OAuthServer
from tests.rotators.proxies import MortalProxy
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential

EXAMPLE = Path(__file__).parents[2] / "examples" / "oauth-client" / "acme-id.toml"
METADATA = {
    "client_name": "shop",
    "client_uri": "https://shop.example",
    "redirect_uris": ["https://shop.example/callback"],
    "grant_types": ["client_credentials"],
    "response_types": ["token"],
    "token_endpoint_auth_method": "client_secret_basic",
    "contacts": ["someone@shop.example"],
}


class OAuthBench(Bench):
    """A client of its own. `port` is a proxy's to the server; `token_url` the engine's way to the token endpoint, `direct_url` ours."""

    credential_field = "client_secret"

    def __init__(self, server: OAuthServer, life: Life, *, port: int, token_url: str, direct_url: str, overlap: bool = False) -> None:
        self.server, self.client, self._direct = server, server.register(**METADATA), direct_url
        server.changed(self.client)
        value: dict[str, object] = {
            "engine": "oauth-client",
            "client_id": self.client.id,
            "client_secret": self.client.secrets[-1].value,
            "token_endpoint": token_url,
            "registration_client_uri": f"http://127.0.0.1:{port}/register/{self.client.id}",
            "registration_access_token": self.client.token,
            "ssl": False,
        }
        if overlap:
            value |= {"provider": "acme-id", "key_id": self.client.secrets[-1].id, "masterarn": SUPERUSER}
        admin = {"provider": "acme-id", "url": f"http://127.0.0.1:{port}", "token": server.admin_token}
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
def canaille_bench(server: "Canaille") -> Iterator[OAuthBench]:
    """Registration at the strict server, which tells canaille; tokens at canaille."""
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy, MortalProxy("localhost", server.token_port, life=life) as tokens:
        token_url, direct_url = (f"http://localhost:{port}/oauth/token" for port in (tokens.port, server.token_port))
        yield OAuthBench(server, life, port=proxy.port, token_url=token_url, direct_url=direct_url)


class Canaille(OAuthServer):
    """The strict server's registrations, told to a canaille of its own: `with Canaille() as server`, which gives tokens at `token_port`."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._canaille = _canaille()
        self.token_port: int = self._canaille.httpd.server_address[1]

    def __enter__(self) -> Self:
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # read with every request
        httpd = self._canaille.httpd
        self._stack.callback(httpd.server_close)
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(httpd.shutdown)
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        super().__exit__(kind, error, trace)

    def changed(self, client: Client) -> None:
        backend, models = self._canaille.backend, self._canaille.models
        with self._canaille.app.app_context():
            known = backend.get(models.Client, client_id=client.id)
            if known is None:
                known = models.Client(client_id=client.id, **METADATA)
            known.client_secret = client.secrets[-1].value
            backend.save(known)


def _canaille() -> Any:
    """pytest-iam's server without its plugin, whose fixtures every test would have."""
    from canaille import create_app
    from canaille.backends import Backend
    from joserfc.jwk import JWKRegistry
    from pytest_iam import Server

    key = JWKRegistry.generate_key("RSA", 2048)
    key.ensure_kid()
    config = {
        "TESTING": True,
        "ENV_FILE": None,
        "SECRET_KEY": secrets.token_hex(),
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "LOGGING": {"version": 1, "disable_existing_loggers": False}},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
    return Server(create_app(config=config, env_file="no-such-file", env_prefix="KEYTURN_LAB_NOTHING_"), 0, Backend.instance)
