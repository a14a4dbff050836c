"""Uses a key of the lab's HttpProvider over and over: `python -m keyturn_lab.apps.http_client`.

DB_USER is the key's id, DB_PASSWORD the key.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 80


class Refused(Exception):
    """The answer was no; what is said is the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked with the credential."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


class HttpSession:
    """A connection. Each request on it carries the credential, so one that is kept is refused as soon as that is."""

    def __init__(self, host: str, port: int, request: Request) -> None:
        self._request = request
        self._connection = HTTPConnection(host, port, timeout=TIMEOUT)
        self._connection.connect()

    def use(self) -> None:
        asked = self._request
        self._connection.request(asked.method, asked.target, body=asked.body, headers=dict(asked.headers))
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise Refused(answer.status)

    def close(self) -> None:
        self._connection.close()


def connect(login: Login) -> Session:
    """A connection with the key."""
    request = Request(method="GET", target="/v1/whoami", headers={"Authorization": f"Bearer {login.password}"})
    return HttpSession(login.host, login.port or PORT, request)


def kind(error: Exception) -> str:
    """What it was, by the status."""
    if isinstance(error, Refused):
        return "authentication" if error.status == HTTPStatus.UNAUTHORIZED else f"server {error.status}"
    return "network"


ERRORS = (Refused, HTTPException, OSError)
DRIVER = Driver(name="http", connect=connect, errors=ERRORS, kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
