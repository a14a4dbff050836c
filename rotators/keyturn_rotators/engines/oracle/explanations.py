"""What Oracle's error numbers mean to whoever has to mend it. https://docs.oracle.com/en/error-help/db/"""

from keyturn_rotators.errors import Kind

LOGIN_DENIED = "ORA-01017"
LOCKED = "ORA-28000"
NO_SUCH_SESSION = frozenset({"ORA-00030", "ORA-00031", "ORA-00026"})  # gone, marked as killed, or another by now
NOT_DECLARED = frozenset({"ORA-06550", "ORA-00942", "ORA-04067"})  # a package or view that is not there, or not for us

_LOGIN = (Kind.AUTHENTICATION, "the password in the secret, and that the user exists and its account is open")
_GRANTS = (Kind.PERMISSION, "the grants of the user, as the rotator's documentation lists them")
_PASSWORD = (
    Kind.POLICY,
    "the user's profile: its PASSWORD_VERIFY_FUNCTION (PASSWORD_LENGTH, EXCLUDE_*) and PASSWORD_REUSE_TIME and _MAX",
)
_SERVICE = (Kind.POLICY, "the field dbname of the secret: a service that the listener knows")
_LIMITS = (Kind.SERVER, "the limits of sessions of the server and of the user's profile")
_STARTING = (Kind.SERVER, "whether the server is starting, stopping or a standby")
_LOCKS = (Kind.SERVER, "long transactions, and other rotations of the same users; a failed rotation is tried again")

_MEANINGS: dict[str, tuple[Kind, str]] = {
    "ORA-00018": _LIMITS,
    "ORA-00020": _LIMITS,
    "ORA-00054": _LOCKS,
    "ORA-00942": _GRANTS,
    "ORA-00988": _PASSWORD,
    "ORA-00990": _GRANTS,
    "ORA-01005": _LOGIN,
    LOGIN_DENIED: _LOGIN,
    "ORA-01031": _GRANTS,
    "ORA-01033": _STARTING,
    "ORA-01034": _STARTING,
    "ORA-01035": _STARTING,
    "ORA-01045": (Kind.PERMISSION, "GRANT CREATE SESSION to the user"),
    "ORA-01089": _STARTING,
    "ORA-01924": _GRANTS,
    "ORA-01927": (Kind.PERMISSION, "who has granted it: only that user can revoke it"),
    "ORA-01932": _GRANTS,
    "ORA-01950": (Kind.PERMISSION, "the quotas of the user"),
    "ORA-01952": (Kind.PERMISSION, "who has granted it, and the grants of the superuser"),
    "ORA-02391": _LIMITS,
    "ORA-06550": (Kind.PERMISSION, "GRANT EXECUTE ON SYS.DBMS_LOCK to the superuser of the secret"),
    "ORA-12505": _SERVICE,
    "ORA-12514": _SERVICE,
    "ORA-12516": _LIMITS,
    "ORA-12519": _LIMITS,
    "ORA-16000": (Kind.SERVER, "that the host is the primary and not a read-only standby"),
    "ORA-28000": (Kind.AUTHENTICATION, "the user: its account is locked, by hand or because somebody uses a wrong password"),
    "ORA-28001": (Kind.POLICY, "the user: its password has expired, and must be changed by hand once"),
    "ORA-28003": _PASSWORD,
    "ORA-28007": _PASSWORD,
    "ORA-28008": _LOGIN,
    "ORA-28221": (Kind.POLICY, "the user's profile: REPLACE was not understood"),
    "ORA-65096": (Kind.POLICY, "the field dbname of the secret: common users of the root are not rotated in turn"),
    "DPY-6001": _SERVICE,
    "DPY-6003": _SERVICE,
    "DPY-3010": (Kind.POLICY, "the server: it is older than 12.1"),
    "DPY-3015": (Kind.POLICY, "the user's password verifier (10G): set its password once by hand, with a later one allowed"),
    "DPY-4024": (Kind.NETWORK, "whether the server answers, and the time-out of the function"),
    "DPY-6006": (Kind.TLS, "that the server's certificate is for the host name in the secret: its common name or a DNS name"),
}

REFUSED = frozenset({"ORA-01031", "ORA-00942", "ORA-00990", "ORA-01924", "ORA-01927", "ORA-01932", "ORA-01952", "ORA-01720", "ORA-04042"})
"""A statement that the user lacks a right for."""


def explained(code: str) -> tuple[Kind, str]:
    """The kind of a refusal, and what to check."""
    if code.startswith("ORA-20"):
        return _PASSWORD  # what a verify function of one's own raises
    return _MEANINGS.get(code, (Kind.SERVER, "the server's alert log"))
