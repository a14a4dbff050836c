"""Logins to Db2 that are verified, bounded in time, closed, and whose failures say what to check.

The driver is IBM's client, in C: it takes its options as one string, shakes hands by its own TLS, and says by words what went wrong.
"""

import atexit
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ibm_db_dbi

import keyturn_rotators
from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.db2.explanations import COMMUNICATION, REFUSED, SECURITY, code_of, explained, is_of_tls, not_of_its_credential
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import CA_BUNDLE, PACKAGED, client_context, rds_authorities

PORT = 50000
RDSADMIN = "rdsadmin"
FORBIDDEN = ";{}"  # in a password or a name, which stand in a string of options
LONGEST_WORDS = 300  # characters of a server's message
DIAGNOSTICS = "DB2_DIAGPATH"
OF_TLS_ITSELF = frozenset({-20576, -99999})

Row = tuple[Any, ...]


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline, database: str | None = None) -> None:
        """`database`: instead of the secret's."""
        self.database = database or credential.database(RDSADMIN)
        self.place = Place.of(credential, port=PORT, user=credential.username, suffix=f"/{self.database}")
        self._hidden = credential.password
        self._deadline = deadline
        options = self._options(credential)
        os.environ.setdefault(DIAGNOSTICS, tempfile.gettempdir())  # or the client writes its log where it is installed: read-only on Lambda
        with self._explained():
            _greet(credential, deadline)
            on = {ibm_db_dbi.SQL_ATTR_AUTOCOMMIT: ibm_db_dbi.SQL_AUTOCOMMIT_ON}
            self._connection: Any = ibm_db_dbi.connect(options, conn_options=on)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(ibm_db_dbi.Error):  # the server has closed it already
            self._connection.close()

    def run(self, sql: str, *params: object, secret: bool = False) -> list[Row]:
        """Run one statement; `?` in it is the next of `params`. `secret`: a password is among them, and the server may quote it."""
        self._deadline.remaining()
        with self._explained(secret=secret):
            cursor = self._connection.cursor()
            try:
                cursor.execute(sql, params or None)
                return list(cursor.fetchall()) if cursor.description else []
            finally:
                cursor.close()

    def attempt(self, sql: str, *params: object, unless: frozenset[int] = REFUSED) -> bool:
        """Run one statement that may be refused; False where it was, with one of these codes."""
        try:
            self.run(sql, *params)
        except Refusal as error:
            if error.code in unless:
                return False
            raise
        return True

    def _options(self, credential: Credential) -> str:
        """Raises RotationError where a field would say more than its value."""
        fields = {"DATABASE": self.database, "HOSTNAME": credential.host, "UID": credential.username, "PWD": credential.password}
        names = {"DATABASE": "dbname", "HOSTNAME": "host", "UID": "username", "PWD": "password"}
        for option, value in fields.items():
            if any(character in value for character in f"{FORBIDDEN}\0"):
                raise credential.invalid(names[option], f"has one of the characters {FORBIDDEN}, which the driver cannot take")
        seconds = math.ceil(self._deadline.remaining(at_most=CONNECT_WITHIN))
        whole = math.ceil(self._deadline.remaining())
        fields |= {"PORT": str(credential.port(PORT)), "PROTOCOL": "TCPIP", "ProgramName": "keyturn"}
        fields |= {"ConnectTimeout": str(seconds), "QueryTimeout": str(whole), "ReceiveTimeout": str(whole)}
        if credential.tls:
            fields |= {"SECURITY": "SSL", "SSLServerCertificate": authorities(), "SSLClientHostnameValidation": "Basic"}
        return "".join(f"{option}={value};" for option, value in fields.items())

    @contextmanager
    def _explained(self, *, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.place.unanswered(error) from None
        except (ibm_db_dbi.Error, ibm_db_dbi.Warning) as error:
            raise self._meaning(str(error), secret=secret) from None

    def _meaning(self, said: str, *, secret: bool) -> RotationError:
        code = code_of(said)
        if code in OF_TLS_ITSELF or (code == COMMUNICATION and is_of_tls(said)):
            check = f"the host name in the secret, and that the server's authority is known: Amazon RDS's, or the file of {CA_BUNDLE}"
            return self.place.error(Kind.TLS, "no TLS connection came about, or the certificate is not trusted", check)
        if code is None or code == COMMUNICATION:
            return self.place.unanswered(TimeoutError())
        told = "" if secret else f": {' '.join(said.split()).replace(self._hidden, '***')[:LONGEST_WORDS]}"
        kind, check = (not_of_its_credential(said) if code == SECURITY else None) or explained(code)
        return Refusal(code, kind, f"the server answered with SQLCODE {code}{told}", check, self.place)


class Refusal(RotationError):
    """The server's own refusal, by its SQLCODE."""

    def __init__(self, code: int, kind: Kind, what: str, check: str, place: Place) -> None:
        super().__init__(kind, what, check=check, secret=place.secret, host=place.host, user=place.user)
        self.code = code


def _greet(credential: Credential, deadline: Deadline) -> None:
    """See that the server answers, by TLS and with a certificate that is trusted, before the driver is let at it.

    The driver tries a host that is down for long, waits for ever for one that does not shake hands, and does not say which it was.
    """
    with connect(credential, port=PORT, deadline=deadline) as sock:
        if credential.tls:
            client_context(rds=True).wrap_socket(sock, server_hostname=credential.host).close()


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def _tried(credential: Credential, deadline: Deadline) -> None:
    with Session(credential, deadline=deadline) as session:
        session.run("VALUES CURRENT TIMESTAMP")


BACK_END = BackEnd(
    log_in=lambda credential, deadline: Session(credential, deadline=deadline), port=lambda _: PORT, tried=_tried, forbidden=FORBIDDEN
)


def identifier(name: str) -> str:
    """A name as it stands in the server's catalogue."""
    return '"' + name.replace('"', '""') + '"'


def authorities() -> str:
    """The file of those that are trusted: KEYTURN_CA_BUNDLE's, the zip's, or Amazon RDS's. Raises RotationError where it is of no use."""
    packaged = Path(keyturn_rotators.__file__).parents[1] / PACKAGED
    if named := os.environ.get(CA_BUNDLE) or (str(packaged) if packaged.is_file() else ""):
        client_context()  # which reads it, and says what is wrong with it
        return named
    return _written()


@cache
def _written() -> str:
    """The package's own authorities as a file, which a zip that is not unpacked has none of."""
    with tempfile.NamedTemporaryFile("w", prefix="keyturn-rds-", suffix=".pem", delete=False) as file:
        file.write(rds_authorities())
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
