"""TLS over a connection that is there, bounded in time."""

import socket
import ssl

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind
from keyturn_rotators.network import CONNECT_WITHIN, NO_TLS, Place
from keyturn_rotators.tls import client_context


def secured(sock: socket.socket, credential: Credential, place: Place, *, deadline: Deadline) -> socket.socket:
    """The socket with TLS, unless the credential says that it has none. Raises RotationError."""
    if not credential.tls:
        return sock
    sock.settimeout(deadline.remaining(at_most=CONNECT_WITHIN))
    try:
        return client_context().wrap_socket(sock, server_hostname=credential.host)
    except ssl.SSLError as error:
        raise place.unanswered(error) from None
    except OSError as error:  # a port without TLS may hang up, or wait for more
        what = f"the server does not answer as one that speaks TLS ({type(error).__name__})"
        raise place.error(Kind.TLS, what, f"the port, and {NO_TLS}") from None
