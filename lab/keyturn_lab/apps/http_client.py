"""Uses a key of the lab's HttpProvider over and over: `python -m keyturn_lab.apps.http_client`.

DB_USER is the key's id, DB_PASSWORD the key.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 80


class Refused(Exception):
    """The provider's answer was no; what is said is the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Session:
    def __init__(self, login: Login) -> None:
        self._key = login.password
        self._connection = HTTPConnection(login.host, login.port or PORT, timeout=TIMEOUT)
        self._connection.connect()

    def use(self) -> None:
        self._connection.request("GET", "/v1/whoami", headers={"Authorization": f"Bearer {self._key}"})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise Refused(answer.status)

    def close(self) -> None:
        self._connection.close()


def connect(login: Login) -> Session:
    """A connection. Each request on it carries the key, so one that is kept is refused as soon as the key is."""
    return _Session(login)


def kind(error: Exception) -> str:
    """What it was, by the status."""
    if isinstance(error, Refused):
        return "authentication" if error.status == HTTPStatus.UNAUTHORIZED else f"server {error.status}"
    return "network"


DRIVER = Driver(name="http", connect=connect, errors=(Refused, HTTPException, OSError), kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
