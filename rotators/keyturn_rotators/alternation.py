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


class InTurn:
    """What the strategies with two users have in common, where the name is all that tells whose a version is."""

    principal = ("username",)

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == alternate(current.username) else "username"


def no_partner(old: Credential) -> RotationError:
    """For a version that is neither of the two users', in whose name nothing must be done."""
    check = "which version was meant; a user that is neither of the two is ended by hand"
    return RotationError(
        Kind.POLICY, "the version's user is not the current one's partner", check=check, secret=old.secret, user=old.username
    )
