"""Logins to PostgreSQL that are verified, bounded in time, closed, and whose failures say what to check."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import scramp  # type: ignore[import-untyped]  # it has no type hints
from pg8000.converters import identifier, literal
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 5432
DATABASE = "postgres"
LOCK_WITHIN = 3  # seconds; a lock that we wait for holds up the app's own statements behind us
# Whoever owns the database can set defaults for our session: names are looked up nowhere but where the server's own things are. And there
# may be defaults for the app's sessions that would end ours, or let it change nothing.
PREPARE = """
SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.set_config('search_path', '', false),
       pg_catalog.set_config('standard_conforming_strings', 'on', false), pg_catalog.set_config('lock_timeout', '{lock}s', false),
       pg_catalog.set_config('statement_timeout', '{limit}ms', false),
       pg_catalog.set_config('default_transaction_read_only', 'off', false),
       pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
       (SELECT pg_catalog.count(pg_catalog.set_config(name, '0', false)) FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=)
          ANY (ARRAY['idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout']))
"""
CLEARTEXT_PASSWORD = 3  # AuthenticationCleartextPassword of the frontend/backend protocol
NO_RULE = "28000"  # invalid authorization: no rule of pg_hba.conf, among others
TLS_ONLY = ("no encryption", "SSL off")  # in the words of a server without a rule for a login in plaintext, the second before PostgreSQL 14
REFUSED_CHANGES = frozenset({"42501", "0LP01", "2BP01"})  # insufficient privilege, invalid grant, dependent objects

__all__ = ["Session", "identifier", "literal", "logs_in", "verifier"]


class _Connection(Connection):  # type: ignore[misc]  # pg8000 has no type hints
    """pg8000's connection with two things that it lacks."""

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: object) -> None:
        """Never hand the password over in the clear: a server that asks for it so may be anybody's."""
        asked = int.from_bytes(data[:4], "big")
        if asked == CLEARTEXT_PASSWORD and not isinstance(self._usock, ssl.SSLSocket):
            raise InterfaceError("cleartext password without TLS")
        super().handle_AUTHENTICATION_REQUEST(data, context)

    def limit(self, seconds: float) -> None:
        """How long the next answer may take."""
        self._usock.settimeout(seconds)


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only.

    `version` is server_version_num, e.g. 180004.
    """

    def __init__(self, credential: Credential, *, deadline: Deadline, database: str | None = None) -> None:
        self.user = credential.username
        self.database = database or credential.database(DATABASE)
        self._credential = credential
        self._deadline = deadline
        self.place = Place.of(credential, port=PORT, user=self.user, suffix=f"/{self.database}")
        with self._explained():
            self._connection = self._connect()
        try:
            limit = int(deadline.remaining() * 1000) + 1
            self.version = int(self.run(PREPARE.format(lock=LOCK_WITHIN, limit=limit))[0][0])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._connection.close()
        except (InterfaceError, OSError):
            return  # the server has closed it already

    def run(self, sql: str, **params: object) -> list[list[Any]]:
        """Run one statement; `:name` in it is a parameter."""
        with self._explained():
            self._connection.limit(self._deadline.remaining())
            rows: list[list[Any]] | None = self._connection.run(sql, **params)
            return rows or []

    def attempt(self, sql: str) -> bool:
        """Run one statement that this user may be refused; False where it was."""
        try:
            self._connection.limit(self._deadline.remaining())
            self._connection.run(sql)
        except DatabaseError as error:
            if _sqlstate(error) in REFUSED_CHANGES:
                return False
            raise self._answered(error) from None
        except (InterfaceError, OSError) as error:
            raise self._unanswered(error) from None
        return True

    def as_itself(self) -> Self:
        """Act as the user that has logged in, whatever role its settings put it into."""
        self.run("SET ROLE NONE")
        return self

    def elsewhere(self, database: str) -> "Session":
        """The same login in another database."""
        return Session(self._credential, deadline=self._deadline, database=database)

    def _connect(self) -> _Connection:
        credential = self._credential
        sock = connect(credential, port=PORT, deadline=self._deadline)
        try:
            return _Connection(
                credential.username,
                password=credential.password,
                host=credential.host,
                database=self.database,
                sock=sock,
                ssl_context=client_context(rds=True) if credential.tls else False,
                application_name="keyturn",
            )
        except BaseException:
            sock.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise self._answered(error) from None
        except (InterfaceError, OSError, scramp.ScramException) as error:
            raise self._unanswered(error) from None

    def _answered(self, error: DatabaseError) -> RotationError:
        state = _sqlstate(error)
        said = _words(error, hidden=self._credential.password)
        kind, check = _EXPLANATIONS.get(state) or _CLASSES.get(state[:2]) or (Kind.SERVER, "the server's log")
        if state == NO_RULE and not self._credential.tls and any(words in said for words in TLS_ONLY):
            kind, check = Kind.TLS, "the field ssl of the secret: the server takes this login with TLS only"
        return self.place.error(kind, f"the server answered: {said} (SQLSTATE {state})", check)

    def _unanswered(self, error: Exception) -> RotationError:
        if "refuses SSL" in str(error):
            return self.place.without_tls()
        if "cleartext" in str(error):
            check = "the server's pg_hba.conf: it should ask for scram-sha-256"
            return self.place.error(Kind.POLICY, "the server asked for the password in the clear, without TLS", check)
        if isinstance(error, scramp.ScramException):
            what = "the server does not know the password's verifier"
            # Of the password it says nothing, and must not pass for its refusal, which retiring takes for its proof.
            check = "that the host is the right server, and that the password has no control characters and no emoji"
            return self.place.error(Kind.SERVER, what, check)
        return self.place.unanswered(error)


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def _tried(credential: Credential, deadline: Deadline) -> None:
    with Session(credential, deadline=deadline) as session:
        session.run("SELECT pg_catalog.now()")


BACK_END = BackEnd(log_in=lambda credential, deadline: Session(credential, deadline=deadline), port=lambda _: PORT, tried=_tried)


def verifier(password: str) -> str:
    """What PostgreSQL stores of a password, so that the password itself never reaches the server or its logs.

    https://www.postgresql.org/docs/current/catalog-pg-authid.html
    """
    salt, stored_key, server_key, iterations = scramp.ScramMechanism().make_auth_info(password)
    encoded = [_base64(value) for value in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def _sqlstate(error: DatabaseError) -> str:
    return str(_part(error, "C"))


def _words(error: DatabaseError, *, hidden: str) -> str:
    said = ": ".join(text for text in (_part(error, "M"), _part(error, "D")) if text)
    return said.replace(hidden, "***")


def _part(error: DatabaseError, name: str) -> str:
    answer = error.args[0] if error.args else {}
    return str(answer.get(name, "")) if isinstance(answer, dict) else ""


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_EXPLANATIONS = {
    "28P01": (Kind.AUTHENTICATION, "the password in the secret, and that the user may log in"),
    "28000": (Kind.AUTHENTICATION, "that the user exists and may log in, and pg_hba.conf"),
    "25006": (Kind.SERVER, "that the host is the writer, and not a reader or a standby"),
    "3D000": (Kind.POLICY, "the field dbname of the secret"),
    "42501": (Kind.PERMISSION, "the grants of the user, as the rotator's documentation lists them"),
    "53300": (Kind.SERVER, "the connection limits of the user, the database and the server"),
    "55P03": (Kind.SERVER, "long transactions, and other rotations of the same users; a failed rotation is tried again"),
    "57014": (Kind.SERVER, "statement_timeout of the user, and locks on the server"),
}
_CLASSES = {
    "22": (Kind.POLICY, "the server's password policy"),
    "57": (Kind.SERVER, "whether the server is starting, stopping or a standby"),
    "08": (Kind.NETWORK, "the connection between function and server"),
}
