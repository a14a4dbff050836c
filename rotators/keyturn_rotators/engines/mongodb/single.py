"""The user's password is replaced: by the superuser of the secret that masterarn names, or by the user itself where none is named.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import UNAUTHORIZED, Refusal, Session, leads_elsewhere, log_in, logs_in, source
from keyturn_rotators.engines.mongodb.driver import PORT
from keyturn_rotators.engines.mongodb.users import Users
from keyturn_rotators.engines.mongodb.work import Settings, refuse_elsewhere
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != current.username else leads_elsewhere(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        with valid_login(
            lambda valid: Session(valid, deadline=context.deadline), before=pending, context=context, differs=leads_elsewhere
        ) as own:
            if self._settings.has_superuser(context):
                with self._settings.users(pending, context, changed=(pending.username,)) as users:
                    users.set_password(pending.username, pending.password, mechanisms=users.get(pending.username).mechanisms)
            else:
                users = Users(own, database=source(pending))
                users.set_password(pending.username, pending.password, mechanisms=_own_mechanisms(users, pending.username))

    def verify(self, pending: Credential, context: Context) -> None:
        log_in(pending, deadline=context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was replaced: that is proved, and nothing more can be done.

        The server does not know with which password a connection of the user was opened, so none is ended.
        """
        current = context.current()
        refuse_elsewhere(old, current)
        same_user(old, current)
        context.confirm_idle()
        log_in(current, deadline=context.deadline)  # a refusal proves something only where the current one is taken
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        current = context.current()
        refuse_elsewhere(old, current)
        same_user(old, current)
        context.confirm_idle()
        self.apply(old, context)
        self.verify(old, context)


def _own_mechanisms(users: Users, name: str) -> frozenset[str] | None:
    """As the user sees itself, where it may."""
    try:
        return users.get(name).mechanisms
    except Refusal as refused:
        if refused.code != UNAUTHORIZED:
            raise
        return None
