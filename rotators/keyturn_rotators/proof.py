"""Whether a login is taken or refused: what setSecret asks before it changes anything, and what retiring has to prove.

A login that failed for any other reason than its credential proves nothing: the network, TLS or a server that is starting do not retire it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place


def is_taken(login: Callable[[], AbstractContextManager[object]]) -> bool:
    """Whether the back end takes the credential. Raises RotationError where it cannot say.

    `login` opens a session, which is closed at once, or raises RotationError.
    """
    try:
        with login():
            return True
    except RotationError as error:
        if error.kind is Kind.PERMISSION:
            return True  # the credential was taken; a right is missing, which is another matter
        if error.kind is Kind.AUTHENTICATION:
            return False
        raise


def prove_refused(taken: bool, place: Place) -> None:
    """Raises RotationError where a credential that was to be retired is still taken."""
    if taken:
        check = "what else lets it in: another server of the same name, a proxy that remembers logins, a rule that asks for no password"
        raise place.error(Kind.SERVER, "the old credential is still taken", check)
