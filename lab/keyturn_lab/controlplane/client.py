"""A small synchronous client of the API server: raw JSON, one kept-alive connection per thread.

The lab and its tests need a handful of calls; a client with models would cost more time to import than to use.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyturn_lab.controlplane.certificates import KeyPair

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"


class ApiError(RuntimeError):
    """The API server refused."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client shows who it is; neither means anonymous."""

    token: str | None = None
    certificate: KeyPair | None = None

    def __repr__(self) -> str:
        return f"Credentials(token={'set' if self.token else None}, certificate={self.certificate})"


class Client:
    """Calls to one API server. Safe to share between threads."""

    def __init__(self, url: str, *, ca: Path | None, credentials: Credentials) -> None:
        self._address, self._credentials = urlsplit(url), credentials
        self._tls = ssl.create_default_context(cafile=ca)
        if credentials.certificate:
            self._tls.load_cert_chain(credentials.certificate.certificate, credentials.certificate.key)
        self._local = threading.local()
        self._connections = weakref.WeakSet[http.client.HTTPSConnection]()

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", timeout: float = 15.0
    ) -> Json:
        """The answer's JSON (`{}` where it is text). Raises ApiError from 400 up, OSError or HTTPException without an answer."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if self._credentials.token:
            headers["Authorization"] = f"Bearer {self._credentials.token}"
        connection = self._connection(timeout)
        try:
            connection.request(method, self._address.path.rstrip("/") + path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        answer: Json = json.loads(content) if is_json else {}
        if response.status >= 400:
            message = answer.get("message") or content.decode(errors="replace")
            raise ApiError(response.status, answer.get("reason", response.reason), message)
        return answer

    def answers(self, path: str) -> bool:
        """Does a GET succeed now? For polling a server that may not be up."""
        try:
            self.request("GET", path, timeout=2)
        except (OSError, http.client.HTTPException, ApiError):
            return False
        return True

    def close(self) -> None:
        """Close the connections of all threads; a later call opens a new one."""
        for connection in list(self._connections):
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            host, port = self._address.hostname or "", self._address.port or 443
            connection = self._local.connection = http.client.HTTPSConnection(host, port, context=self._tls)
            self._connections.add(connection)
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # an idle connection is readable only once the server has closed it
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection
