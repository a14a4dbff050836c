"""A strict OAuth server: registration by RFC 7592, tokens by RFC 6749, and an API for several secrets of a client.

    GET, PUT  /register/ID          as in RFC 7592: the client's own token; an update must bring client_id, and nothing that is the server's
    POST      /token                client_credentials
    POST, GET /clients/ID/secrets   the administrator's: make a secret, list them; DELETE /clients/ID/secrets/SECRET revokes one

It stands for what no server on PyPI does: canaille's own RFC 7592 endpoint answers every request with an error (0.3.6, authlib 1.9.9).
"""

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote_plus

from keyturn_lab.http_server import CrowdServer

Answer = tuple[int, dict[str, object]]
METADATA: Mapping[str, object] = {
    "client_name": "shop",
    "client_uri": "https://shop.example",
    "redirect_uris": ["https://shop.example/callback"],
    "grant_types": ["client_credentials"],
    "response_types": ["token"],
    "token_endpoint_auth_method": "client_secret_basic",
    "contacts": ["someone@shop.example"],
}
SERVERS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
MOST_SECRETS = 5


@dataclass(slots=True, kw_only=True)
class Secret:
    id: str
    name: str
    value: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Client:
    """One client; `metadata` is what it registered."""

    id: str
    metadata: dict[str, object]
    token: str = field(repr=False)
    secrets: list[Secret] = field(repr=False)

    @property
    def values(self) -> set[str]:
        return {each.value for each in self.secrets}


class OAuthServer:
    """`with OAuthServer() as server`; its attributes are switches."""

    def __init__(self) -> None:
        self.client_chooses = False  # an update's client_secret is set; else it must be the registered one
        self.rotates = True  # an update without client_secret makes a new one
        self.renews_token = False  # every update makes a new registration access token, and the old one is dead
        self.shows_secret = True  # a registration that is read has the secret
        self.refuses: Answer | None = None  # every request is answered with this
        self.wrong_secret: Answer = (401, {"error": "invalid_client"})  # how a secret is refused
        self.clients: dict[str, Client] = {}
        self.admin_token = "kt-lab-admin-" + secrets.token_urlsafe(16)
        self.updates: list[dict[str, object]] = []
        self._http = CrowdServer(("127.0.0.1", 0), _handler(self))
        self.host, self.port = "127.0.0.1", int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def register(self, **metadata: object) -> Client:
        client = Client(id=f"client-{secrets.token_hex(4)}", metadata=metadata, token=secrets.token_urlsafe(16), secrets=[])
        client.secrets.append(self._secret("made by hand"))
        self.clients[client.id] = client
        self.changed(client)
        return client

    def changed(self, client: Client) -> None:
        """Called after a client's registered secret was made or replaced."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/token"

    def secret(self, client: Client, **fields: object) -> dict[str, object]:
        """A secret's value for a client."""
        value: dict[str, object] = {
            "engine": "oauth-client",
            "client_id": client.id,
            "client_secret": client.secrets[-1].value,
            "token_endpoint": self.token_endpoint,
            "registration_client_uri": self._registration_uri(client),
            "registration_access_token": client.token,
            "ssl": False,
        }
        return value | fields

    def admin_secret(self, **fields: object) -> dict[str, object]:
        """The value of a secret for the administrator."""
        return {"url": self.url, "token": self.admin_token} | fields

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self.refuses:
            return self.refuses
        match path.split("/")[1:]:
            case ["register", client_id]:
                return self._registration(method, self.clients.get(client_id), headers, body)
            case ["token"] if method == "POST":
                return self._token(headers, body)
            case ["clients", client_id, "secrets", *rest] if client_id in self.clients:
                if headers.get("authorization") != f"Bearer {self.admin_token}":
                    return 401, {"error": "invalid_token"}
                return self._administer(method, self.clients[client_id], rest, body)
        return 404, {"error": "not_found"}

    def _registration(self, method: str, client: Client | None, headers: Mapping[str, str], body: bytes) -> Answer:
        if client is None or headers.get("authorization") != f"Bearer {client.token}":
            return 401, {"error": "invalid_token"}
        if method == "PUT":
            content = json.loads(body)
            self.updates.append(content)
            wanted = content.pop("client_secret", None)
            wrong = any(name in content for name in SERVERS) or content.get("client_id") != client.id
            if wrong or (wanted is not None and not self.client_chooses and wanted not in client.values):
                return 400, {"error": "invalid_client_metadata"}
            self._replace(client, content, wanted)
            return 200, self._shown(client) | {"client_secret": client.secrets[-1].value}
        return 200, self._shown(client)

    def _replace(self, client: Client, content: dict[str, object], wanted: str | None) -> None:
        client.metadata = {name: value for name, value in content.items() if name != "client_id"}
        if self.renews_token:
            client.token = secrets.token_urlsafe(16)
        if wanted is not None and self.client_chooses:
            client.secrets = [Secret(id="chosen", name="", value=wanted)]
        elif wanted is None and self.rotates:
            client.secrets = [self._secret("")]
        self.changed(client)

    def _shown(self, client: Client) -> dict[str, object]:
        shown: dict[str, object] = {
            "client_id": client.id,
            "client_id_issued_at": 1,
            "client_secret_expires_at": 0,
            "registration_access_token": client.token,
            "registration_client_uri": self._registration_uri(client),
        }
        return client.metadata | shown | ({"client_secret": client.secrets[-1].value} if self.shows_secret else {})

    def _token(self, headers: Mapping[str, str], body: bytes) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        user, secret = form.get("client_id", ""), form.get("client_secret", "")
        with suppress(binascii.Error, UnicodeDecodeError):
            basic = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
            if basic:
                user, secret = (unquote_plus(part) for part in basic.split(":", 1))
        client = self.clients.get(user)
        if client is None or secret not in client.values:
            return self.wrong_secret
        if form.get("scope") == "forbidden":
            return 400, {"error": "invalid_scope"}
        return 200, {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer"}

    def _administer(self, method: str, client: Client, rest: list[str], body: bytes) -> Answer:
        match method, rest:
            case "POST", []:
                if len(client.secrets) >= MOST_SECRETS:
                    return 409, {"error": "too many secrets"}
                client.secrets.append(self._secret(json.loads(body)["name"]))
                return 201, {"id": client.secrets[-1].id, "client_secret": client.secrets[-1].value}
            case "GET", []:
                return 200, {"secrets": [{"id": each.id, "name": each.name} for each in client.secrets]}
            case "DELETE", [secret_id]:
                client.secrets = [each for each in client.secrets if each.id != secret_id]
                return 200, {}
        return 404, {"error": "not_found"}

    def _registration_uri(self, client: Client) -> str:
        return f"{self.url}/register/{client.id}"

    def _secret(self, name: str) -> Secret:
        return Secret(id=secrets.token_hex(4), name=name, value="kt-lab-secret-" + secrets.token_urlsafe(16))


def _handler(server: OAuthServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content = server.answer(self.command, self.path, headers, body)
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler
