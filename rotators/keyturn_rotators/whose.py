"""Whose a credential is: what an engine sees to before it does anything in a user's name."""

from collections.abc import Callable
from typing import TypeVar

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError

Login = TypeVar("Login")


def login_before(
    login: Callable[[Credential], Login],
    pending: Credential,
    context: Context,
    *,
    differs: Callable[[Credential, Credential], str | None] | None = None,
) -> Login:
    """Log in with the credential that is valid before `pending` is: AWSCURRENT's, or AWSPREVIOUS's after a promotion that was taken back.

    Whoever wrote the secret knows that one, or nothing is done in its user's name. AWSPREVIOUS's counts only if it is the same user's, at
    the same place. `differs` names a field of the connection, besides AWS's, that is not the same in two values. Raises as `login` does.
    """
    try:
        return login(context.current())
    except RotationError as refused:
        previous = context.previous()
        if refused.kind is not Kind.AUTHENTICATION or previous is None:
            raise
        if previous.username != pending.username or previous.differs_from(pending) or (differs and differs(previous, pending)):
            raise
    return login(previous)


def refuse_another(field: str | None, old: Credential) -> None:
    """Raises RotationError if an older version has another user, or leads elsewhere, than the current one.

    `field`: the first one that tells so, as an engine's `is_successor` does, or None.
    """
    if field:
        check = "which version was meant, and who wrote it; the credential of another user or server is ended by hand"
        raise RotationError(Kind.POLICY, f"the version's {field} is not the current version's", check=check, secret=old.secret)
