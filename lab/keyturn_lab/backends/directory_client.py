"""What the tests ask of a directory, by a client of their own."""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ldap3

from keyturn_lab.parts import Server

TIMEOUT = 60
OK, LOGIN_REFUSED, NO_PASSWORD = 0, 49, 48


class DirectoryError(RuntimeError):
    """The directory answered with another result than was expected."""


class DirectoryServer(Server):
    """Logins at one directory's address; its `port` is the one without TLS."""

    def __init__(self) -> None:
        super().__init__()
        self.tls_port = 0

    @contextmanager
    def login(self, name: str, password: str, *, tls: bool) -> Iterator[Any]:
        """A connection that is logged in. Raises DirectoryError."""
        connection, result = self._bind(name, password, tls=tls)
        try:
            if result["result"] != OK:
                raise DirectoryError(f"login: {result['description']}")
            yield connection
        finally:
            connection.unbind()

    def takes(self, name: str, password: str, *, tls: bool) -> bool:
        """Whether a login is let in. Raises DirectoryError where it is neither taken nor refused."""
        connection, result = self._bind(name, password, tls=tls)
        connection.unbind()
        if result["result"] not in (OK, LOGIN_REFUSED, NO_PASSWORD):
            raise DirectoryError(f"login: {result['description']}")
        return bool(result["result"] == OK)

    def _bind(self, name: str, password: str, *, tls: bool) -> tuple[Any, dict[str, Any]]:
        trusting = ldap3.Tls(validate=ssl.CERT_NONE) if tls else None
        port = self.tls_port if tls else self.port
        server = ldap3.Server(self.host, port=port, use_ssl=tls, tls=trusting, get_info=ldap3.NONE, connect_timeout=TIMEOUT)
        connection = ldap3.Connection(server, name, password.encode(), check_names=False, receive_timeout=TIMEOUT)
        try:
            connection.open(read_server_info=False)
            connection.bind(read_server_info=False)
        except BaseException:
            if connection.socket is not None:
                connection.socket.close()
            raise
        return connection, connection.result


def add(connection: Any, dn: str, classes: Sequence[str], attributes: Mapping[str, object]) -> None:
    """Add an entry. Raises DirectoryError."""
    connection.add(dn, list(classes), dict(attributes))
    _expect_ok(connection, f"add {dn}")


def modify(connection: Any, dn: str, attribute: str, how: str, *values: str | bytes) -> None:
    """Change an attribute. Raises DirectoryError."""
    connection.modify(dn, {attribute: [(how, list(values))]})
    _expect_ok(connection, f"modify {dn}")


def groups(connection: Any, base: str, condition: str) -> set[str]:
    """The names of what a search finds. Raises DirectoryError."""
    connection.search(base, condition, attributes=["1.1"])
    _expect_ok(connection, "search")
    return {each["dn"] for each in connection.response if each["type"] == "searchResEntry"}


def _expect_ok(connection: Any, doing: str) -> None:
    if connection.result["result"] != OK:
        raise DirectoryError(f"{doing}: {connection.result['description']}")
