"""Two users in turn: `app` and `app_clone`, which are AWS's names for the databases'."""

from contextlib import AbstractContextManager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import BACK_END
from keyturn_rotators.engines.rabbitmq.users import Users
from keyturn_rotators.engines.rabbitmq.work import THE_APIS, users_of
from keyturn_rotators.in_turn import InTurn


class AlternatingUsers(InTurn[None, Users]):
    """The user and its clone, changed by the administrator of the secret that masterarn names."""

    back_end = BACK_END
    longest_name = 255  # bytes, AMQP's short strings

    def _open(self, in_use: None, idle: Credential, context: Context) -> AbstractContextManager[Users]:
        return users_of(self._superuser(idle.without("port"), context, port=THE_APIS), context)

    def _let_in(self, work: Users, pending: Credential, context: Context) -> None:
        model, idle = work.get(context.current().username), work.find(pending.username)
        if idle is None:
            work.without_password(pending.username, tags=model.tags)
        work.equalise(model, pending.username)
        # Last, so that it is let in only once it may do what the other may.
        if idle is None or set(idle.tags) != set(model.tags) or not self.back_end.takes(pending, context.deadline):
            work.set_password(pending.username, pending.password, tags=model.tags)

    def _shut_out(self, work: Users, old: Credential, context: Context) -> None:
        """It loses its password and its connections."""
        idle = work.find(old.username)
        if idle is not None and idle.password:
            work.without_password(old.username, tags=idle.tags)
        work.end_connections(old.username, deadline=context.deadline)
