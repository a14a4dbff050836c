"""One step at a time for the users of one secret: the server's own named lock, which ends with the session that holds it."""

import hashlib

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.mysql.connection import Session
from keyturn_rotators.errors import Kind

WAIT = 10.0  # seconds; another step of the same users is done by then, or has died
LONGEST_NAME = 64  # characters, MySQL's limit


def lock(session: Session, user: str, *, deadline: Deadline) -> None:
    """Keep others out until the session ends. Raises RotationError where somebody else is at work."""
    name = f"keyturn/{user}"
    if len(name) > LONGEST_NAME:
        name = f"keyturn/{hashlib.sha256(user.encode()).hexdigest()[:40]}"
    [(got,)] = session.run("SELECT GET_LOCK(%s, %s)", name, int(deadline.remaining(at_most=WAIT)))
    if got != 1:
        check = f"another rotation of the same users: SELECT IS_USED_LOCK('{name}'); a failed rotation is tried again"
        raise session.place.error(Kind.SERVER, "another step of the same users is at work", check)
