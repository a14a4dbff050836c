"""Logs in to a domain over and over with the credential that its pod was given: `python -m keyturn_lab.apps.activedirectory_client`.

DB_USER is the sAMAccountName, DB_NAME the domain. It goes over TLS, without which a domain controller refuses passwords. Whatever
certificate that has is taken: what is counted is who is let in.
"""

import ssl
import sys

import ldap3

from keyturn_lab.apps.client import TIMEOUT, Driver, Login, Session, main
from keyturn_lab.apps.ldap_client import ERRORS, DirectorySession, kind

PORT = 636


class _Session(DirectorySession):
    def __init__(self, server: ldap3.Server, login: Login) -> None:
        super().__init__(server, f"{login.user}@{login.database}", login.password)
        self._domain = ",".join(f"DC={label}" for label in login.database.split("."))

    def use(self) -> None:
        """Read what only somebody who is logged in may; a domain controller need not know who_am_i."""
        self._connection.search(self._domain, "(objectClass=*)", ldap3.BASE, attributes=["1.1"])


def connect(login: Login) -> Session:
    """A connection that has logged in."""
    tls = ldap3.Tls(validate=ssl.CERT_NONE)
    server = ldap3.Server(login.host, port=login.port or PORT, use_ssl=True, tls=tls, get_info=ldap3.NONE, connect_timeout=TIMEOUT)
    return _Session(server, login)


DRIVER = Driver(name="activedirectory", connect=connect, errors=ERRORS, kind=kind)

if __name__ == "__main__":
    sys.exit(main(DRIVER))
