"""Logins to MySQL and MariaDB that are verified, bounded in time, closed, and whose failures say what to check."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from pymysql.connections import Connection
from pymysql.constants import CR
from pymysql.err import InterfaceError, MySQLError

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mysql import ed25519
from keyturn_rotators.engines.mysql.explanations import NO_SUCH_LOGIN, REFUSED, SYNTAX, explained
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 3306
LOCK_WITHIN = 3  # seconds; a lock that we wait for holds up the app's own statements behind us
LONGEST_WORDS = 300  # characters of a server's message
CLIENT_ERRORS = frozenset(range(2000, 3000)) - {NO_SUCH_LOGIN}  # the driver's own: no answer, or not one that it understands
# SHOW GRANTS is written by the rules of the session, and a GRANT must never make a user without a password.
MODE = "STRICT_TRANS_TABLES"
MODE_OF_MARIADB = f"{MODE},NO_AUTO_CREATE_USER"

Row = tuple[Any, ...]


class NotOffered(Exception):
    """The server asked for the password in a way in which it is not told."""


class _Refuse:
    """An authentication plugin that hands over the password, or a hash that is as good as it, to whoever asks."""

    def __init__(self, connection: object) -> None: ...

    def authenticate(self, packet: object) -> None:
        raise NotOffered


class _Ed25519:
    """MariaDB's ed25519, without the C library that the driver would ask for."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        connection = self._connection
        connection.write_packet(ed25519.sign(connection.password, packet.read_all()))
        answer = connection._read_packet()
        answer.check_error()
        return answer


PLUGINS = {"mysql_clear_password": _Refuse, "mysql_old_password": _Refuse, "dialog": _Refuse, "client_ed25519": _Ed25519}


class _Connection(Connection):  # type: ignore[misc]  # PyMySQL has no type hints
    """PyMySQL's connection, each of whose reads and writes ends with the step, and which knows how it has logged in."""

    def __init__(self, deadline: Deadline, **options: object) -> None:
        self._deadline = deadline
        self.plugin = ""
        super().__init__(defer_connect=True, **options)

    @property
    def _read_timeout(self) -> float:
        return self._deadline.remaining()

    @_read_timeout.setter
    def _read_timeout(self, seconds: float | None) -> None: ...

    _write_timeout = _read_timeout

    def _get_server_information(self) -> None:
        super()._get_server_information()
        self.plugin = self._auth_plugin_name

    def _process_auth(self, plugin_name: bytes, auth_packet: object, handler: object = None) -> object:
        self.plugin = plugin_name.decode("ascii", "replace")
        return super()._process_auth(plugin_name, auth_packet, handler)


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline, database: bool = False) -> None:
        """`database`: also enter the one that the secret names."""
        self.user = credential.username
        self.mariadb = False
        self._credential = credential
        self._deadline = deadline
        self._database = credential.database("") if database else ""
        self.place = Place.of(credential, port=PORT, user=self.user, suffix=f"/{self._database}" if self._database else "")
        with self._explained(at_login=True):
            self._connection = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(MySQLError, OSError, RotationError):  # the server has closed it already, or the step's time is over
            self._connection.close()

    def prepared(self) -> Self:
        """Ready to read and change rights: learns which server this is, and makes the session's settings ours."""
        [(version,)] = self.run("SELECT VERSION()")
        self.mariadb = "mariadb" in str(version).lower()
        mode = MODE_OF_MARIADB if self.mariadb else MODE
        self.run(f"SET SESSION sql_mode = '{mode}', SESSION lock_wait_timeout = {LOCK_WITHIN}, SESSION sql_quote_show_create = 1")
        return self

    @property
    def plugin(self) -> str:
        """The plugin by which the server asked for the password, by its name on the server's side."""
        return str(self._connection.plugin).removeprefix("client_")

    @property
    def host(self) -> str:
        """The host part of the account that the login matched."""
        return str(self.run("SELECT CURRENT_USER()")[0][0]).rpartition("@")[2]

    def run(self, sql: str, *params: object, secret: bool = False) -> list[Row]:
        """Run one statement; `%s` in it is the next of `params`. `secret`: a password is in it, and the server may quote it."""
        with self._explained(secret=secret), self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return list(cursor.fetchall())

    def attempt(self, sql: str, *params: object, unless: frozenset[int] = REFUSED, secret: bool = False) -> bool:
        """Run one statement that may be refused; False where it was, with one of these error numbers."""
        try:
            self.run(sql, *params, secret=secret)
        except Refusal as error:
            if error.number in unless:
                return False
            raise
        return True

    def _connect(self) -> _Connection:
        credential = self._credential
        connection = _Connection(
            self._deadline,
            user=credential.username,
            password=credential.password.encode(),
            host=credential.host,
            database=self._database or None,
            ssl=client_context(rds=True) if credential.tls else None,
            ssl_disabled=not credential.tls,
            auth_plugin_map=PLUGINS,
            program_name="keyturn",
            charset="utf8mb4",
            autocommit=True,
        )
        connection.connect(connect(credential, port=PORT, deadline=self._deadline))
        return connection

    @contextmanager
    def _explained(self, *, at_login: bool = False, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except NotOffered:
            what = "the server asked for the password in a way that would give it away"
            check = "the user's authentication plugin: mysql_native_password, caching_sha2_password, sha256_password or ed25519"
            raise self.place.error(Kind.POLICY, what, check) from None
        except (MySQLError, OSError, RuntimeError) as error:
            raise self._meaning(error, at_login=at_login, secret=secret) from None

    def _meaning(self, error: Exception, *, at_login: bool, secret: bool) -> RotationError:
        number = error.args[0] if isinstance(error, MySQLError) and error.args else None
        if isinstance(error, RuntimeError):  # PyMySQL's, where a package is not installed
            what = "without TLS, caching_sha2_password and sha256_password need the package cryptography, which is not there"
            return self.place.error(Kind.TLS, what, "the field ssl of the secret: it should not be false")
        if number == CR.CR_SSL_CONNECTION_ERROR:
            return self.place.without_tls()
        if not isinstance(number, int) or number in CLIENT_ERRORS or isinstance(error, InterfaceError):
            return self.place.unanswered(error)
        said = "" if secret else f": {_words(error, hidden=self._credential.password)}"
        kind, check = explained(number, at_login=at_login)
        if at_login and kind is Kind.AUTHENTICATION and not self._credential.tls:
            check += "; and whether it may without TLS, as the secret says by its field ssl"
        return Refusal(number, kind, f"the server answered with error {number}{said}", check, self.place)


class Refusal(RotationError):
    """The server's own refusal, by its error number."""

    def __init__(self, number: int, kind: Kind, what: str, check: str, place: Place) -> None:
        super().__init__(kind, what, check=check, secret=place.secret, host=place.host, user=place.user)
        self.number = number

    @property
    def syntax(self) -> bool:
        """Whether the server does not know the statement. Vitess says so in words only."""
        return self.number == SYNTAX or "syntax error" in self.what


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def _tried(credential: Credential, deadline: Deadline) -> None:
    """In the app's database."""
    with Session(credential, deadline=deadline, database=True) as session:
        session.run("SELECT CURRENT_USER()")


BACK_END = BackEnd(log_in=lambda credential, deadline: Session(credential, deadline=deadline), port=lambda _: PORT, tried=_tried)


def _words(error: Exception, *, hidden: str) -> str:
    said = " ".join(str(part) for part in error.args[1:])
    return said.replace(hidden, "***")[:LONGEST_WORDS]
