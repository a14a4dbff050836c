"""Logins to MongoDB that are verified, bounded in time, closed, and whose failures say what to check.

The driver looks for servers in the background and tells what it met only when its time is over; so the place is tried before it is asked.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 27017
DATABASE = "admin"
CONNECTION_FIELDS = ("authSource", "replicaSet")  # besides those that every engine has
LONGEST_WORDS = 300  # characters of a server's message
AUTHENTICATION_FAILED = 18
UNAUTHORIZED = 13
ATLAS = 8000  # Atlas's answer to a login that it refuses, among others
NOT_KNOWN = frozenset({2, 9, 59, 115, 303})  # a value, field or command that the server does not have; 303 is DocumentDB's

Document = dict[str, Any]


class Refusal(RotationError):
    """The server's own refusal, by its error number."""

    def __init__(self, code: int, kind: Kind, what: str, check: str, place: Place) -> None:
        super().__init__(kind, what, check=check, secret=place.secret, host=place.host, user=place.user)
        self.code = code


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline) -> None:
        self.user = credential.username
        self.database = source(credential)
        self.place = Place.of(credential, port=PORT, user=self.user, suffix=f"/{self.database}")
        with self._explained():
            reach(credential, self.place, deadline=deadline)
            self._client = _client(credential, deadline=deadline)
        try:
            self._run({"ping": 1}, at_login=True)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def within(self, database: str) -> Self:
        """The same login; its next commands are about another database's users."""
        self.database = database
        return self

    def run(self, command: str, value: object, **fields: object) -> Document:
        """Run one command in the database of the login's users."""
        return self._run({command: value, **fields})

    def attempt(self, command: str, value: object, *, unless: frozenset[int] = NOT_KNOWN, **fields: object) -> Document | None:
        """Run one command that the server may not have; None where it was refused with one of these error numbers."""
        try:
            return self._run({command: value, **fields})
        except Refusal as refused:
            if refused.code in unless:
                return None
            raise

    def _run(self, command: Document, *, at_login: bool = False) -> Document:
        # A server may quote what it was given.
        with self._explained(at_login=at_login, secret="pwd" in command):
            return self._client[self.database].command(command)

    @contextmanager
    def _explained(self, *, at_login: bool = False, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except OperationFailure as error:
            raise self._answered(error, at_login=at_login, secret=secret) from None
        except (PyMongoError, OSError) as error:
            raise self.place.unanswered(error) from None
        except ValueError:  # of the driver, before it asks: SASLprep (RFC 4013) has no place for a character
            check = "the user and the password in the secret: characters of control"
            raise self.place.error(Kind.POLICY, "the credential cannot be sent as SCRAM", check) from None

    def _answered(self, error: OperationFailure, *, at_login: bool, secret: bool) -> Refusal:
        details = error.details or {}
        code = error.code or 0
        said = "" if secret or at_login else f": {str(details.get('errmsg', ''))[:LONGEST_WORDS]}"
        kind, check = _EXPLANATIONS.get(code, (Kind.SERVER, "the server's log"))
        if at_login and code == ATLAS:
            kind, check = _EXPLANATIONS[AUTHENTICATION_FAILED]
        what = f"the server answered with error {code} {details.get('codeName', '')}".rstrip() + said
        return Refusal(code, kind, what, check, self.place)


def source(credential: Credential) -> str:
    """The database that keeps the user. AWS's field for it is dbname."""
    return credential.text("authSource") if credential.get("authSource") else credential.database(DATABASE)


def leads_elsewhere(credential: Credential, current: Credential) -> str | None:
    """The name of the first of this engine's fields of the connection that is not the same."""
    return next((name for name in CONNECTION_FIELDS if credential.get(name) != current.get(name)), None)


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def log_in(credential: Credential, *, deadline: Deadline) -> None:
    """Raises RotationError where the server does not take the credential."""
    with Session(credential, deadline=deadline):
        pass


def reach(credential: Credential, place: Place, *, deadline: Deadline) -> None:
    """See that somebody answers at the host, with TLS if the secret says so. Raises OSError, or RotationError."""
    with connect(credential, port=PORT, deadline=deadline) as sock:
        if credential.tls:
            context = client_context(rds=True)
            sock.settimeout(deadline.remaining(at_most=CONNECT_WITHIN))
            try:
                context.wrap_socket(sock, server_hostname=credential.host).close()
            except (ConnectionError, TimeoutError, ssl.SSLEOFError):  # what it was sent is no request of the protocol
                raise place.without_tls() from None


def _client(credential: Credential, *, deadline: Deadline) -> MongoClient[Document]:
    """Of the host that the secret names and no other, but for a replica set, whose primary the driver looks for."""
    host, name = credential.host, credential.get("replicaSet")
    members: Document = {"replicaSet": credential.text("replicaSet")} if name else {"directConnection": True}
    within = deadline.remaining()
    client: MongoClient[Document] = MongoClient(
        f"[{host}]" if ":" in host else host,
        credential.port(PORT),
        username=credential.username,
        password=credential.password,
        authSource=source(credential),
        tls=credential.tls,
        connect=False,
        serverSelectionTimeoutMS=_milliseconds(min(within, CONNECT_WITHIN)),
        connectTimeoutMS=_milliseconds(min(within, CONNECT_WITHIN)),
        socketTimeoutMS=_milliseconds(within),
        serverMonitoringMode="poll",
        retryReads=False,
        retryWrites=False,
        maxPoolSize=1,
        appname="keyturn",
        **members,
    )
    if credential.tls:
        # The driver takes files only; nothing has been connected to yet.
        object.__setattr__(client.options.pool_options, "_PoolOptions__ssl_context", client_context(rds=True))
    return client


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


_NOT_PRIMARY = (Kind.SERVER, "that the host is the primary: DocumentDB's cluster endpoint, or the field replicaSet of the secret")
_EXPLANATIONS = {
    AUTHENTICATION_FAILED: (
        Kind.AUTHENTICATION,
        "user and password in the secret, the database that keeps the user (dbname or authSource), its authenticationRestrictions",
    ),
    UNAUTHORIZED: (Kind.PERMISSION, "the roles of the user, as the rotator's documentation lists them"),
    11: (Kind.POLICY, "that the user is kept by the database that dbname or authSource names"),
    31: (Kind.POLICY, "the roles of the user in use: one of them is not there any more"),
    334: (Kind.POLICY, "the server's authenticationMechanisms: SCRAM-SHA-256 or SCRAM-SHA-1"),
    10058: _NOT_PRIMARY,
    10107: _NOT_PRIMARY,
    13435: _NOT_PRIMARY,
}
