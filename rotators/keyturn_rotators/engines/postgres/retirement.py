"""Shuts one of the two users out: no new login, and none of its sessions left.

Who may end another's sessions: a member of its role, whoever has pg_signal_backend, and the role itself. The superuser of a secret need be
none of the first two, so the user is let in one last time, with a password that nobody else knows, to end its own.
"""

import secrets
import time

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.postgres.connection import Session, identifier, literal, verifier

POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds; a backend ends at its next look for signals
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = :user AND pid <> pg_backend_pid()"


def shut_out(admin: Session, old: Credential, *, deadline: Deadline, others: list[Session]) -> None:
    """End the login and the sessions of `old`. `others` may be allowed to end its sessions, before it has to do so itself."""
    role = identifier(old.username)
    limit = int(admin.run("SELECT rolconnlimit FROM pg_roles WHERE rolname = :user", user=old.username)[0][0])
    last = old.replaced(password=secrets.token_urlsafe(32))
    password = literal(verifier(last.password))
    # From here on the old password is worth nothing, even if somebody lets the role log in again.
    admin.run(f"ALTER ROLE {role} NOLOGIN PASSWORD {password}")
    for session in (*others, admin):
        _end_sessions(session, old.username)
    if _sessions(admin, old.username):
        admin.run(f"ALTER ROLE {role} LOGIN CONNECTION LIMIT -1")
        with Session(last, deadline=deadline) as itself:
            admin.run(f"ALTER ROLE {role} NOLOGIN CONNECTION LIMIT {limit}")
            _end_sessions(itself.as_itself(), old.username)
    _wait_until_gone(admin, old, deadline)


def _sessions(session: Session, user: str) -> list[int]:
    return [int(pid) for (pid,) in session.run(SESSIONS, user=user)]


def _end_sessions(session: Session, user: str) -> None:
    for pid in _sessions(session, user):
        if not session.attempt(f"SELECT pg_terminate_backend({pid})"):
            return


def _wait_until_gone(admin: Session, old: Credential, deadline: Deadline) -> None:
    patience = Deadline.after(deadline.remaining(at_most=GONE_WITHIN))
    while _sessions(admin, old.username):
        patience.remaining()
        time.sleep(POLL)
