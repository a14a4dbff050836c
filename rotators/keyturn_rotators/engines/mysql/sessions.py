"""Ends the sessions of a user, and sees to it that they have ended."""

import time

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mysql.connection import Session
from keyturn_rotators.engines.mysql.explanations import KILL_DENIED, NO_SUCH_ROUTINE, NO_SUCH_THREAD, REFUSED
from keyturn_rotators.errors import Kind

POLL = 0.05  # seconds
GONE_WITHIN = 10.0  # seconds; a session ends at the next point where its statement can be stopped
# By its bytes: the list compares without regard to case and accents, and users are told apart by both.
SESSIONS = "SELECT ID FROM information_schema.PROCESSLIST WHERE CAST(USER AS BINARY) = CAST(%s AS BINARY)"
SEEN = "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s"


def end_sessions(admin: Session, user: str, *, witness: Session, deadline: Deadline) -> None:
    """End all sessions of the user on this server. `witness`: a session of another user, which the admin must be able to see.

    Raises RotationError where the admin sees its own sessions only, or may not end those of others.
    """
    [(number,)] = witness.run("SELECT CONNECTION_ID()")
    if not admin.run(SEEN, int(number)):
        check = "GRANT PROCESS ON *.* to the superuser of the secret"
        raise admin.place.error(Kind.PERMISSION, "the sessions of other users cannot be seen, so none are known to have ended", check)
    patience = Deadline.after(deadline.remaining(at_most=GONE_WITHIN))
    while sessions := admin.run(SESSIONS, user):
        for (session,) in sessions:
            _end(admin, int(session))
        patience.remaining()
        time.sleep(POLL)


def _end(admin: Session, session: int) -> None:
    gone_or_denied = REFUSED | {NO_SUCH_THREAD, KILL_DENIED}
    if admin.attempt(f"KILL {session}", unless=gone_or_denied) or not admin.run(SEEN, session):
        return
    # RDS lets its master user do it by a procedure of its own.
    if not admin.attempt(f"CALL mysql.rds_kill({session})", unless=gone_or_denied | {NO_SUCH_ROUTINE}) and admin.run(SEEN, session):
        check = "GRANT CONNECTION_ADMIN (MySQL) or CONNECTION ADMIN (MariaDB) ON *.* to the superuser of the secret"
        raise admin.place.error(Kind.PERMISSION, "sessions of the old user could not be ended", check)
