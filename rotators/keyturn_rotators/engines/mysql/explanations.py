"""What MySQL's and MariaDB's error numbers mean to whoever has to mend it.

https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and https://mariadb.com/docs/server/reference/error-codes
"""

from keyturn_rotators.errors import Kind

SYNTAX = 1064
ACCESS_DENIED = 1045  # at login: the password; later: a right
NO_SUCH_TABLE = 1146
NO_SUCH_LOGIN = 2012  # of Vitess, where no user of that name may log in by that way
NO_SUCH_THREAD = 1094
KILL_DENIED = 1095
USER_NOT_CHANGED = 1396
PASSWORD_POLICY = frozenset({1290, 1819, USER_NOT_CHANGED})
"""How MariaDB refuses a password that its validation finds too simple, and any hash where strict_password_validation is on."""
MISSING_CURRENT_PASSWORD = 3892
NO_SUCH_ROUTINE = 1305

_GRANTS = (Kind.PERMISSION, "the grants of the user, as the rotator's documentation lists them")
_LOGIN = (Kind.AUTHENTICATION, "the password in the secret, and that an account of the user for the function's address may log in")
_LIMITS = (Kind.SERVER, "the connection limits of the user and the server")
_JUDGED_BY = "the server's password policy: length and classes (PASSWORD_LENGTH, EXCLUDE_*), and its password history"
_PASSWORD = (Kind.POLICY, _JUDGED_BY)
PASSWORD_REFUSED = (Kind.POLICY, "the server refused the new password", f"{_JUDGED_BY}; and whether somebody else changes the user")
_WRITER = (Kind.SERVER, "that the host is the writer and not a read-only replica, and the server's options")
_LOCKS = (Kind.SERVER, "long transactions, and other rotations of the same users; a failed rotation is tried again")

_MEANINGS: dict[int, tuple[Kind, str]] = {
    1040: _LIMITS,
    1044: _GRANTS,
    1049: (Kind.POLICY, "the field dbname of the secret"),
    1053: (Kind.SERVER, "whether the server is stopping"),
    KILL_DENIED: _GRANTS,
    1129: (Kind.SERVER, "what else connects from the function's address: the server has blocked it (FLUSH HOSTS)"),
    1130: _LOGIN,
    1133: (Kind.POLICY, "that the user exists"),
    1142: _GRANTS,
    1143: _GRANTS,
    1203: _LIMITS,
    1205: _LOCKS,
    1226: _LIMITS,
    1227: _GRANTS,
    1290: _WRITER,
    1370: _GRANTS,
    USER_NOT_CHANGED: (
        Kind.SERVER,
        "whether somebody else changes the same user, or the user is a role or may be changed by other admins only",
    ),
    1410: _GRANTS,
    1524: (Kind.POLICY, "the user's authentication plugin, which the server has not loaded"),
    1698: _LOGIN,
    1792: _WRITER,
    1819: _PASSWORD,
    1820: (Kind.POLICY, "the user: its password has expired and must be changed by hand once (ALTER USER)"),
    1836: _WRITER,
    1862: (Kind.POLICY, "the user: its password has expired and must be changed by hand once (ALTER USER)"),
    NO_SUCH_LOGIN: _LOGIN,
    3118: _LOGIN,
    3159: (Kind.TLS, "the field ssl of the secret: the server takes connections with TLS only"),
    3638: _PASSWORD,
    3955: (Kind.POLICY, "FAILED_LOGIN_ATTEMPTS of the user: it is locked for a time, because somebody uses a wrong password"),
    4151: _LOGIN,
}

REFUSED = frozenset({1044, ACCESS_DENIED, 1142, 1143, 1227, 1370, 1410, 1698, 1959, 3530, 3902})
"""A statement that the user lacks a right for; a role that it may not pass on (1959 MariaDB, 3530 and 3902 MySQL)."""


def explained(number: int, *, at_login: bool) -> tuple[Kind, str]:
    """The kind of a refusal, and what to check."""
    if number == ACCESS_DENIED:
        return _LOGIN if at_login else _GRANTS
    return _MEANINGS.get(number, (Kind.SERVER, "the server's error log"))
