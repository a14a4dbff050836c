"""Two users in turn: `app` and `app_clone`, which are AWS's names, so that its secrets carry on."""

from contextlib import AbstractContextManager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import BACK_END, Session, logs_in
from keyturn_rotators.engines.mongodb.users import Users, users_of
from keyturn_rotators.in_turn import InTurn


class AlternatingUsers(InTurn[Session, Users]):
    """The user and its clone, changed by the superuser of the secret that masterarn names."""

    back_end = BACK_END
    longest_name, unit = 63, "characters"  # DocumentDB's limit; MongoDB has none that matters

    def _open(self, in_use: Session, idle: Credential, context: Context) -> AbstractContextManager[Users]:
        return users_of(self._superuser(idle, context), idle, context)

    def _let_in(self, work: Users, pending: Credential, context: Context) -> None:
        model, idle = work.get(context.current().username), work.find(pending.username)
        if idle is None:
            work.create(pending.username, pending.password, model=model)
            return
        work.equalise(model, idle)
        # Last, so that it is let in only once it may do what the other may.
        if idle.mechanisms != model.mechanisms or not logs_in(pending, deadline=context.deadline):
            work.set_password(pending.username, pending.password, mechanisms=model.mechanisms)

    def _shut_out(self, work: Users, old: Credential, context: Context) -> None:
        """It loses its password and its roles."""
        if idle := work.find(old.username):
            work.shut_out(idle)
