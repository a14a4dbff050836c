"""Two users in turn: `app` and `app_clone`, which are AWS's names for the databases'.

Connections carry the user's name, so those of the old credential can be ended, and no others.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import BACK_END, Session
from keyturn_rotators.engines.redis.users import Users, digest
from keyturn_rotators.engines.redis.work import RedisSettings
from keyturn_rotators.in_turn import InTurn


class AlternatingUsers(InTurn[Session, Users]):
    """The user and its clone, changed by the user of the secret that masterarn names, or by the one in use where it may do that."""

    longest_name = 4096  # bytes; the server has no limit of its own that a name would meet
    back_end = BACK_END
    _settings: RedisSettings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(RedisSettings.from_environment(environ))

    def _open(self, in_use: Session, idle: Credential, context: Context) -> AbstractContextManager[Users]:
        return self._settings.users(in_use, lambda: self._superuser(idle, context), context)

    def _let_in(self, work: Users, pending: Credential, context: Context) -> None:
        model = work.get(context.current().username)
        wanted = replace(model, name=pending.username, enabled=True, passwords=frozenset((digest(pending),)))
        if work.find(pending.username) != wanted:
            work.set(pending.username, "reset", "on", f"#{digest(pending)}", *model.rules)

    def _shut_out(self, work: Users, old: Credential, context: Context) -> None:
        """It is turned off without a password, and its connections are ended."""
        found = work.find(old.username)
        if found is not None and (found.enabled or found.passwords):
            work.set(old.username, "off", "resetpass")
        work.end_connections(old.username)
