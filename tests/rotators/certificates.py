"""Certificates of servers that are tested."""

from keyturn_lab.backends.http_certificates import Authority
from keyturn_lab.backends.postgres import Tls


def certificate(authority: Authority, address: str) -> Tls:
    """The files of a server's certificate for an IP address."""
    authority.server_context(address)
    folder = authority.bundle.parent
    return Tls(certificate=folder / f"{address}.crt", key=folder / f"{address}.key")
