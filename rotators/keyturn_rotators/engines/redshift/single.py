"""The user's own password is changed, by the user.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from contextlib import AbstractContextManager, nullcontext

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redshift.connection import BACK_END, Session
from keyturn_rotators.engines.redshift.users import set_password
from keyturn_rotators.one_user import OneUser


class SingleUser(OneUser[Session, Session]):
    """One user, one password."""

    back_end = BACK_END

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Session]:
        return nullcontext(itself)

    def _change(self, work: Session, wanted: Credential, context: Context) -> None:
        set_password(work, wanted.username, wanted.password)
