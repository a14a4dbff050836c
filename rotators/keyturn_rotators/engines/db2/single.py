"""The user's password is changed, by the superuser: RDS lets nobody else do it.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
Sessions that it has opened go on: RDS lets nobody end another's.
"""

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.db2.connection import BACK_END, RDSADMIN, Session
from keyturn_rotators.engines.db2.users import set_password
from keyturn_rotators.one_user import OneUser


class SingleUser(OneUser[Session, Session]):
    """One user, one password."""

    back_end = BACK_END

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Session:
        """The server has no lock that would keep others out."""
        return Session(self._superuser(wanted, context), deadline=context.deadline, database=RDSADMIN)

    def _change(self, work: Session, wanted: Credential, context: Context) -> None:
        set_password(work, wanted, deadline=context.deadline)
