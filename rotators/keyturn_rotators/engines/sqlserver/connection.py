"""Logins to SQL Server that are verified, bounded in time, closed, and whose failures say what to check."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

import pytds
from pytds.tds_base import tds_quote_id as identifier

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.sqlserver.explanations import DISABLED, LOGIN_FAILED, NO_DATABASE, REFUSED, explained
from keyturn_rotators.engines.sqlserver.transport import Garbled, NoTls, Rerouted, TlsRequired, Transport
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 1433
MASTER = "master"
LOCK_WITHIN = 3000  # milliseconds; a lock that we wait for holds up the app's own statements behind us
LONGEST_WORDS = 300  # characters of a server's message

Row = tuple[Any, ...]

__all__ = ["MASTER", "PORT", "Refusal", "Session", "Standing", "identifier", "logs_in", "standing"]


class Standing(Enum):
    """What the server says to a credential."""

    TAKEN = auto()
    SHUT = auto()  # the password is right and the login is disabled: setting it again is what a password history would refuse
    REFUSED = auto()


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline, database: str = MASTER) -> None:
        self.user = credential.username
        self.database = database
        self._credential = credential
        self._deadline = deadline
        self.place = Place.of(credential, port=PORT, user=self.user, suffix=f"/{database}")
        with self._explained():
            self._connection = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(pytds.Error, OSError, RotationError):  # the server has closed it already, or the step's time is over
            self._connection.close()

    def prepared(self) -> Self:
        """Ready to change rights: a lock that somebody holds is not waited for long."""
        self.run(f"SET LOCK_TIMEOUT {LOCK_WITHIN}")
        return self

    def run(self, sql: str, *params: object, secret: bool = False) -> list[Row]:
        """Run one batch; `%s` in it is the next of `params`. `secret`: a password is among them, and the server may quote it."""
        with self._explained(secret=secret), self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return list(cursor.fetchall()) if cursor.description else []

    def attempt(self, sql: str, *params: object, unless: frozenset[int] = REFUSED) -> bool:
        """Run one batch that may be refused; False where it was, with one of these error numbers."""
        try:
            self.run(sql, *params)
        except Refusal as error:
            if error.number in unless:
                return False
            raise
        return True

    def enter(self, database: str) -> None:
        """Go on in another database of the server."""
        if database != self.database:
            self.run(f"USE {identifier(database)}")
            self.database = database

    def _connect(self) -> Any:
        credential = self._credential
        if "\\" in credential.host:
            raise credential.invalid("host", "names an instance: write its port into the field port instead")
        context = client_context(rds=True) if credential.tls else None
        sock = connect(credential, port=PORT, deadline=self._deadline)
        transport = Transport(sock, host=credential.host, context=context, deadline=self._deadline)
        try:
            connection = pytds.connect(
                dsn=credential.host,
                port=credential.port(PORT),
                sock=transport,
                database=self.database,
                user=credential.username,
                password=credential.password,
                appname="keyturn",
                autocommit=True,
                login_timeout=0,  # one attempt: the transport says how long it may take
                disable_connect_retry=True,
            )
        except BaseException:
            sock.close()
            raise
        transport.logged_in = True
        return connection

    @contextmanager
    def _explained(self, *, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except NoTls:
            raise self.place.without_tls() from None
        except TlsRequired:
            check = "the field ssl of the secret: the server takes connections with TLS only"
            raise self.place.error(Kind.TLS, "the server insists on TLS", check) from None
        except Rerouted:
            what, check = "the server sends its clients to another address", "the host in the secret: name the one that clients end up at"
            raise self.place.error(Kind.NETWORK, what, check) from None
        except Garbled:
            raise self.place.error(Kind.NETWORK, "what answers is no SQL Server", "host and port in the secret") from None
        except (pytds.Error, OSError) as error:
            raise self._meaning(error, secret=secret) from None

    def _meaning(self, error: Exception, *, secret: bool) -> RotationError:
        # pytds wraps what it would have tried again in a TimeoutError.
        answered = error.__cause__ if isinstance(error, TimeoutError) and error.__cause__ else error
        if not isinstance(answered, pytds.DatabaseError) or not answered.number:
            return self.place.unanswered(answered)
        said = "" if secret else f": {_words(answered, hidden=self._credential.password)}"
        number = _number(answered)
        kind, check = explained(number)
        return Refusal(number, kind, f"the server answered with error {number}{said}", check, self.place)


class Refusal(RotationError):
    """The server's own refusal, by its error number."""

    def __init__(self, number: int, kind: Kind, what: str, check: str, place: Place) -> None:
        super().__init__(kind, what, check=check, secret=place.secret, host=place.host, user=place.user)
        self.number = number


def logs_in(credential: Credential, *, deadline: Deadline, database: str = MASTER) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline, database=database))


def standing(credential: Credential, *, deadline: Deadline) -> Standing:
    """The same by one attempt, of which a login that is locked after some bad ones has not many.

    Raises RotationError where it cannot say.
    """
    try:
        Session(credential, deadline=deadline).close()
    except Refusal as refused:
        if refused.number == DISABLED:
            return Standing.SHUT
        if refused.kind is Kind.AUTHENTICATION:
            return Standing.REFUSED
        if refused.kind is not Kind.PERMISSION:
            raise
    return Standing.TAKEN


def _number(error: Any) -> int:
    """Of the error that counts.

    A login whose password is right and whose database cannot be opened is told so, and then that it has failed: as with a wrong password,
    before which nothing is said. pytds has the words of both and the last number.
    """
    said_before = error.args[0] != error.text
    return NO_DATABASE if error.number == LOGIN_FAILED and said_before else int(error.number)


def _words(error: BaseException, *, hidden: str) -> str:
    return " ".join(str(error.args[0] if error.args else "").split()).replace(hidden, "***")[:LONGEST_WORDS]
