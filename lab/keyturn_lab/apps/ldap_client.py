"""Logs in to a directory over and over with the credential that its pod was given: `python -m keyturn_lab.apps.ldap_client`.

DB_USER is the user's distinguished name.
"""

import sys
from contextlib import suppress

import ldap3
from ldap3.core.exceptions import (
    LDAPCommunicationError,
    LDAPException,
    LDAPInappropriateAuthenticationResult,
    LDAPInvalidCredentialsResult,
    LDAPOperationResult,
    LDAPResponseTimeoutError,
)

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main

PORT = 389


class DirectorySession:
    """A connection that has logged in."""

    def __init__(self, server: ldap3.Server, user: str, password: str) -> None:
        self._connection = ldap3.Connection(
            server,
            user,
            password.encode(),
            check_names=False,
            receive_timeout=int(TIMEOUT),  # it takes no others
            raise_exceptions=True,
        )
        try:
            self._connection.open(read_server_info=False)
            self._connection.bind(read_server_info=False)
        except BaseException:
            self.close()
            raise

    def use(self) -> None:
        self._connection.extend.standard.who_am_i()

    def close(self) -> None:
        with suppress(LDAPException, OSError):  # the server was quicker
            self._connection.unbind()


def connect(login: Login) -> Session:
    """A connection that has logged in."""
    server = ldap3.Server(login.host, port=login.port or PORT, get_info=ldap3.NONE, connect_timeout=TIMEOUT)
    return DirectorySession(server, login.user, login.password)


def kind(error: Exception) -> str:
    """What it was, by the directory's result code."""
    match error:
        case LDAPInvalidCredentialsResult() | LDAPInappropriateAuthenticationResult():  # the latter: the user has no password
            return "authentication"
        case LDAPOperationResult():
            return f"server {error.result}"
        case LDAPCommunicationError() | LDAPResponseTimeoutError() | OSError():
            return "network"
        case _:
            return f"server {type(error).__name__}"


ERRORS = (LDAPException, OSError)
DRIVER = Driver(name="ldap", connect=connect, errors=ERRORS, kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
