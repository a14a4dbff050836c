"""The user's own password is changed, by the user.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from contextlib import AbstractContextManager, nullcontext

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.postgres.connection import BACK_END, Session, identifier, literal, verifier
from keyturn_rotators.one_user import OneUser


class SingleUser(OneUser[Session, Session]):
    """One user, one password."""

    back_end = BACK_END

    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Session]:
        return nullcontext(itself)

    def _change(self, work: Session, wanted: Credential, context: Context) -> None:
        # A role that it acts as from login on could not change the user's password.
        work.as_itself().run(f"ALTER ROLE {identifier(wanted.username)} PASSWORD {literal(verifier(wanted.password))}")
