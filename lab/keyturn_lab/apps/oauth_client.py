"""Asks an OAuth server for a token over and over with what its pod was given: `python -m keyturn_lab.apps.oauth_client`.

DB_HOST is the URL of the token endpoint, DB_USER the client's id, DB_PASSWORD its secret.
"""

import base64
import sys
from urllib.parse import quote_plus, urlsplit

from keyturn_lab.apps.client import Driver, Login, Session, main
from keyturn_lab.apps.http_client import ERRORS, PORT, HttpSession, Request, kind


def connect(login: Login) -> Session:
    """A connection that asks for a token with every use."""
    endpoint = urlsplit(login.host)
    pair = base64.b64encode(f"{quote_plus(login.user)}:{quote_plus(login.password)}".encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
    request = Request(method="POST", target=endpoint.path, headers=headers, body=b"grant_type=client_credentials")
    return HttpSession(endpoint.hostname or "", endpoint.port or PORT, request)


DRIVER = Driver(name="oauth", connect=connect, errors=ERRORS, kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
