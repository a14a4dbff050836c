"""Declared requests, rendered, sent and repeated: from a declaration and values to an answer."""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.http_api_key import pointer
from keyturn_rotators.engines.http_api_key.declaration import ADMIN, CURRENT, Declared, Login, Provider
from keyturn_rotators.engines.http_api_key.templates import Placeholder, Resolve, Unfit, is_host, render_json
from keyturn_rotators.engines.http_api_key.values import Values
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.http_client import Answer, Call, Origin, send
from keyturn_rotators.network import Place

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds; between attempts where the provider names no time
SPARE = 1.0  # seconds of a step that no pause may use up
LONGEST_WORDS = 200  # letters of what the provider says to a refusal
SHORTEST_HIDDEN = 4  # letters; shorter ones are words such as "1", and no secrets
_PATH = re.compile(r"[A-Za-z0-9._/-]*")
Sleep = Callable[[float], None]


@dataclass(slots=True, kw_only=True)
class Caller:
    """Sends a provider's requests within one step."""

    provider: Provider
    deadline: Deadline
    sleep: Sleep = time.sleep

    def call(self, request: Declared, values: Values, *, query: Mapping[str, object] | None = None) -> "Reply":
        """Raises RotationError where there is no answer, or only "later" until the time is up. `values.secret` is whom it is about."""
        rendered = _Rendered(self.provider, request, values, dict(query or {}))
        for pause in (*PAUSES, None):
            answer = send(rendered.origin, rendered.call, deadline=self.deadline, place=rendered.place)
            reply = Reply(request=request, answer=answer, provider=self.provider, place=rendered.place, hidden=frozenset(rendered.shown))
            if answer.status not in request.retry:
                return reply
            wait = answer.retry_after if answer.retry_after is not None else pause
            if wait is None or wait > self.deadline.remaining() - SPARE:
                named = "" if answer.retry_after is None else f" and asks to wait {answer.retry_after:.0f} s"
                raise reply.error(f"{request.name} is answered with {answer.status}{named}, longer than the step may take", Kind.SERVER)
            self.sleep(wait)
        raise AssertionError("the last pause is None")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and what is needed to speak of it."""

    request: Declared
    answer: Answer
    provider: Provider
    place: Place
    hidden: frozenset[str] = field(repr=False)  # what was sent, and must not come back in an error

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def expected(self) -> bool:
        return self.status in self.request.expect

    def at(self, where: str, name: str) -> object:
        """A value of the answer; `name` is the declaration's field. Raises RotationError where it is missing."""
        try:
            return pointer.find(self.answer.json(), where)
        except pointer.Missing:
            check = f"{self.request.name}.{name} of the declaration against the provider's documentation"
            raise self.error(f"the answer to {self.request.name} has nothing at {where!r}", Kind.SERVER, check=check) from None

    def refusal(self) -> RotationError:
        """What a status means that is not expected."""
        status, asked = self.status, f"{self.request.name} was answered with {self.status}"
        if self.request.auth == ADMIN and status == 401:
            return self.error(asked, Kind.AUTHENTICATION, check="the administrator's key in the secret that is named here")
        if status in (401, 403):
            kind = Kind.PERMISSION if status == 403 else Kind.AUTHENTICATION
            return self.error(asked, kind, check=f"that the {self.request.auth} key may do that, as the rotator's documentation lists it")
        if 300 <= status < 400:
            return self.error(f"{asked}, which is not followed: it would take the key along", Kind.POLICY, check="the provider's URL")
        if status >= 500 or status == 429:
            return self.error(asked, Kind.SERVER, check="the provider's status page; a rotation that failed is tried again")
        return self.error(asked, Kind.POLICY, check=f"the fields of the secret that {self.request.name} is made of, and the declaration")

    def error(self, what: str, kind: Kind, *, check: str = "the provider's limits and status page") -> RotationError:
        return self.place.error(kind, f"provider {self.provider.name}: {what}{self._words()}", check)

    def _words(self) -> str:
        if self.expected or self.provider.error is None:
            return ""  # an answer that was hoped for may hold a key
        try:
            said = pointer.find(self.answer.json(), self.provider.error)
        except pointer.Missing:
            return ""
        words = "".join(letter if letter.isprintable() else " " for letter in str(said))
        for each in sorted(self.hidden, key=len, reverse=True):
            words = words.replace(each, "***")
        return f" ({words[:LONGEST_WORDS]})"


