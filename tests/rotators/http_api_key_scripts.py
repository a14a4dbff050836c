"""Servers that answer as the documentation of the known providers shows, and know no more of them than that.

Each request must be one that the documentation has, with its credentials in their place; anything else is answered with 418, which no
declaration expects.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

TEAPOT = 418
Fields = dict[str, Any]
Reply = tuple[int, Any]


@dataclass(slots=True)
class Made:
    """A key as a provider keeps it."""

    id: str
    name: str
    value: str
    extra: Fields = field(default_factory=dict)


@dataclass(slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def is_for(self, method: str, pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, self.path) if method == self.method else None

    def basic(self) -> tuple[str, str]:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        user, _, password = base64.b64decode(value).decode().partition(":") if scheme == "Basic" else ("", "", "")
        return user, password

    def bearer(self) -> str:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value if scheme == "Bearer" else ""


@dataclass(slots=True)
class Script:
    """One provider as it is documented: `answer` is what makes it that one."""

    answer: "Callable[[Script, Asked], Reply | None]"
    admin: Fields  # fields of the administrator's secret
    secret: Fields  # fields of the app's secret, besides the key
    first: Made
    keys: dict[str, Made] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys[self.first.id] = self.first

    def make(self, name: str, key_id: str, value: str, **extra: Any) -> Made:
        made = self.keys[key_id] = Made(key_id, name, value, extra)
        return made

    def holder(self, value: str) -> Made | None:
        return next((key for key in self.keys.values() if key.value == value), None)

    def revoke(self, key_id: str) -> bool:
        return self.keys.pop(key_id, None) is not None


def datadog(script: Script, asked: Asked) -> Reply | None:
    """https://docs.datadoghq.com/api/latest/key-management/ and .../authentication/"""
    own = asked.headers.get("dd-api-key")
    if asked.is_for("GET", "/api/v1/validate"):
        return (200, {"valid": True}) if script.holder(own or "") else (403, {"errors": ["Forbidden"]})
    if own != script.admin["api_key"] or asked.headers.get("dd-application-key") != script.admin["application_key"]:
        return 403, {"errors": ["Forbidden"]}
    if asked.is_for("POST", "/api/v2/api_keys") and asked.body["data"]["type"] == "api_keys":
        number, attributes = len(script.asked), asked.body["data"]["attributes"]
        granted = {name: attributes[name] for name in attributes if name != "name"}
        made = script.make(attributes["name"], f"00000000-0000-4000-8000-{number:012d}", f"{number:032x}", **granted)
        return 201, {"data": {"attributes": _datadog(made) | {"key": made.value}, "id": made.id, "type": "api_keys"}}
    if asked.is_for("GET", "/api/v2/api_keys"):
        start = int(asked.query["page[number]"]) * int(asked.query["page[size]"])
        keys = list(script.keys.values())[start : start + int(asked.query["page[size]"])]
        return 200, {"data": [{"attributes": _datadog(key), "id": key.id, "type": "api_keys"} for key in keys]}
    if found := asked.is_for("DELETE", "/api/v2/api_keys/([^/]+)"):
        return (204, None) if script.revoke(found[1]) else (404, {"errors": ["Not Found"]})
    return None


def _datadog(key: Made) -> Fields:
    return {"name": key.name, "last4": key.value[-4:], "created_at": "2026-01-01T00:00:00+00:00"} | key.extra


def sendgrid(script: Script, asked: Asked) -> Reply | None:
    """https://www.twilio.com/docs/sendgrid/api-reference/api-keys and .../api-key-permissions"""
    refused = 401, {"errors": [{"field": None, "message": "The provided authorization grant is invalid, expired, or revoked"}]}
    if asked.is_for("GET", "/v3/scopes"):
        key = script.holder(asked.bearer())
        return (200, {"scopes": key.extra["scopes"]}) if key else refused
    if asked.bearer() != script.admin["api_key"]:
        return refused
    if asked.is_for("POST", "/v3/api_keys"):
        key_id = f"id{len(script.asked):020d}"
        made = script.make(asked.body["name"], key_id, f"SG.{key_id}.{'y' * 43}", scopes=asked.body["scopes"])
        return 201, {"api_key": made.value, "api_key_id": made.id, "name": made.name, "scopes": made.extra["scopes"]}
    if asked.is_for("GET", "/v3/api_keys"):
        return 200, {"result": [{"name": key.name, "api_key_id": key.id} for key in script.keys.values()]}
    if found := asked.is_for("DELETE", "/v3/api_keys/([^/]+)"):
        return (204, None) if script.revoke(found[1]) else (404, {"errors": [{"field": None, "message": "unable to find API Key"}]})
    return None


