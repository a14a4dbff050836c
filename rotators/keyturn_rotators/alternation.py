"""The names of two users in turn, by AWS's rule: `app` and `app_clone`, so that its secrets carry on."""

from keyturn_rotators.credential import Credential
from keyturn_rotators.errors import Kind, RotationError

SUFFIX = "_clone"


def alternate(user: str) -> str:
    """The other of the two names."""
    return user.removesuffix(SUFFIX) if user.endswith(SUFFIX) else user + SUFFIX


def base(user: str) -> str:
    """The name without the suffix, which both of a pair have in common."""
    return user.removesuffix(SUFFIX)


def next_user(current: Credential, *, longest: int, unit: str = "bytes") -> str:
    """Whose turn it is. Raises RotationError where the back end takes no name as long as that."""
    user = alternate(current.username)
    length = len(user.encode()) if unit == "bytes" else len(user)
    if length > longest:
        raise RotationError(
            Kind.POLICY,
            f"the second user's name would be longer than the {longest} {unit} that the back end takes",
            check="the user's name, or rotate it as SingleUser",
            secret=current.secret,
            user=user,
        )
    return user
