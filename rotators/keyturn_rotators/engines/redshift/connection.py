"""Logins to Redshift that are verified, bounded in time, closed, and whose failures say what to check.

The driver makes its own connection and tells little of why it failed, so the place is tried before, with TLS.
"""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import scramp  # type: ignore[import-untyped]  # it has no type hints
from redshift_connector.core import Connection
from redshift_connector.cursor import Cursor
from redshift_connector.error import Error

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.redshift.passwords import FORBIDDEN, LONGEST
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 5439
DATABASE = "dev"
SERVERLESS = ".redshift-serverless."  # in the names of all workgroups' endpoints
TLS_REQUEST = struct.pack("!ii", 8, 80877103)  # SSLRequest of the frontend/backend protocol
CLEARTEXT_PASSWORD = 3  # AuthenticationCleartextPassword, of the same
NO_RULE, TLS_ONLY = "28000", "SSL off"  # how a cluster that requires TLS refuses a login in plaintext: a SQLSTATE, and words of its message
UNQUOTABLE = "'\\\0"  # what a literal cannot carry, since the server reads backslashes; nor does it take them in passwords

Row = tuple[Any, ...]


class _Connection(Connection):
    """The driver's connection with four things that it lacks."""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except BaseException:
            for end in ("_sock", "_usock"):  # the driver leaves them open where the login is refused
                with suppress(AttributeError, OSError, ValueError):
                    getattr(self, end).close()
            raise
        self._usock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else statements wait for acknowledgements, 40 ms each

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, cursor: Cursor) -> None:
        """Never hand the password over in the clear: a server that asks for it so may be anybody's."""
        if int.from_bytes(data[:4], "big") == CLEARTEXT_PASSWORD and not isinstance(self._usock, ssl.SSLSocket):
            raise _Cleartext
        super().handle_AUTHENTICATION_REQUEST(data, cursor)

    def limit(self, seconds: float) -> None:
        """How long the next answer may take."""
        self._usock.settimeout(seconds)


class _Cleartext(Exception):
    """The server asked for the password in the clear, without TLS."""


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline) -> None:
        self.user = credential.username
        self.database = credential.database(DATABASE)
        self.serverless = is_serverless(credential)
        self._credential = credential
        self._deadline = deadline
        self.place = Place.of(credential, port=PORT, user=self.user, suffix=f"/{self.database}")
        with self._explained():
            reach(credential, self.place, deadline=deadline)
            self._connection = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(Error, OSError):  # the server has closed it already
            self._connection.close()

    def run(self, sql: str, *params: object, secret: bool = False) -> list[Row]:
        """Run one statement; `?` in it is the next of `params`. `secret`: a password is in it, and the server may quote it."""
        with self._explained(secret=secret):
            self._connection.limit(self._deadline.remaining())
            cursor = self._connection.cursor()
            cursor.paramstyle = "qmark"
            cursor.execute(sql, params or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _connect(self) -> _Connection:
        credential = self._credential
        connection = _Connection(
            user=credential.username,
            password=credential.password,
            database=self.database,
            host=credential.host,
            port=credential.port(PORT),
            ssl=credential.tls,
            sslmode="verify-full",
            timeout=max(1, int(self._deadline.remaining())),
            application_name="keyturn",
        )
        connection.autocommit = True
        return connection

    @contextmanager
    def _explained(self, *, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except _Cleartext:
            check = "the host: Redshift asks for a digest of the password"
            raise self.place.error(Kind.POLICY, "the server asked for the password in the clear, without TLS", check) from None
        except scramp.ScramException:
            # Of Redshift's protocol it is not, and it must not pass for a refusal of the password, which retiring takes for its proof.
            check = "the host: Redshift asks for a digest of the password"
            raise self.place.error(Kind.SERVER, "the server asked for a login by SCRAM, which the driver cannot do", check) from None
        except Error as error:
            raise self._meaning(error, secret=secret) from None
        except (OSError, struct.error) as error:  # the driver unpacks what a connection that was cut has left
            raise self.place.unanswered(error) from None

    def _meaning(self, error: Error, *, secret: bool) -> RotationError:
        answer = error.args[0] if error.args else None
        if not isinstance(answer, dict):
            return self.place.unanswered(error)
        state = str(answer.get("C", ""))
        words = "" if secret else ": ".join(str(answer[part]) for part in ("M", "D") if answer.get(part))
        said = f": {words}".replace(self._credential.password, "***") if words else ""
        kind, check = _EXPLANATIONS.get(state) or _CLASSES.get(state[:2]) or (Kind.SERVER, "STL_ERROR and SYS_QUERY_HISTORY")
        if state == NO_RULE and not self._credential.tls and TLS_ONLY in str(answer.get("M", "")):
            kind, check = Kind.TLS, "the field ssl of the secret: the cluster takes logins with TLS only (its parameter require_ssl)"
        return self.place.error(kind, f"the server answered with SQLSTATE {state}{said}", check)


def is_serverless(credential: Credential) -> bool:
    """Whether the secret is for a workgroup of Redshift Serverless: by the field that AWS's console writes, or by the host's name."""
    return bool(credential.get("namespaceName")) or SERVERLESS in credential.host


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def _tried(credential: Credential, deadline: Deadline) -> None:
    with Session(credential, deadline=deadline) as session:
        session.run("SELECT 1")


BACK_END = BackEnd(
    log_in=lambda credential, deadline: Session(credential, deadline=deadline),
    port=lambda _: PORT,
    tried=_tried,
    forbidden=FORBIDDEN,
    longest_password=LONGEST,
    asks_for_classes=True,
)


def reach(credential: Credential, place: Place, *, deadline: Deadline) -> None:
    """See that somebody answers at the host, with TLS if the secret says so. Raises OSError, or RotationError."""
    with connect(credential, port=PORT, deadline=deadline) as sock:
        if credential.tls:
            sock.settimeout(deadline.remaining(at_most=CONNECT_WITHIN))
            sock.sendall(TLS_REQUEST)
            if sock.recv(1) != b"S":
                raise place.without_tls()
            client_context().wrap_socket(sock, server_hostname=credential.host).close()


def identifier(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace("\0", "").replace('"', '""') + '"'


def literal(value: str, *, place: Place) -> str:
    """Text as SQL. Raises RotationError where the server would not read it as it is."""
    if set(value) & set(UNQUOTABLE):
        check = "the password: Redshift takes printable ASCII but ' \" \\ / and @"
        raise place.error(Kind.POLICY, "a value has a character that Redshift does not take", check)
    return f"'{value}'"


_EXPLANATIONS = {
    "28P01": (Kind.AUTHENTICATION, "the password in the secret, and that the user may log in"),
    "28000": (Kind.AUTHENTICATION, "user and password in the secret, and that its password is not disabled"),
    "3D000": (Kind.POLICY, "the field dbname of the secret"),
    "42501": (Kind.PERMISSION, "the rights of the user, as the rotator's documentation lists them"),
    "53300": (Kind.SERVER, "the connection limits of the user, the database and the cluster"),
}
_CLASSES = {
    "22": (Kind.POLICY, "Redshift's rules for passwords: 8 to 64 characters, an upper and a lower case letter, a digit"),
    "57": (Kind.SERVER, "whether the cluster is starting, paused or being resized"),
    "08": (Kind.NETWORK, "the connection between function and server"),
}
