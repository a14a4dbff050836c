"""A provider of API keys over HTTP, as SaaS vendors have them: keys are made, tried, listed, disabled and revoked by requests.

    POST   /v1/accounts/ACCOUNT/keys              make a key (JSON or form: name, scopes); its secret is shown here and never again
    GET    /v1/accounts/ACCOUNT/keys?page=1       the account's keys, without secrets
    DELETE /v1/accounts/ACCOUNT/keys/ID           revoke one
    POST   /v1/accounts/ACCOUNT/keys/ID/disable   and .../enable
    GET    /v1/whoami                             what the app does: asks as the key itself

The administrator authenticates by bearer token, basic or the header X-Admin-Token; a key by bearer token, basic (ID and secret) or
X-Api-Key.
"""

import base64
import hmac
import json
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from keyturn_lab.controlplane.certificates import Authority
from keyturn_lab.parts import Part

ADMIN = "admin"
LARGEST_BODY = 65_536  # bytes
PER_PAGE = 20
LONGEST_HANG = 120.0  # seconds

Answer = tuple[int, dict[str, object] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request instead of, or besides, its answer."""

    status: int | None = None  # answered with this; None: not answered, the connection is closed
    retry_after: str | None = None
    hang: bool = False  # never answered, the connection stays open
    done: bool = False  # the request is carried out nevertheless
    location: str | None = None


@dataclass(slots=True)
class Faults:
    """The switches of a provider; all off at first."""

    key_limit: int | None = None  # keys of one account; more are refused
    accepted_after: float = 0.0  # seconds until a new key is accepted
    refused_after: float = 0.0  # seconds until a revoked key is refused
    listed_after: float = 0.0  # seconds until a new key is in the list
    planned: deque[Fault | None] = field(default_factory=deque)  # for the next requests, one each; None: nothing happens
    dies_before: int | None = None  # the number of the request from which on connections are closed without an answer
    dies_after: int | None = None  # the same, but that one request is still carried out
    requests: int = 0

    def next(self) -> Fault | None:
        """What happens to the request that has come."""
        number, self.requests = self.requests, self.requests + 1
        if self.dies_before is not None and number >= self.dies_before:
            return Fault()
        if self.dies_after is not None and number >= self.dies_after:
            return Fault(done=number == self.dies_after)
        return self.planned.popleft() if self.planned else None


@dataclass(slots=True, kw_only=True)
class Key:
    """One key of an account."""

    id: str
    account: str
    name: str
    scopes: list[str]
    secret: str = field(repr=False)
    accepted_from: float
    listed_from: float = 0.0
    disabled: bool = False
    refused_from: float | None = None  # set when it is revoked

    def accepted(self, now: float) -> bool:
        revoked = self.refused_from is not None and now >= self.refused_from
        return not revoked and not self.disabled and now >= self.accepted_from

    def shown(self) -> dict[str, object]:
        hint = self.secret[-4:]
        return {"id": self.id, "name": self.name, "scopes": self.scopes, "last4": hint, "disabled": self.disabled}


class HttpProvider(Part):
    """`with HttpProvider() as provider`; over TLS with an authority of its own (`bundle`) unless `tls` is off."""

    host = "127.0.0.1"

    def __init__(self, *, tls: bool = True) -> None:
        super().__init__()
        self.faults = Faults()
        self.log: list[tuple[str, str, int | None]] = []  # method, path and status of every request; None: not answered
        self.bundle = Path()
        self._tls = tls
        self._admin_token = "kt-lab-admin-" + secrets.token_urlsafe(24)
        self._keys: dict[str, Key] = {}
        self._numbers = iter(range(1000, 1_000_000))
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.port = 0

    def __repr__(self) -> str:
        return f"HttpProvider({self.url})"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def admin_token(self) -> str:
        return self._admin_token

    def create_key(self, account: str, *, name: str = "made by hand", scopes: list[str] | None = None) -> Key:
        """Make a key as somebody would in the provider's console; no switch applies."""
        with self._lock:
            return self._create(account, name, scopes or ["read"], accepted_from=0.0)

    def keys(self, account: str) -> list[Key]:
        """The account's keys that are not revoked."""
        with self._lock:
            return [key for key in self._keys.values() if key.account == account and key.refused_from is None]

    def revoke(self, key_id: str) -> None:
        """Revoke a key as somebody would in the console."""
        with self._lock:
            self._keys[key_id].refused_from = time.monotonic()

    def accepts(self, secret: str) -> bool:
        """Whether a request with that key would be let in now."""
        with self._lock:
            return self._holder(secret) is not None

    def admin_secret(self, **extra: object) -> dict[str, object]:
        """The value of a secret for the administrator."""
        return {"url": self.url, "user": ADMIN, "token": self._admin_token} | extra

    def _start(self) -> None:
        folder = self._folder("http-provider")
        context: ssl.SSLContext | None = None
        if self._tls:
            authority = Authority(folder)
            self.bundle = authority.certificate
            context = authority.issue("server", common_name="provider", hosts=[self.host]).server_context()
        server = _Server((self.host, 0), _handler(self), context)
        self._cleanup.callback(server.server_close)
        self.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self._cleanup.callback(thread.join)
        self._cleanup.callback(server.shutdown)
        self._cleanup.callback(self._closing.set)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What a request is answered with."""
        parts = urlsplit(target)
        match [unquote(segment) for segment in parts.path.split("/")[1:]]:
            case ["v1", "whoami"] if method == "GET":
                return self._whoami(headers)
            case ["v1", "accounts", *rest]:
                if not self._is_admin(headers):
                    return HTTPStatus.UNAUTHORIZED, {"error": {"message": "the administrator's token is wrong"}}
                with self._lock:
                    return self._administer(method, rest, parse_qs(parts.query), headers, body)
        return HTTPStatus.NOT_FOUND, {"error": {"message": "there is no such page"}}

    def _administer(self, method: str, rest: list[str], query: dict[str, list[str]], headers: Mapping[str, str], body: bytes) -> Answer:
        match method, rest:
            case "POST", [account, "keys"]:
                return self._made(account, headers, body)
            case "GET", [account, "keys"]:
                return self._listed(account, int(query.get("page", ["1"])[0]))
            case "DELETE", [account, "keys", key_id] if self._has(account, key_id):
                self._keys[key_id].refused_from = time.monotonic() + self.faults.refused_after
                return HTTPStatus.NO_CONTENT, None
            case "POST", [account, "keys", key_id, ("disable" | "enable") as wanted] if self._has(account, key_id):
                self._keys[key_id].disabled = wanted == "disable"
                return HTTPStatus.OK, self._keys[key_id].shown()
        return HTTPStatus.NOT_FOUND, {"error": {"message": "there is no such key"}}

    def _made(self, account: str, headers: Mapping[str, str], body: bytes) -> Answer:
        given = _content(headers, body)
        if given is None or not given.get("name"):
            return HTTPStatus.BAD_REQUEST, {"error": {"message": "a name is missing"}}
        held = [key for key in self._keys.values() if key.account == account and key.refused_from is None]
        if self.faults.key_limit is not None and len(held) >= self.faults.key_limit:
            return HTTPStatus.CONFLICT, {"error": {"message": f"the limit of {self.faults.key_limit} keys is reached"}}
        scopes = given.get("scopes") or ["read"]
        key = self._create(
            account,
            str(given["name"]),
            [str(scope) for scope in scopes] if isinstance(scopes, list) else str(scopes).split(),
            accepted_from=time.monotonic() + self.faults.accepted_after,
        )
        key.listed_from = time.monotonic() + self.faults.listed_after
        return HTTPStatus.CREATED, {"key": key.shown() | {"secret": key.secret, "expires_at": "2099-01-01T00:00:00Z"}}

    def _listed(self, account: str, page: int) -> Answer:
        now = time.monotonic()
        keys = [
            key.shown() for key in self._keys.values() if key.account == account and key.refused_from is None and key.listed_from <= now
        ]
        return HTTPStatus.OK, {"keys": keys[(page - 1) * PER_PAGE : page * PER_PAGE], "total": len(keys)}

    def _whoami(self, headers: Mapping[str, str]) -> Answer:
        user, secret = _authentication(headers, "X-Api-Key")
        with self._lock:
            key = self._holder(secret)
            if key is None or user not in (None, key.id):
                return HTTPStatus.UNAUTHORIZED, {"error": {"message": "the key is not valid"}}
            return HTTPStatus.OK, {"key_id": key.id, "account": key.account, "scopes": key.scopes}

    def _is_admin(self, headers: Mapping[str, str]) -> bool:
        user, token = _authentication(headers, "X-Admin-Token")
        return user in (None, ADMIN) and hmac.compare_digest(token.encode(), self._admin_token.encode())

    def _create(self, account: str, name: str, scopes: list[str], *, accepted_from: float) -> Key:
        secret = "kt-lab-key-" + secrets.token_urlsafe(24)
        key = Key(id=f"key{next(self._numbers)}", account=account, name=name, scopes=scopes, secret=secret, accepted_from=accepted_from)
        self._keys[key.id] = key
        return key

    def _has(self, account: str, key_id: str) -> bool:
        key = self._keys.get(key_id)
        return key is not None and key.account == account and key.refused_from is None

    def _holder(self, secret: str) -> Key | None:
        now = time.monotonic()
        return next((key for key in self._keys.values() if key.secret == secret and key.accepted(now)), None)

    def hang(self) -> None:
        """Wait until the provider is closed."""
        self._closing.wait(LONGEST_HANG)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request that hangs does not hold up the end
    request_queue_size = 128  # clients that come all at once

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake is the connection's own thread's: one that stalls must not stop the others.
        if self._context is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to print."""


def _handler(provider: HttpProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST_BODY))
            fault = provider.faults.next()
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = provider.answer(self.command, self.path, headers, body) if fault is None or fault.done else None
            status = answer[0] if fault is None and answer else fault.status if fault else None
            provider.log.append((self.command, self.path, status))
            if fault is None and answer is not None:
                self._send(answer[0], answer[1], {})
            elif fault is not None:
                self._fail(fault)

        def _fail(self, fault: Fault) -> None:
            if fault.hang:
                provider.hang()
            if fault.status is None:
                self.close_connection = True
                return
            extra = {"Retry-After": fault.retry_after, "Location": fault.location}
            self._send(fault.status, {"error": {"message": "as planned"}}, {name: value for name, value in extra.items() if value})

        def _send(self, status: int, content: dict[str, object] | None, headers: Mapping[str, str]) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if content is not None:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve

        def log_message(self, format: str, *args: object) -> None:
            """`HttpProvider.log` has what is worth it."""

    return Handler


def _content(headers: Mapping[str, str], body: bytes) -> dict[str, object] | None:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _authentication(headers: Mapping[str, str], header: str) -> tuple[str | None, str]:
    """The user (None: not said) and the token or password of a request."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return None, value
    if scheme.lower() == "basic":
        with suppress(ValueError):
            user, _, password = base64.b64decode(value).decode().partition(":")
            return user, password
    return None, headers.get(header.lower(), "")
