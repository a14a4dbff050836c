"""A login with the password that is valid now: what has to succeed before the one password of a user is changed.

It proves that whoever wrote the secret knows that very user's password at that very place, also where a superuser makes the change: without
it, a version with another's name would have that one's password changed.
"""

from collections.abc import Callable
from typing import TypeVar

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError

T = TypeVar("T")


def valid_login(
    login: Callable[[Credential], T],
    *,
    before: Credential,
    context: Context,
    differs: Callable[[Credential, Credential], str | None] = Credential.differs_from,
) -> T:
    """What `login` returns for AWSCURRENT's password, or for AWSPREVIOUS's after a promotion that was taken back.

    AWSPREVIOUS's is tried only where AWSCURRENT's is refused, and only for the user and the place of `before`, which is to be made valid.
    `differs` names a field of the connection, besides AWS's, that is not the same in two values. Raises RotationError as `login` does.
    """
    current = context.current()
    try:
        return login(current)
    except RotationError as refused:
        previous = context.previous()
        if refused.kind is not Kind.AUTHENTICATION or previous is None:
            raise
        if previous.username != before.username or previous.differs_from(before) or differs(previous, before):
            raise
        return login(previous)


def first_accepted(*credentials: Credential, login: Callable[[Credential], T]) -> T:
    """What `login` returns for the first that the back end takes. Raises the refusal of the last where it takes none."""
    *others, last = credentials
    for credential in others:
        try:
            return login(credential)
        except RotationError as refused:
            if refused.kind is not Kind.AUTHENTICATION:
                raise
    return login(last)


def same_user(old: Credential, current: Credential) -> None:
    """Raises RotationError where an older version is another user's."""
    if old.username != current.username:
        check = "which version was meant; the password of another user is ended by hand"
        raise RotationError(
            Kind.POLICY, "the version's user is not the current version's", check=check, secret=old.secret, user=old.username
        )


def same_connection(old: Credential, current: Credential, differs: Callable[[Credential, Credential], str | None]) -> None:
    """Raises RotationError where an older version leads elsewhere than the current one; `differs`: as for `valid_login`."""
    if name := differs(old, current):
        check = "who wrote the version, and whether its credential is still to be ended by hand"
        raise RotationError(Kind.POLICY, f"the version's {name} is not the current version's", check=check, secret=old.secret)
