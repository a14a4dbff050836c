"""Logins to Oracle that are verified, bounded in time, closed, and whose failures say what to check.

The driver's thin mode waits for a server that does not answer for ever: its time-out is that of the TCP connection alone. Its asynchronous
half can be given up at any moment, so each session has an event loop of its own, and every call on it a time limit.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import oracledb

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.oracle.explanations import REFUSED, explained
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, Place
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 1521
CLOSE_WITHIN = 2.0  # seconds, for a goodbye that nobody needs
LONGEST_WORDS = 300  # characters of a server's message
LATER = frozenset({"DPY-6005", "DPY-4011", "DPY-6000", "DPY-4005"})  # what says by its cause what it was

Row = tuple[Any, ...]
T = TypeVar("T")


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline) -> None:
        self.service = service = credential.text("dbname")
        self.user = user_name(credential)
        self.place = Place.of(credential, port=PORT, user=credential.username, suffix=f"/{service}")
        self._hidden = credential.password
        self._deadline = deadline
        self._loop = asyncio.Runner()
        try:
            with self._explained():
                self._connection = self._run(self._connect(credential, service))
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        try:
            with suppress(oracledb.Error, OSError, TimeoutError, RotationError):  # closed already, or the step's time is over
                self._run(self._connection.close(), at_most=CLOSE_WITHIN)
        finally:
            self._loop.close()

    def run(self, sql: str, *params: object, secret: bool = False) -> list[Row]:
        """Run one statement; `:1` in it is the first of `params`. `secret`: a password is in it, and the server may quote it."""
        with self._explained(secret=secret):
            return self._run(self._execute(sql, params))

    def attempt(self, sql: str, *params: object, unless: frozenset[str] = REFUSED) -> bool:
        """Run one statement that may be refused; False where it was, with one of these errors."""
        try:
            self.run(sql, *params)
        except Refusal as error:
            if error.code in unless:
                return False
            raise
        return True

    def call(self, function: str, *params: object) -> int:
        """Call a function of the server's that gives a number."""
        with self._explained():
            return int(self._run(self._call(function, params)))

    async def _connect(self, credential: Credential, service: str) -> Any:
        tls = {"protocol": "tcps", "ssl_context": client_context(rds=True), "ssl_server_dn_match": True} if credential.tls else {}
        return await oracledb.connect_async(
            user=credential.username,
            password=credential.password,
            host=credential.host,
            port=credential.port(PORT),
            service_name=service,
            tcp_connect_timeout=self._deadline.remaining(at_most=CONNECT_WITHIN),
            retry_count=0,
            program="keyturn",
            **tls,
        )

    async def _execute(self, sql: str, params: tuple[object, ...]) -> list[Row]:
        with self._connection.cursor() as cursor:
            await cursor.execute(sql, list(params) or None)
            return list(await cursor.fetchall()) if cursor.description else []

    async def _call(self, function: str, params: tuple[object, ...]) -> Any:
        with self._connection.cursor() as cursor:
            return await cursor.callfunc(function, int, list(params))

    def _run(self, work: Coroutine[Any, Any, T], *, at_most: float | None = None) -> T:
        try:
            seconds = self._deadline.remaining(at_most=at_most)
        except BaseException:
            work.close()
            raise
        return self._loop.run(asyncio.wait_for(work, seconds))

    @contextmanager
    def _explained(self, *, secret: bool = False) -> Iterator[None]:
        try:
            yield
        except (oracledb.Error, OSError, TimeoutError) as error:
            raise self._meaning(error, secret=secret) from None

    def _meaning(self, error: Exception, *, secret: bool) -> RotationError:
        told: BaseException = error
        while _code(told) in LATER and isinstance(told.__cause__, oracledb.Error):
            told = told.__cause__
        code = _code(told)
        if not code or code in LATER:
            return self.place.unanswered(told)
        said = "" if secret else f": {_words(told, hidden=self._hidden)}"
        kind, check = explained(code)
        return Refusal(code, kind, f"the server answered with {code}{said}", check, self.place)


class Refusal(RotationError):
    """The server's own refusal, by its error."""

    def __init__(self, code: str, kind: Kind, what: str, check: str, place: Place) -> None:
        super().__init__(kind, what, check=check, secret=place.secret, host=place.host, user=place.user)
        self.code = code


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


def user_name(credential: Credential) -> str:
    """The user as the server writes it: in capitals, unless the secret has it in double quotes. Raises RotationError."""
    user = credential.username
    quoted = len(user) > 1 and user[0] == user[-1] == '"'
    name = user[1:-1] if quoted else user.upper()
    if '"' in name or not name:
        raise credential.invalid("username", "is no name of a user: it has a double quote")
    return name


def identifier(name: str) -> str:
    """A name as it stands in the server's catalogue, by the driver's own rule."""
    return oracledb.enquote_name(name, capitalize=False)


def _code(error: BaseException) -> str:
    return getattr(error.args[0], "full_code", "") if isinstance(error, oracledb.Error) and error.args else ""


def _words(error: BaseException, *, hidden: str) -> str:
    said = str(getattr(error.args[0], "message", "")).splitlines()
    return (said[0] if said else "").replace(hidden, "***")[:LONGEST_WORDS]