def gitlab(script: Script, asked: Asked) -> Reply | None:
    """https://docs.gitlab.com/api/project_access_tokens/ and .../personal_access_tokens/"""
    token = asked.headers.get("private-token", "")
    if asked.is_for("GET", "/api/v4/personal_access_tokens/self"):
        key = script.holder(token)
        return (200, _gitlab(key)) if key else (401, {"message": "401 Unauthorized"})
    if token != script.admin["token"]:
        return 401, {"message": "401 Unauthorized"}
    if asked.is_for("POST", "/api/v4/projects/17/access_tokens"):
        granted = {"scopes": asked.body["scopes"], "access_level": asked.body["access_level"]}
        made = script.make(asked.body["name"], str(100 + len(script.asked)), f"D4y-{len(script.asked)}-Wzr", **granted)
        return 201, _gitlab(made) | {"token": made.value}
    if asked.is_for("GET", "/api/v4/projects/17/access_tokens") and asked.query["state"] == "active":
        start = (int(asked.query["page"]) - 1) * int(asked.query["per_page"])
        return 200, [_gitlab(key) for key in list(script.keys.values())[start : start + int(asked.query["per_page"])]]
    if found := asked.is_for("DELETE", "/api/v4/projects/17/access_tokens/([0-9]+)"):
        return (204, None) if script.revoke(found[1]) else (404, {"message": "404 Not Found"})
    return None


def _gitlab(key: Made) -> Fields:
    always = {"active": True, "revoked": False, "user_id": 166, "expires_at": "2027-01-31", "created_at": "2026-01-21T19:35:37.921Z"}
    return always | key.extra | {"id": int(key.id), "name": key.name}


def grafana(script: Script, asked: Asked) -> Reply | None:
    """https://grafana.com/docs/grafana/latest/developers/http_api/serviceaccount/ and .../other/"""
    if asked.is_for("GET", "/api/login/ping"):
        return (200, {"message": "Logged in"}) if script.holder(asked.bearer()) else (401, {"message": "Unauthorized"})
    if asked.bearer() != script.admin["token"]:
        return 401, {"message": "Invalid API key"}
    if asked.is_for("POST", "/api/serviceaccounts/2/tokens"):
        made = script.make(asked.body["name"], str(len(script.asked) + 10), f"glsa_{len(script.asked)}")
        return 200, {"id": int(made.id), "name": made.name, "key": made.value}
    if asked.is_for("GET", "/api/serviceaccounts/2/tokens"):
        return 200, [{"id": int(key.id), "name": key.name, "role": "Viewer", "hasExpired": False} for key in script.keys.values()]
    if found := asked.is_for("DELETE", "/api/serviceaccounts/2/tokens/([0-9]+)"):
        return (200, {"message": "API key deleted"}) if script.revoke(found[1]) else (404, {"message": "API key not found"})
    return None


def cloudflare(script: Script, asked: Asked) -> Reply | None:
    """https://developers.cloudflare.com/api/resources/accounts/subresources/tokens/"""
    base = "/client/v4/accounts/023e105f4ecef8ad9ca31a8372d0c353/tokens"

    def said(result: Any, status: int = 200) -> Reply:
        return status, {"errors": [], "messages": [], "success": status == 200, "result": result}

    if asked.is_for("GET", f"{base}/verify"):
        key = script.holder(asked.bearer())
        return said({"id": key.id, "status": "active"}) if key else (401, {"success": False, "errors": [{"message": "Invalid API Token"}]})
    if asked.bearer() != script.admin["token"]:
        return 403, {"success": False, "errors": [{"message": "Unauthorized"}]}
    if asked.is_for("POST", base):
        granted = {name: asked.body[name] for name in asked.body if name != "name"}
        made = script.make(asked.body["name"], f"{len(script.asked):032x}", f"cf-{len(script.asked)}", **granted)
        return said(_cloudflare(made) | {"value": made.value})
    if asked.is_for("GET", base):
        start = (int(asked.query["page"]) - 1) * int(asked.query["per_page"])
        return said([_cloudflare(key) for key in list(script.keys.values())[start : start + int(asked.query["per_page"])]])
    if found := asked.is_for("DELETE", f"{base}/([0-9a-f]+)"):
        return said({"id": found[1]}) if script.revoke(found[1]) else said(None, 404)
    return None


def _cloudflare(key: Made) -> Fields:
    return {"id": key.id, "name": key.name, "status": "active"} | key.extra


def twilio(script: Script, asked: Asked) -> Reply | None:
    """https://www.twilio.com/docs/iam/api-keys/key-resource-v2010"""
    base = "/2010-04-01/Accounts/ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    refused = 401, {"code": 20003, "message": "Authenticate", "status": 401}
    user, password = asked.basic()
    if asked.is_for("GET", f"{base}/Messages.json"):
        key = script.keys.get(user)
        return (200, {"messages": [], "page_size": 1}) if key and key.value == password else refused
    if (user, password) != (script.admin["username"], script.admin["password"]):
        return refused
    if asked.is_for("POST", f"{base}/Keys.json"):
        made = script.make(asked.body["FriendlyName"], f"SK{len(script.asked):032x}", f"twilio-{len(script.asked)}")
        return 201, _twilio(made) | {"secret": made.value}
    if asked.is_for("GET", f"{base}/Keys.json"):
        return 200, {
            "keys": [_twilio(key) for key in script.keys.values()],
            "page_size": int(asked.query["PageSize"]),
            "next_page_uri": None,
        }
    if found := asked.is_for("DELETE", f"{base}/Keys/(SK[0-9a-f]+).json"):
        return (204, None) if script.revoke(found[1]) else (404, {"code": 20404, "message": "not found", "status": 404})
    return None


