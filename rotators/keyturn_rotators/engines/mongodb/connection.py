"""Logins to MongoDB that are verified, bounded in time, closed, and whose failures say what to check."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from pymongo.errors import OperationFailure, PyMongoError

from keyturn_rotators.back_end import BackEnd, differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mongodb.driver import PORT, Client, Document, reach
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.proof import is_taken

DATABASE = "admin"
LONGEST_WORDS = 300  # characters of a server's message
AUTHENTICATION_FAILED = 18
UNAUTHORIZED = 13
ATLAS = 8000  # Atlas's answer to a login that it refuses, among others
NOT_KNOWN = frozenset({2, 9, 59, 115, 303})  # a value, field or command that the server does not have; 303 is DocumentDB's


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
            self._client = Client(credential, source=self.database, deadline=deadline)
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
            return self._client.command(self.database, command)

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


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


BACK_END = BackEnd(
    log_in=lambda credential, deadline: Session(credential, deadline=deadline),
    port=lambda _: PORT,
    differs=differs_in("authSource", "replicaSet"),
)


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
