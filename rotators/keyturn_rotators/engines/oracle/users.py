"""Users of the database: their accounts, passwords and sessions, and the lock of a pair."""

import hashlib
import time
from dataclasses import dataclass

from keyturn_rotators.back_end import BackEnd
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.oracle.connection import PORT, Session, identifier, user_name
from keyturn_rotators.engines.oracle.explanations import NO_SUCH_SESSION, NOT_DECLARED, REFUSED
from keyturn_rotators.errors import Kind

FORBIDDEN = '"'  # in a password, which stands in double quotes and knows no way around them
LONGEST_PASSWORD = 30  # bytes, up to 21c
POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds; a session ends once its transaction is rolled back
LOCK_WITHIN = 10  # seconds; another step of the same users is done by then, or has died
EXCLUSIVE, GOT, OURS = 6, 0, 4  # of DBMS_LOCK
LOCKS = 1073741823  # numbers that DBMS_LOCK leaves to its users

ACCOUNT = """SELECT account_status, authentication_type, default_tablespace, temporary_tablespace, profile
FROM dba_users WHERE username = :1"""
DATABASE = "SELECT SYS_CONTEXT('USERENV', 'DB_UNIQUE_NAME'), SYS_CONTEXT('USERENV', 'CON_NAME') FROM dual"
SESSIONS = "SELECT sid, serial#, inst_id FROM gv$session WHERE username = :1 AND status <> 'KILLED'"
KILL_OF_RDS = "BEGIN rdsadmin.rdsadmin_util.kill(sid => :1, serial => :2, method => 'IMMEDIATE'); END;"


def _tried(credential: Credential, deadline: Deadline) -> None:
    with Session(credential, deadline=deadline) as session:
        session.run("SELECT SYSDATE FROM dual")


BACK_END = BackEnd(
    log_in=lambda credential, deadline: Session(credential, deadline=deadline),
    port=lambda _: PORT,
    tried=_tried,
    forbidden=FORBIDDEN,
    longest_password=LONGEST_PASSWORD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user. `settings` is what CREATE USER and ALTER USER say besides the password."""

    name: str
    status: str
    by_password: bool
    settings: str

    @property
    def locked(self) -> bool:
        return "LOCKED" in self.status

    @property
    def in_rollover(self) -> bool:
        """Its last password but one is taken too."""
        return "ROLLOVER" in self.status


def superusers_session(superuser: Credential, itself: Session, *, deadline: Deadline) -> Session:
    """The superuser's login to the database of `itself`, whose service it has where its own secret names none, as RDS makes them.

    Raises RotationError where it leads to another database of the same host: a user of the same name there is another user.
    """
    placed = superuser if superuser.get("dbname") else superuser.replaced(dbname=itself.service)
    admin = Session(placed, deadline=deadline)
    try:
        if admin.run(DATABASE) != itself.run(DATABASE):
            check = "the fields dbname and port of the superuser's secret: it must lead to the database of the user"
            raise admin.place.error(Kind.POLICY, "the superuser's secret is for another database", check)
    except BaseException:
        admin.close()
        raise
    return admin


def find_account(admin: Session, name: str) -> Account | None:
    rows = admin.run(ACCOUNT, name)
    if not rows:
        return None
    status, authentication, tablespace, temporary, profile = rows[0]
    settings = f"DEFAULT TABLESPACE {identifier(tablespace)} TEMPORARY TABLESPACE {identifier(temporary)} PROFILE {identifier(profile)}"
    return Account(name=name, status=status, by_password=authentication == "PASSWORD", settings=settings)


def create(admin: Session, credential: Credential, like: Account) -> None:
    """Make a user, with another's tablespaces and profile."""
    admin.run(f"CREATE USER {_identified(credential)} {like.settings}", secret=True)


def set_password(session: Session, credential: Credential, *, old: Credential | None = None, unlock: bool = False) -> None:
    """`old`: what its user must say to change it itself, if its profile judges passwords."""
    more = f" REPLACE {_quoted(old)}" if old else ""
    session.run(f"ALTER USER {_identified(credential)}{more}{' ACCOUNT UNLOCK' if unlock else ''}", secret=True)


def allow(admin: Session, name: str, *, login: bool) -> None:
    admin.run(f"ALTER USER {identifier(name)} ACCOUNT {'UNLOCK' if login else 'LOCK'}")


def end_rollover(session: Session, name: str) -> None:
    """Only the latest password is taken from here on."""
    session.run(f"ALTER USER {identifier(name)} EXPIRE PASSWORD ROLLOVER PERIOD")


def lock(admin: Session, name: str, *, deadline: Deadline) -> None:
    """Keep others out until the session ends. Raises RotationError where somebody else is at work."""
    number = int.from_bytes(hashlib.sha256(f"keyturn/{name}".encode()).digest()[:8], "big") % LOCKS
    wait = int(deadline.remaining(at_most=LOCK_WITHIN))
    if admin.call("SYS.DBMS_LOCK.REQUEST", number, EXCLUSIVE, wait) not in (GOT, OURS):
        check = f"another rotation of the same users (DBMS_LOCK {number}); a failed rotation is tried again"
        raise admin.place.error(Kind.SERVER, "another step of the same users is at work", check)


def end_sessions(admin: Session, name: str, *, deadline: Deadline) -> None:
    """End all sessions of the user, on every instance. Raises RotationError where they cannot be seen or ended."""
    patience = Deadline.after(deadline.remaining(at_most=GONE_WITHIN))
    while sessions := admin.run(SESSIONS, name):
        for sid, serial, instance in sessions:
            _end(admin, int(sid), int(serial), int(instance))
        patience.remaining()
        time.sleep(POLL)


def _end(admin: Session, sid: int, serial: int, instance: int) -> None:
    gone_or_denied = REFUSED | NO_SUCH_SESSION
    if admin.attempt(f"ALTER SYSTEM KILL SESSION '{sid},{serial},@{instance}' IMMEDIATE", unless=NO_SUCH_SESSION | {"ORA-01031"}):
        return
    # RDS lets its master user do it by a procedure of its own.
    if not admin.attempt(KILL_OF_RDS, sid, serial, unless=gone_or_denied | NOT_DECLARED) and _goes_on(admin, sid, serial):
        check = "GRANT ALTER SYSTEM to the superuser of the secret; on RDS, EXECUTE on rdsadmin.rdsadmin_util"
        raise admin.place.error(Kind.PERMISSION, "sessions of the old user could not be ended", check)


def _goes_on(admin: Session, sid: int, serial: int) -> bool:
    return bool(admin.run("SELECT 1 FROM gv$session WHERE sid = :1 AND serial# = :2 AND status <> 'KILLED'", sid, serial))


def _identified(credential: Credential) -> str:
    return f"{identifier(user_name(credential))} IDENTIFIED BY {_quoted(credential)}"


def _quoted(credential: Credential) -> str:
    """Raises RotationError for a password that cannot be written."""
    if FORBIDDEN in credential.password or "\0" in credential.password:
        raise credential.invalid("password", "has a double quote, which Oracle cannot take")
    return identifier(credential.password)
