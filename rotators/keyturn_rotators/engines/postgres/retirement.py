"""Shuts one of the two users out: no new login, and none of its sessions left.

Who may end another's sessions: a member of its role, whoever has pg_signal_backend, and the role itself. The superuser of a secret need be
none of the first two, so the user is let in one last time, with a password that nobody else knows, to end its own.
"""

import secrets
import time

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.postgres.connection import Session, identifier, literal, verifier
from keyturn_rotators.engines.postgres.roles import Pair
from keyturn_rotators.errors import Kind

POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds; a backend ends at its next look for signals
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = :user AND pid <> pg_backend_pid()"


def shut_out(admin: Session, pair: Pair, *, old: Credential, deadline: Deadline, in_use: Session) -> None:
    """End the login and the sessions of the pair's idle user, whose last known credential is `old`."""
    role = identifier(pair.pending)
    last = old.replaced(password=secrets.token_urlsafe(32))
    # From here on the old password is worth nothing, even if somebody lets the role log in again.
    admin.run(f"ALTER ROLE {role} NOLOGIN PASSWORD {literal(verifier(last.password))}")
    for session in (in_use, admin):
        _end_sessions(session, pair.pending)
    if _sessions(admin, pair.pending):
        admin.run(f"ALTER ROLE {role} LOGIN CONNECTION LIMIT -1")  # its sessions may be as many as it may have
        with Session(last, deadline=deadline) as itself:
            admin.run(f"ALTER ROLE {role} NOLOGIN CONNECTION LIMIT {_connection_limit(admin, pair.current)}")
            _end_sessions(itself.as_itself(), pair.pending)
    _wait_until_gone(admin, pair.pending, deadline)


def _connection_limit(admin: Session, user: str) -> int:
    """Of the user in use, which both are to have: the idle one's own may be what an attempt that died has left."""
    return int(admin.run("SELECT rolconnlimit FROM pg_roles WHERE rolname = :user", user=user)[0][0])


def _sessions(session: Session, user: str) -> list[int]:
    return [int(pid) for (pid,) in session.run(SESSIONS, user=user)]


def _end_sessions(session: Session, user: str) -> None:
    for pid in _sessions(session, user):
        if not session.attempt(f"SELECT pg_terminate_backend({pid})"):
            return


def _wait_until_gone(admin: Session, user: str, deadline: Deadline) -> None:
    until = time.monotonic() + deadline.remaining(at_most=GONE_WITHIN)
    while left := _sessions(admin, user):
        if time.monotonic() > until:
            check = "pg_stat_activity: what those sessions wait for; retiring may be repeated"
            raise admin.place.error(Kind.SERVER, f"{len(left)} sessions of {user} were told to end and have not", check)
        time.sleep(POLL)
