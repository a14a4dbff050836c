"""What SQL Server's error numbers mean to whoever has to mend it.

https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors
"""

from keyturn_rotators.errors import Kind

LOGIN_FAILED = 18456
NO_DATABASE = 4060
DISABLED = 18470  # the login's password is right, and it may not log in
NOT_ALLOWED_OR_NOT_THERE = 15151
NO_SUCH_SESSION = frozenset({6106, 6101})

_LOGIN = (Kind.AUTHENTICATION, "the password in the secret, and that the login exists, is enabled and may connect")
_GRANTS = (Kind.PERMISSION, "the grants of the login, as the rotator's documentation lists them")
_PASSWORD = (Kind.POLICY, "the server's password policy: length and classes (PASSWORD_LENGTH, EXCLUDE_*), minimum age and history")
_WRITER = (Kind.SERVER, "that the host is the primary and not a read-only replica")
_DATABASE = (Kind.POLICY, "the field dbname of the secret, and that the login has a user in that database")
_LIMITS = (Kind.SERVER, "the connection limits of the server, and whether it is in single-user mode")
_LOCKS = (Kind.SERVER, "long transactions, and other rotations of the same logins; a failed rotation is tried again")

_MEANINGS: dict[int, tuple[Kind, str]] = {
    229: _GRANTS,
    230: _GRANTS,
    262: _GRANTS,
    297: _GRANTS,
    300: _GRANTS,
    911: _DATABASE,
    916: (Kind.PERMISSION, "that the superuser has a user in each database that the application's login can enter"),
    976: _WRITER,
    978: _WRITER,
    1205: _LOCKS,
    1222: _LOCKS,
    3906: (Kind.SERVER, "that the host is the primary, and that the database which the message names is not READ_ONLY"),
    NO_DATABASE: _DATABASE,
    4064: (Kind.POLICY, "the login's default database"),
    4613: _GRANTS,
    4834: _GRANTS,
    6102: _GRANTS,
    15023: (Kind.POLICY, "the user of that name, which belongs to another login: ALTER USER ... WITH LOGIN, or drop it"),
    15113: (Kind.POLICY, "whether somebody uses a wrong password: the login is locked for a time"),
    15114: _PASSWORD,
    15115: _PASSWORD,
    15116: _PASSWORD,
    15117: _PASSWORD,
    15118: _PASSWORD,
    15119: _PASSWORD,
    NOT_ALLOWED_OR_NOT_THERE: _GRANTS,
    15138: (Kind.POLICY, "what the user owns in that database: ALTER AUTHORIZATION on it, to a role"),
    15247: _GRANTS,
    17809: _LIMITS,
    18401: (Kind.SERVER, "whether the server is starting or being upgraded"),
    18452: _LOGIN,
    LOGIN_FAILED: _LOGIN,
    18461: _LIMITS,
    DISABLED: _LOGIN,
    18486: (Kind.POLICY, "whether somebody uses a wrong password: the login is locked out (ALTER LOGIN ... UNLOCK)"),
    18487: (Kind.POLICY, "the login: its password has expired, and must be changed by hand once"),
    18488: (Kind.POLICY, "the login: its password must be changed by hand once (MUST_CHANGE)"),
}

REFUSED = frozenset({229, 230, 262, 297, 300, 916, 4613, 4834, 6102, NOT_ALLOWED_OR_NOT_THERE, 15247})
"""A statement that the login lacks a right for."""


def explained(number: int) -> tuple[Kind, str]:
    """The kind of a refusal, and what to check."""
    return _MEANINGS.get(number, (Kind.SERVER, "the server's error log"))