def _twilio(key: Made) -> Fields:
    return {"sid": key.id, "friendly_name": key.name, "date_created": "Mon, 13 Jun 2016 22:50:08 +0000"}


def elasticsearch(script: Script, asked: Asked) -> Reply | None:
    """https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-security-create-api-key and its neighbours"""
    refused = 401, {"error": {"type": "security_exception", "reason": "missing authentication credentials"}, "status": 401}
    scheme, _, encoded = asked.headers.get("authorization", "").partition(" ")
    if asked.is_for("GET", "/_security/_authenticate"):
        key = script.holder(encoded) if scheme == "ApiKey" else None
        return (200, {"authentication_type": "api_key", "api_key": {"id": key.id, "name": key.name}}) if key else refused
    if asked.basic() != (script.admin["username"], script.admin["password"]):
        return refused
    if asked.is_for("POST", "/_security/api_key"):
        key_id = f"id-{len(script.asked)}"
        made = script.make(asked.body["name"], key_id, f"ZW5jb2RlZA-{key_id}", role_descriptors=asked.body["role_descriptors"])
        return 200, {"id": made.id, "name": made.name, "api_key": "ui2lp2axTNmsyakw9tvNnw", "encoded": made.value}
    if asked.is_for("GET", "/_security/api_key") and asked.query == {"owner": "true", "active_only": "true"}:
        return 200, {"api_keys": [{"id": key.id, "name": key.name, "invalidated": False} | key.extra for key in script.keys.values()]}
    if asked.is_for("DELETE", "/_security/api_key") and asked.body["owner"] is True:
        gone = [key_id for key_id in asked.body["ids"] if script.revoke(key_id)]
        return 200, {"invalidated_api_keys": gone, "previously_invalidated_api_keys": [], "error_count": 0}
    return None


ROLES = {"orders": {"cluster": ["monitor"], "indices": [{"names": ["orders-*"], "privileges": ["read"]}]}}
POLICIES = [{"id": "p1", "effect": "allow", "permission_groups": [{"id": "g1", "name": "DNS Read"}], "resources": {"zone": "*"}}]
SCRIPTS: dict[str, Callable[[], Script]] = {
    "datadog-api-key": lambda: Script(
        datadog, {"api_key": "admin-of-datadog", "application_key": "application-key"}, {}, Made("first-id", "by hand", "f" * 32)
    ),
    "sendgrid-api-key": lambda: Script(
        sendgrid,
        {"api_key": "SG.admin.key"},
        {},
        Made("first", "by hand", f"SG.first.{'x' * 43}", {"scopes": ["mail.send", "alerts.read"]}),
    ),
    "gitlab-project-token": lambda: Script(
        gitlab, {"token": "glpat-admin"}, {"project_id": 17}, Made("42", "by hand", "glpat-first", {"scopes": ["api"], "access_level": 30})
    ),
    "grafana-service-account-token": lambda: Script(
        grafana, {"token": "glsa_admin"}, {"service_account_id": 2}, Made("7", "by hand", "glsa_first")
    ),
    "cloudflare-account-token": lambda: Script(
        cloudflare,
        {"token": "admin-of-cloudflare"},
        {"account_id": "023e105f4ecef8ad9ca31a8372d0c353"},
        Made("ed17574386854bf78a67040be0a770b0", "by hand", "cf-first", {"policies": POLICIES}),
    ),
    "twilio-api-key": lambda: Script(
        twilio,
        {"username": "SKmain", "password": "main-secret"},
        {"account_sid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        Made(f"SK{'a' * 32}", "by hand", "twilio-first"),
    ),
    "elasticsearch-api-key": lambda: Script(
        elasticsearch,
        {"username": "keyturn", "password": "password-of-keyturn"},
        {},
        Made("first-id", "by hand", "ZW5jb2RlZA-first", {"role_descriptors": ROLES}),
    ),
}


@contextmanager
def served(script: Script) -> Iterator[str]:
    """Serve a script on a free loopback port. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            script.asked.append(f"{self.command} {url.path}")
            reply = script.answer(script, Asked(self.command, url.path, query, headers, _body(headers, raw)))
            status, content = reply or (TEAPOT, None)
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """`asked` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _body(headers: Mapping[str, str], raw: bytes) -> Any:
    if headers.get("content-type") == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode()))
    return json.loads(raw) if raw else None
