"""The URLs in a client's secret, and requests to them. They are the client's own: it is sent its own credential and nobody else's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.http_client import Answer, Call, Origin, send
from keyturn_rotators.network import Place

LONGEST_WORDS = 200  # letters of an error code


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and where it came from."""

    answer: Answer = field(repr=False)
    place: Place

    @property
    def status(self) -> int:
        return self.answer.status

    def fields(self) -> Mapping[str, object]:
        """The answer's JSON object; empty where it is none."""
        content = self.answer.json()
        return content if isinstance(content, dict) else {}

    @property
    def code(self) -> str:
        """The error code of RFC 6749 and 7591: a word that quotes nothing."""
        code = self.fields().get("error")
        return code[:LONGEST_WORDS] if isinstance(code, str) and code.replace("_", "").isalnum() and code.isascii() else ""

    def error(self, asked: str, kind: Kind, check: str) -> RotationError:
        return self.place.error(kind, f"{asked} was answered with {self.status}" + (f" {self.code}" if self.code else ""), check)

    def unexpected(self, asked: str) -> RotationError:
        """What a status means that nothing provides for."""
        if self.status >= 500 or self.status == 429:
            return self.error(asked, Kind.SERVER, "the server's status; a rotation that failed is tried again")
        if 300 <= self.status < 400:
            return self.error(asked, Kind.POLICY, "the URL in the secret: a redirect is not followed, it would take the credential along")
        return self.error(asked, Kind.POLICY, "the URL in the secret, and the client's registration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of the server's URLs."""

    origin: Origin
    target: str
    place: Place

    @classmethod
    def of(cls, credential: Credential, name: str) -> "Endpoint":
        """The URL in the field `name`. Raises RotationError where a credential must not be sent there."""
        try:
            url = urlsplit(credential.text(name))
            port = url.port or (443 if url.scheme == "https" else 80)
        except ValueError:
            url, port = urlsplit(""), 0
        if url.scheme not in ("https", "http") or not url.hostname or url.username is not None or not _printable(url.path + url.query):
            raise credential.invalid(name, "is not a URL of the form https://HOST[:PORT]/PATH")
        if url.scheme == "http" and credential.tls:
            check = f'the field {name}; where the server shall be asked in plaintext, "ssl": false in the secret'
            raise RotationError(Kind.TLS, f"the URL in {name} is without TLS", check=check, secret=credential.secret)
        origin = Origin(tls=url.scheme == "https", host=url.hostname, port=port)
        client = credential.get("client_id")
        place = Place(secret=credential.secret, host=str(origin), user=client if isinstance(client, str) else None)
        return cls(origin=origin, target=(url.path or "/") + (f"?{url.query}" if url.query else ""), place=place)

    def ask(self, method: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline) -> Reply:
        """Raises RotationError where there is no answer."""
        call = Call(method=method, target=self.target, headers={"Accept": "application/json"} | dict(headers), body=body)
        return Reply(answer=send(self.origin, call, deadline=deadline, place=self.place), place=self.place)

    def ask_json(self, method: str, headers: Mapping[str, str], content: Mapping[str, object], deadline: Deadline) -> Reply:
        return self.ask(method, {"Content-Type": "application/json"} | dict(headers), json.dumps(content).encode(), deadline)


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
