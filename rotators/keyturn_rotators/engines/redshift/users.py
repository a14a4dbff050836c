"""Users as the catalogue has them: attributes, passwords, sessions.

https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_USER.html
"""

import time
from dataclasses import dataclass

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.redshift.connection import Session, identifier, literal
from keyturn_rotators.errors import Kind

POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds, for sessions that were told to end
ATTRIBUTES = "SELECT user_id, superuser, createdb, syslog_access, connection_limit, session_timeout FROM svv_user_info WHERE user_name = ?"
SESSIONS = "SELECT process FROM stv_sessions WHERE trim(user_name) = ?"
SESSIONS_OF_SERVERLESS = "SELECT session_id FROM sys_session_history WHERE trim(status) = 'active' AND trim(user_id) = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Of a user, as options of ALTER USER."""

    user_id: int
    superuser: bool
    createdb: str
    syslog: str
    connections: str
    timeout: str

    def options(self) -> set[str]:
        return {self.createdb, self.syslog, self.connections, self.timeout}


def find(session: Session, user: str) -> Attributes | None:
    """None where there is no such user."""
    for user_id, superuser, createdb, syslog, limit, timeout in session.run(ATTRIBUTES, user):
        limited = str(limit).isdigit()
        return Attributes(
            user_id=int(user_id),
            superuser=bool(superuser),
            createdb="CREATEDB" if createdb else "NOCREATEDB",
            syslog=f"SYSLOG ACCESS {'UNRESTRICTED' if str(syslog).upper() == 'UNRESTRICTED' else 'RESTRICTED'}",
            connections=f"CONNECTION LIMIT {limit if limited else 'UNLIMITED'}",
            timeout=f"SESSION TIMEOUT {int(timeout)}" if timeout else "RESET SESSION TIMEOUT",
        )
    return None


def get(session: Session, user: str) -> Attributes:
    """Raises RotationError where there is none, or where it is a superuser."""
    found = find(session, user)
    if found is None:
        raise session.place.error(Kind.POLICY, f"there is no user {user}", "the secret's username, and svv_user_info")
    if found.superuser:
        raise session.place.error(
            Kind.POLICY, f"{user} is a superuser, who cannot have a second user of the same rights", "the user; rotate it as SingleUser"
        )
    return found


def create(session: Session, user: str) -> None:
    """A user that no password lets in as yet."""
    session.run(f"CREATE USER {identifier(user)} PASSWORD DISABLE")


def set_attributes(session: Session, user: str, *, model: Attributes, found: Attributes) -> None:
    for option in sorted(model.options() - found.options()):
        session.run(f"ALTER USER {identifier(user)} {option}")


def set_password(session: Session, user: str, password: str) -> None:
    session.run(f"ALTER USER {identifier(user)} PASSWORD {literal(password, place=session.place)}", secret=True)


def shut_out(session: Session, user: str, *, deadline: Deadline) -> None:
    """No password lets the user in any more, and none of its sessions is left. Raises RotationError where one goes on."""
    session.run(f"ALTER USER {identifier(user)} PASSWORD DISABLE")
    until = time.monotonic() + deadline.remaining(at_most=GONE_WITHIN)
    while left := sessions(session, user):
        for process in left:
            session.run("SELECT pg_terminate_backend(?)", process)
        if time.monotonic() > until:
            check = "stv_sessions or sys_session_history: what those sessions wait for; retiring may be repeated"
            raise session.place.error(Kind.SERVER, f"{len(left)} sessions of {user} were told to end and have not", check)
        time.sleep(deadline.remaining(at_most=POLL))


def sessions(session: Session, user: str) -> list[int]:
    """The processes of the user's sessions. Serverless workgroups have no STV tables, and provisioned clusters know at once only there."""
    if not session.serverless:
        return [int(process) for (process,) in session.run(SESSIONS, user)]
    return [int(process) for (process,) in session.run(SESSIONS_OF_SERVERLESS, str(get(session, user).user_id))]
