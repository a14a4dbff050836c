"""Connections that are bounded in time, and whose failures are sorted alike for every engine."""

import socket
import ssl
from dataclasses import dataclass

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.tls import CA_BUNDLE

CONNECT_WITHIN = 5.0  # seconds, as AWS's functions
NO_ANSWER = "host and port, the security groups of function and server, routes, and that the server is up"
NO_TLS = 'the server; where it shall have none, "ssl": false in the secret'


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an error says about where it happened."""

    secret: str | None = None
    host: str | None = None
    user: str | None = None

    @classmethod
    def of(cls, credential: Credential, *, port: int, user: str | None = None, suffix: str = "") -> "Place":
        """`port`: the engine's default. `suffix` follows the port, as in host:5432/database."""
        return cls(secret=credential.secret, host=f"{credential.host}:{credential.port(port)}{suffix}", user=user)

    def error(self, kind: Kind, what: str, check: str) -> RotationError:
        return RotationError(kind, what, check=check, secret=self.secret, host=self.host, user=self.user)

    def unanswered(self, error: BaseException) -> RotationError:
        """What an error of the connection means: of a socket, of TLS, or of a driver that raises its own `from` one of these."""
        cause = _cause(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            check = f"the host name in the secret, and that the server's authority is known: the system's, or the file of {CA_BUNDLE}"
            why = getattr(cause, "verify_message", None) or "it cannot be verified"  # only the ssl module's own errors have one
            return self.error(Kind.TLS, f"the server's certificate is not trusted: {why}", check)
        if isinstance(cause, ssl.SSLError):
            return self.error(
                Kind.TLS, f"no TLS connection came about ({getattr(cause, 'reason', None)})", "the server's TLS versions and certificate"
            )
        return self.error(Kind.NETWORK, f"no answer from the server ({type(cause).__name__})", NO_ANSWER)

    def without_tls(self) -> RotationError:
        """The server has no TLS, and the secret asks for it."""
        return self.error(Kind.TLS, "the server offers no TLS", NO_TLS)


def connect(credential: Credential, *, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection to the credential's host, without TLS as yet; its time-out is what is left of the step. Raises OSError.

    `port`: the engine's default. What is sent is sent at once: drivers send a statement in several parts, the second of which would wait
    for the first one's acknowledgement, which servers delay by 40 ms.
    """
    sock = reach(credential.host, credential.port(port), deadline=deadline)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(deadline.remaining())
    except BaseException:
        sock.close()
        raise
    return sock


def reach(host: str, port: int, *, deadline: Deadline) -> socket.socket:
    """A TCP connection, to the first of the host's addresses that answers: there may be more than the step has time for.

    Raises OSError, also where the host cannot be a name (an empty part), which Python calls a ValueError.
    """
    failed: OSError | None = None
    try:
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                return socket.create_connection((str(address[0]), port), timeout=deadline.remaining(at_most=CONNECT_WITHIN))
            except OSError as error:
                failed = error
                if deadline.clock() >= deadline.at:
                    break
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
    raise failed or OSError("no address")


def _cause(error: BaseException) -> BaseException:
    """The first error of the operating system or of TLS among the causes; the error itself where there is none."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__cause__ or seen.__context__
    return seen or error.__cause__ or error
