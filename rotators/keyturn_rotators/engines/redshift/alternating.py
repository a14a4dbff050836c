"""Two users in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on."""

from contextlib import AbstractContextManager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redshift import users
from keyturn_rotators.engines.redshift.connection import BACK_END, Session, logs_in
from keyturn_rotators.engines.redshift.equalise import equalise
from keyturn_rotators.in_turn import InTurn


class AlternatingUsers(InTurn[Session, Session]):
    """The user and its clone, changed by the superuser of the secret that masterarn names."""

    back_end = BACK_END
    longest_name = 50  # bytes: of identifiers it is 127, but stv_sessions cuts users' names off here

    def _open(self, in_use: Session, idle: Credential, context: Context) -> AbstractContextManager[Session]:
        """In the secret's database."""
        return Session(self._superuser(idle, context).replaced(dbname=in_use.database), deadline=context.deadline)

    def _let_in(self, work: Session, pending: Credential, context: Context) -> None:
        current = context.current().username
        model = users.get(work, current)
        if users.find(work, pending.username) is None:
            users.create(work, pending.username)
        users.set_attributes(work, pending.username, model=model, found=users.get(work, pending.username))
        equalise(work, model=current, idle=pending.username)
        # Last, so that it is let in only once it may do what the other may.
        if not logs_in(pending, deadline=context.deadline):
            users.set_password(work, pending.username, pending.password)

    def _shut_out(self, work: Session, old: Credential, context: Context) -> None:
        """It loses its password and its sessions."""
        if users.find(work, old.username) is not None:
            users.shut_out(work, old.username, deadline=context.deadline)
