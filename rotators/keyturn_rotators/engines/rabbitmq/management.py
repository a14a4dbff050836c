"""Requests to the management API: TLS verified, bounded in time, and a refusal told by what it means.

https://www.rabbitmq.com/docs/http-api-reference
"""

import base64
import http.client
import json
import socket
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import quote

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.rabbitmq.secured import secured
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect

PORT, PORT_WITHOUT_TLS = 15671, 15672
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
MISSING, REFUSED, FORBIDDEN, INVALID = 404, 401, 403, 400
ADMINISTRATOR = "the tag administrator of the superuser: rabbitmqctl set_user_tags"


class Management:
    """The API, over one connection for as long as its server, or a proxy before it, keeps that: `with Management(...) as api`."""

    def __init__(self, credential: Credential, *, deadline: Deadline) -> None:
        self._credential = credential
        self._port = credential.port(PORT if credential.tls else PORT_WITHOUT_TLS)
        self.place = Place.of(credential, port=self._port, user=credential.username, suffix="/api")
        self._deadline = deadline
        login = base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json", "User-Agent": "keyturn-rotator"}
        self._socket = self._opened()
        self._connection = http.client.HTTPConnection(credential.host, self._port)
        self._connection.auto_open = 0
        self._connection.sock = self._socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
        self._socket.close()

    def get(self, *path: str) -> object:
        """The answer's JSON; None where there is nothing at that place."""
        return self._request("GET", path)

    def put(self, *path: str, **body: object) -> None:
        """Make it so."""
        self._request("PUT", path, json.dumps(body).encode())

    def delete(self, *path: str) -> None:
        """Harmless where there is nothing at that place."""
        self._request("DELETE", path)

    def _opened(self) -> socket.socket:
        try:
            sock = connect(self._credential, port=self._port, deadline=self._deadline)
        except OSError as error:
            raise self.place.unanswered(error) from None
        try:
            return secured(sock, self._credential, self.place, deadline=self._deadline)
        except BaseException:
            sock.close()
            raise

    def _request(self, method: str, path: tuple[str, ...], body: bytes | None = None) -> object:
        target = "/api/" + "/".join(quote(part, safe="") for part in path)
        if self._connection.sock is None:  # the last answer said that it was the connection's last
            self._connection.sock = self._socket = self._opened()
        try:
            self._socket.settimeout(self._deadline.remaining())
            self._connection.request(method, target, body=body, headers=self._headers)
            with self._connection.getresponse() as answer:
                content = answer.read(LARGEST_ANSWER + 1)
        except ssl.SSLError:
            raise self.place.unanswered(ConnectionResetError()) from None  # TLS was there: the connection broke
        except (OSError, http.client.HTTPException) as error:
            raise self.place.unanswered(error) from None
        if len(content) > LARGEST_ANSWER:
            raise self.place.error(Kind.SERVER, f"the answer is longer than {LARGEST_ANSWER} bytes", "the server's management API")
        if answer.status == MISSING and method != "PUT":
            return None
        if answer.status >= 300:  # a redirection would take the password elsewhere
            raise self._refusal(f"{method} {path[0]}", answer.status, content)
        return self._parsed(content) if method == "GET" else None

    def _parsed(self, content: bytes) -> object:
        try:
            return json.loads(content)
        except ValueError:
            check = "that host and port of the superuser's secret are those of RabbitMQ's management API"
            raise self.place.error(Kind.SERVER, "the answer is not JSON", check) from None

    def _refusal(self, doing: str, status: int, content: bytes) -> RotationError:
        what = f"{doing} was answered with {status}"
        if status == FORBIDDEN or (status == REFUSED and b'"Not ' in content):
            return self.place.error(Kind.PERMISSION, what, ADMINISTRATOR)
        if status == REFUSED:
            return self.place.error(Kind.AUTHENTICATION, what, "the superuser's secret")
        if status == INVALID:
            return self.place.error(Kind.POLICY, what, "the server's credential validator, and its log")
        return self.place.error(
            Kind.SERVER, what, "that host and port of the superuser's secret are those of the API, and the server's log"
        )
