"""Logins to Redis that are verified, bounded in time, closed, and whose failures say what to check."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.redis.protocol import NotRedis, Reply, ServerError, Stream
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, NO_TLS, Place, connect
from keyturn_rotators.proof import is_taken
from keyturn_rotators.tls import client_context

PORT = 6379
LONGEST_WORDS = 300  # characters of a server's message

RIGHTS = "the ACL rules of the user, which the engine's page lists"
EXPLAINED = {
    "WRONGPASS": (Kind.AUTHENTICATION, "the password in the secret, and that the user is on (ACL LIST)"),
    "NOAUTH": (Kind.AUTHENTICATION, "the user name and the password in the secret"),
    "NOPERM": (Kind.PERMISSION, RIGHTS),
    "DENIED": (Kind.POLICY, "protected-mode of the server, and that it has a password"),
    "LOADING": (Kind.SERVER, "whether the server has started; a failed rotation is tried again"),
}
WITHOUT_USERS = ("ERR unknown command", "ERR wrong number of arguments for 'auth'")
NO_USERS = (
    Kind.POLICY,
    "that the server is Redis 6 or later, and that no command was renamed; users of ElastiCache and MemoryDB are the engine elasticache's",
)
OTHERWISE = (Kind.SERVER, "the server's log; a failed rotation is tried again")


class Refusal(RotationError):
    """The server's own refusal."""

    def __init__(self, said: str, place: Place, *, doing: str) -> None:
        self.said = said
        kind, check = NO_USERS if said.startswith(WITHOUT_USERS) else EXPLAINED.get(said.partition(" ")[0], OTHERWISE)
        super().__init__(kind, f"{doing} was answered with {said}", check=check, secret=place.secret, host=place.host, user=place.user)


class Session:
    """One login: `with Session(credential, deadline=...) as session`. Raises RotationError only."""

    def __init__(self, credential: Credential, *, deadline: Deadline) -> None:
        self.user = credential.username
        self.place = Place.of(credential, port=PORT, user=self.user)
        self._hidden = credential.password
        with self._explained("the connection"):
            sock = connect(credential, port=PORT, deadline=deadline)
        self._stream = Stream(sock, deadline)
        try:
            if credential.tls:
                self._stream = Stream(self._secured(sock, credential, deadline), deadline)
            self.run("AUTH", self.user, credential.password)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):  # the server has closed it already
            self._stream.close()

    def run(self, *words: str) -> Reply:
        """Run one command."""
        with self._explained(" ".join(words[:2]) if words[0] == "ACL" else words[0]):
            return self._stream.call(*words)

    def _secured(self, sock: socket.socket, credential: Credential, deadline: Deadline) -> socket.socket:
        sock.settimeout(deadline.remaining(at_most=CONNECT_WITHIN))
        try:
            return client_context().wrap_socket(sock, server_hostname=credential.host)
        except ssl.SSLError as error:
            raise self.place.unanswered(error) from None
        except OSError as error:  # a Redis without TLS takes the handshake for a command, and answers it or hangs up
            what = f"the server does not answer as one that speaks TLS ({type(error).__name__})"
            raise self.place.error(Kind.TLS, what, f"the port, and {NO_TLS}") from None

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except ServerError as error:
            said = str(error).replace(self._hidden, "***")[:LONGEST_WORDS]
            raise Refusal(said, self.place, doing=doing) from None
        except NotRedis:
            raise self.place.error(Kind.SERVER, "the server does not speak Redis' protocol", "host and port in the secret") from None
        except OSError as error:
            raise self.place.unanswered(error) from None


def logs_in(credential: Credential, *, deadline: Deadline) -> bool:
    """Whether the server takes the credential. Raises RotationError where it cannot say."""
    return is_taken(lambda: Session(credential, deadline=deadline))


BACK_END = BackEnd(log_in=lambda credential, deadline: Session(credential, deadline=deadline), port=lambda _: PORT)
