"""What Db2's SQLCODEs mean to whoever has to mend it. https://www.ibm.com/docs/en/db2/11.5?topic=messages-sql"""

import re

from keyturn_rotators.errors import Kind

SECURITY, COMMUNICATION = -30082, -30081
NO_CONNECT = -1060

_LOGIN = (Kind.AUTHENTICATION, "the password in the secret, and that the user exists on the instance (rdsadmin.list_users)")
_GRANTS = (Kind.PERMISSION, "the grants of the superuser, as the rotator's documentation lists them")
_DATABASE = (Kind.POLICY, "the field dbname of the secret")
_LOCKS = (Kind.SERVER, "long transactions, and other rotations of the same users; a failed rotation is tried again")
_RDS = (Kind.POLICY, "that the server is an RDS for Db2 instance and the superuser its master user: only RDS keeps users in the database")

_MEANINGS: dict[int, tuple[Kind, str]] = {
    SECURITY: _LOGIN,
    -1403: _LOGIN,
    NO_CONNECT: (Kind.PERMISSION, "GRANT CONNECT ON DATABASE to the user"),
    -551: _GRANTS,
    -552: _GRANTS,
    -556: (Kind.PERMISSION, "who has granted it, if the user has it at all"),
    -567: _GRANTS,
    -1092: _GRANTS,
    -1013: _DATABASE,
    -30061: _DATABASE,
    -440: _RDS,
    -204: _RDS,
    -438: (Kind.POLICY, "RDS's rules for names and passwords (PASSWORD_LENGTH, EXCLUDE_*), and that the user is none of RDS's own"),
    -443: (Kind.POLICY, "RDS's rules for names and passwords (PASSWORD_LENGTH, EXCLUDE_*), and that the user is none of RDS's own"),
    -911: _LOCKS,
    -913: _LOCKS,
    -1773: (Kind.SERVER, "that the host is the primary and not a standby"),
    -20576: (Kind.TLS, "that the server's certificate is for the host name in the secret"),
    -99999: (Kind.TLS, "the file of certificate authorities"),
}

REFUSED = frozenset({-551, -552, -556, -567, -1092})
"""A statement that the user lacks a right for."""
CODE = re.compile(r"SQLCODE=(-?\d+)")
REASON = re.compile(r'Protocol specific error code\(s\): "(\d+)"')
OF_TLS = range(400, 500)  # GSKit's
WHY = re.compile(r'reason "(\d+)"')
OF_ITS_CREDENTIAL = frozenset({2, 5, 6, 7, 19, 24})  # what the server says of a user and a password that it has looked at
EXPIRED = 1
CLOSED = 420  # by the other side, whatever for


def explained(code: int) -> tuple[Kind, str]:
    """The kind of a refusal, and what to check."""
    return _MEANINGS.get(code, (Kind.SERVER, "the instance's log"))


def not_of_its_credential(said: str) -> tuple[Kind, str] | None:
    """The kind and what to check where security processing has failed for another reason: that proves nothing about a password."""
    found = WHY.search(said)
    reason = int(found[1]) if found else None
    if reason in OF_ITS_CREDENTIAL:
        return None
    if reason == EXPIRED:
        return Kind.POLICY, "the user: its password has expired, and must be set once by RDS's procedures"
    return Kind.SERVER, "the instance's log: how it authenticates its users has failed, or does not take passwords"


def code_of(said: str) -> int | None:
    """The SQLCODE in a message of the driver's, which has it nowhere else."""
    found = CODE.search(said)
    return int(found[1]) if found else None


def is_of_tls(said: str) -> bool:
    """Whether a communication error is one of the handshake's."""
    found = REASON.search(said)
    return found is not None and 'used: "SSL"' in said and int(found[1]) in OF_TLS and int(found[1]) != CLOSED
