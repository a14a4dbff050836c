"""What the strategies have in common: whose login changes the users, and what the function's environment says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.company import is_accepted, refuse_one_of_several
from keyturn_rotators.engines.redis.connection import PORT, Session
from keyturn_rotators.engines.redis.users import Users, rewrites_config
from keyturn_rotators.passwords import EXCLUDED, TRUE, PasswordPolicy
from keyturn_rotators.superuser import Superuser

END_SESSIONS = "KEYTURN_END_SESSIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the function."""

    policy: PasswordPolicy
    superuser: Superuser
    config_rewrite: bool = False
    end_sessions: bool = False  # retiring ends all connections of a user whose credential has changed, the current one's too
    one_of_several: bool = False  # the server may have replicas, or be one, or be a node of a cluster

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            policy=PasswordPolicy.from_environment(environ, excluded=EXCLUDED),
            superuser=Superuser.from_environment(environ),
            config_rewrite=rewrites_config(environ),
            end_sessions=environ.get(END_SESSIONS, "").strip().lower() in TRUE,
            one_of_several=is_accepted(environ),
        )

    @contextmanager
    def users(self, itself: Session, credential: Credential, context: Context, *, others: tuple[str, ...] = ()) -> Iterator[Users]:
        """The users, changed by the superuser where there is one, else by the user's own login. What was changed is saved at the end.

        `itself`: the login of the secret's user, which proves that whoever wrote the secret knows its password. `others`: users that are
        changed besides.
        """
        if not (self.superuser.secret or context.current().superuser_secret):
            yield from self._through(itself)
            return
        superuser = self.superuser.login(credential, context, port=PORT, users=(itself.user, *others))
        with Session(superuser, deadline=context.deadline) as admin:
            yield from self._through(admin)

    def _through(self, admin: Session) -> Iterator[Users]:
        if not self.one_of_several:
            refuse_one_of_several(admin)
        users = Users(admin, config_rewrite=self.config_rewrite)
        yield users
        users.save()
