"""Users of an RDS for Db2 instance, by the procedures of its database RDSADMIN.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/db2-sp-granting-revoking-privileges.html
"""

import time

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.db2.connection import Refusal, Session, logs_in
from keyturn_rotators.errors import Kind

POLL = 0.2  # seconds
VALID_WITHIN = 15.0  # seconds; RDS hands a password on to the instance's operating system
CHANGE = "CALL rdsadmin.change_password(?, ?)"
ADD = "CALL rdsadmin.add_user(?, ?, ?)"
GROUPS = "SELECT GROUP FROM TABLE(SYSPROC.AUTH_LIST_GROUPS_FOR_AUTHID(?)) AS T"


def set_password(rds: Session, credential: Credential, *, deadline: Deadline) -> None:
    """Return when the server takes the new password."""
    rds.run(CHANGE, credential.username, credential.password, secret=True)
    _wait(rds, credential, deadline)


def set_or_add(rds: Session, credential: Credential, *, groups: list[str], deadline: Deadline) -> None:
    """The same for a user that may not be there yet: as AWS's function does, which adds it and goes on where RDS refuses that."""
    try:
        rds.run(ADD, credential.username, credential.password, ",".join(groups), secret=True)
    except Refusal as refused:
        if refused.kind in (Kind.PERMISSION, Kind.AUTHENTICATION):
            raise
        rds.run(CHANGE, credential.username, credential.password, secret=True)
    _wait(rds, credential, deadline)


def groups_of(session: Session, user: str) -> list[str]:
    return sorted(str(name).strip() for (name,) in session.run(GROUPS, user.upper()))


def equalise_groups(rds: Session, user: str, *, wanted: list[str], found: list[str]) -> None:
    if more := sorted(set(wanted) - set(found)):
        rds.run("CALL rdsadmin.add_groups(?, ?)", user, ",".join(more))
    if less := sorted(set(found) - set(wanted)):
        rds.run("CALL rdsadmin.remove_groups(?, ?)", user, ",".join(less))


def _wait(rds: Session, credential: Credential, deadline: Deadline) -> None:
    until = time.monotonic() + deadline.remaining(at_most=VALID_WITHIN)
    while not logs_in(credential, deadline=deadline):
        if time.monotonic() > until:
            check = "whether somebody else changes the user, and RDS's rules for passwords"
            raise rds.place.error(Kind.SERVER, f"RDS has set the password of {credential.username}, and the server does not take it", check)
        time.sleep(POLL)
