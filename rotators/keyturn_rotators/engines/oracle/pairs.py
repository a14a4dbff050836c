"""The names of two users in turn, by AWS's rule for Oracle: `APP` and `APP_CLONE`, in capitals."""

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.oracle.connection import user_name
from keyturn_rotators.errors import Kind, RotationError

SUFFIX = "_CLONE"
LONGEST_NAME = 128  # bytes, from 12.2 on


def partner(name: str) -> str:
    """The other of the two names. Of a name in mixed case, which the secret quotes, too."""
    return name[: -len(SUFFIX)] if name.upper().endswith(SUFFIX) else name + SUFFIX


def base(name: str) -> str:
    """The name without the suffix, which both of a pair have in common."""
    return name[: -len(SUFFIX)] if name.upper().endswith(SUFFIX) else name


def next_user(current: Credential) -> str:
    """Whose turn it is, as the secret writes it. Raises RotationError where the server takes no name as long as that."""
    name = partner(user_name(current))
    if len(name.encode()) > LONGEST_NAME:
        what = f"the second user's name would be longer than the {LONGEST_NAME} bytes that the server takes"
        check = "the user's name, or rotate it as SingleUser"
        raise RotationError(Kind.POLICY, what, check=check, secret=current.secret, user=name)
    return name if name == name.upper() else f'"{name}"'


def is_partner(one: Credential, other: Credential) -> bool:
    return user_name(one) == partner(user_name(other))