class _Rendered:
    """One request with its values in place."""

    def __init__(self, provider: Provider, request: Declared, values: Values, query: dict[str, object]) -> None:
        self.shown: set[str] = set()
        self._values = values
        try:
            self.origin = origin(provider, values, self._resolve)
            asker = values.admin() if request.auth == ADMIN else values.secret
            self.place = Place(secret=asker.secret, host=str(self.origin))
            headers, body = self._body(request)
            headers |= {name: template.header(self._resolve) for name, template in request.headers.items()}
            asked = {name: template.text(self._resolve) for name, template in request.query.items()} | query
            target = request.path.path(self._resolve) + (f"?{urlencode(asked)}" if asked else "")
            if request.auth == CURRENT:
                self._values = values.about(values.current)
            headers |= self._login(provider.admin if request.auth == ADMIN else provider.key)
        except Unfit as error:
            raise values.error(f"{request.name} cannot be made: {error}", "that field of the secret") from None
        self.call = Call(method=request.method, target=target, headers=headers, body=body)

    def _resolve(self, placeholder: Placeholder) -> object:
        value = self._values.resolve(placeholder)
        if isinstance(value, str) and len(value) >= SHORTEST_HIDDEN and placeholder.source != "label":
            self.shown.add(value)
        return value

    def _login(self, login: Login) -> dict[str, str]:
        headers = {name: template.header(self._resolve) for name, template in login.headers.items()}
        if login.bearer:
            headers["Authorization"] = f"Bearer {login.bearer.header(self._resolve)}"
        if login.basic:
            user, password = (template.text(self._resolve) for template in login.basic)
            encoded = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
            self.shown.add(encoded)
            headers["Authorization"] = f"Basic {encoded}"
        return headers

    def _body(self, request: Declared) -> tuple[dict[str, str], bytes | None]:
        accept = {"Accept": "application/json"}
        if request.json is not None:
            content = json.dumps(render_json(request.json, self._resolve)).encode()
            return accept | {"Content-Type": "application/json"}, content
        if request.form:
            content = urlencode({name: template.text(self._resolve) for name, template in request.form.items()}).encode("ascii")
            return accept | {"Content-Type": "application/x-www-form-urlencoded"}, content
        return accept, b"" if request.method in ("POST", "PUT", "PATCH") else None


def origin(provider: Provider, values: Values, resolve: Resolve) -> Origin:
    """Where the provider is. Raises RotationError where its URL is not one that a key may be sent to."""
    parts = provider.url.parts
    whole = len(parts) == 1 and isinstance(parts[0], Placeholder)
    text = str(provider.url.value(resolve)) if whole else provider.url.host(resolve)
    try:
        url = urlsplit(text)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        url, port = urlsplit(""), 0
    sound = is_host(url.hostname or "") and url.username is None and not url.query and not url.fragment and _PATH.fullmatch(url.path)
    if url.scheme not in ("https", "http") or not sound or ".." in url.path:
        raise values.error("its URL is not one", f"the declaration's url ({provider.url.literal or parts[0]}): https://HOST[:PORT][/PATH]")
    if url.scheme == "http" and values.secret.tls:
        check = 'the URL; where the provider shall be asked in plaintext, "ssl": false in the secret'
        raise values.error("its URL is without TLS", check, kind=Kind.TLS)
    return Origin(tls=url.scheme == "https", host=str(url.hostname), port=port, base=url.path.rstrip("/"))
