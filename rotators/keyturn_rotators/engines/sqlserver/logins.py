"""Logins of the server: what they are, their passwords, their sessions, and the lock of a pair.

A password is a parameter, and quoted by the server: pytds writes the beginning of what it sends as text into its log.
"""

import time
from dataclasses import dataclass, replace

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.sqlserver.connection import MASTER, PORT, Session, identifier
from keyturn_rotators.engines.sqlserver.explanations import NO_SUCH_SESSION, REFUSED
from keyturn_rotators.errors import Kind

LONGEST_PASSWORD = 128  # characters; also of what QUOTENAME takes
POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds; a session ends once its transaction is rolled back
LOCK_WITHIN = 10.0  # seconds; another step of the same logins is done by then, or has died

LOGIN = """SELECT is_disabled, default_database_name, default_language_name, is_policy_checked, is_expiration_checked
FROM sys.sql_logins WHERE name = %s"""
LOCK = """DECLARE @got int; EXEC @got = sys.sp_getapplock @Resource = %s, @LockMode = 'Exclusive', @LockOwner = 'Session',
@LockTimeout = %s, @DbPrincipal = 'public'; SELECT @got"""
SESSIONS = "SELECT session_id FROM sys.dm_exec_sessions WHERE original_login_name = %s"
SEEN = "SELECT 1 FROM sys.dm_exec_sessions WHERE session_id = %s"
CONTAINED = 2  # authentication_type of a user whose password its database keeps
AUTHENTICATION = "SELECT authentication_type FROM sys.database_principals WHERE principal_id = USER_ID()"


def _in_its_database(credential: Credential, deadline: Deadline) -> Session:
    """In the database of the secret: users of a contained one cannot enter any other."""
    return Session(credential, deadline=deadline, database=credential.database(MASTER))


def _tried(credential: Credential, deadline: Deadline) -> None:
    with _in_its_database(credential, deadline) as session:
        session.run("SELECT ORIGINAL_LOGIN()")


IN_ITS_DATABASE = BackEnd(log_in=_in_its_database, port=lambda _: PORT, tried=_tried, longest_password=LONGEST_PASSWORD)
IN_MASTER = replace(IN_ITS_DATABASE, log_in=lambda credential, deadline: Session(credential, deadline=deadline))


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login with a password. `settings` is what CREATE LOGIN and ALTER LOGIN say besides the password."""

    name: str
    disabled: bool
    settings: str


def find_login(session: Session, name: str) -> Login | None:
    """None also where it is not a login of SQL Server's own, or cannot be seen."""
    rows = session.run(LOGIN, name)
    if not rows:
        return None
    disabled, database, language, policy, expiration = rows[0]
    on = {True: "ON", False: "OFF"}
    settings = f"DEFAULT_DATABASE = {identifier(database or 'master')}, "
    settings += f"DEFAULT_LANGUAGE = {identifier(language)}, " if language else ""
    settings += f"CHECK_POLICY = {on[bool(policy)]}, CHECK_EXPIRATION = {on[bool(expiration)]}"
    return Login(name=name, disabled=bool(disabled), settings=settings)


def is_contained(session: Session) -> bool:
    """Whether the session's user is one of its database and not of the server."""
    return session.run(AUTHENTICATION) == [(CONTAINED,)]


def create(session: Session, name: str, credential: Credential) -> None:
    _with_password(session, "CREATE LOGIN", name, credential)


def set_password(session: Session, credential: Credential, *, contained: bool = False, old: Credential | None = None) -> None:
    """`old`: what its user must say to change it itself."""
    _with_password(session, "ALTER USER" if contained else "ALTER LOGIN", credential.username, credential, old)


def enable(session: Session, name: str, *, allowed: bool) -> None:
    session.run(f"ALTER LOGIN {identifier(name)} {'ENABLE' if allowed else 'DISABLE'}")


def lock(session: Session, user: str, *, deadline: Deadline) -> None:
    """Keep others out until the session ends. Raises RotationError where somebody else is at work."""
    [(got,)] = session.run(LOCK, f"keyturn/{user}", int(deadline.remaining(at_most=LOCK_WITHIN) * 1000))
    if got < 0:
        check = "another rotation of the same logins (sys.dm_tran_locks, APPLICATION); a failed rotation is tried again"
        raise session.place.error(Kind.SERVER, "another step of the same logins is at work", check)


def end_sessions(admin: Session, user: str, *, witness: Session, deadline: Deadline) -> None:
    """End all sessions of the login on this server. `witness`: a session of another login, which the admin must be able to see.

    Raises RotationError where the admin sees its own sessions only, or may not end those of others.
    """
    [(number,)] = witness.run("SELECT @@SPID")
    if not admin.run(SEEN, int(number)):
        check = "GRANT VIEW SERVER STATE to the superuser of the secret"
        raise admin.place.error(Kind.PERMISSION, "the sessions of other logins cannot be seen, so none are known to have ended", check)
    patience = Deadline.after(deadline.remaining(at_most=GONE_WITHIN))
    while sessions := admin.run(SESSIONS, user):
        for (session,) in sessions:
            if not admin.attempt(f"KILL {int(session)}", unless=REFUSED | NO_SUCH_SESSION) and admin.run(SEEN, int(session)):
                check = "GRANT ALTER ANY CONNECTION to the superuser of the secret"
                raise admin.place.error(Kind.PERMISSION, "sessions of the old login could not be ended", check)
        patience.remaining()
        time.sleep(POLL)


def _with_password(session: Session, verb: str, name: str, credential: Credential, old: Credential | None = None) -> None:
    for one in (credential, old or credential):
        if len(one.password) > LONGEST_PASSWORD:
            raise credential.invalid("password", f"is longer than the {LONGEST_PASSWORD} characters that the server takes")
    sql = f"DECLARE @do nvarchar(max) = N'{verb} ' + QUOTENAME(%s) + N' WITH PASSWORD = N' + QUOTENAME(%s, '''')"
    params = [name, credential.password]
    if old:
        sql += " + N' OLD_PASSWORD = N' + QUOTENAME(%s, '''')"
        params.append(old.password)
    session.run(f"{sql}; EXEC sys.sp_executesql @do", *params, secret=True)
