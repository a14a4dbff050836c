"""What the strategies have in common: whose login changes the users, and how what was changed is saved."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.connection import Session
from keyturn_rotators.engines.redis.users import Users, rewrites_config
from keyturn_rotators.passwords import LONGEST
from keyturn_rotators.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings(Settings):
    """Of the function."""

    config_rewrite: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, forbidden: str = "", longest: int = LONGEST) -> Self:
        shared = Settings.from_environment(environ, forbidden=forbidden, longest=longest)
        return cls(
            policy=shared.policy,
            superuser=shared.superuser,
            end_sessions=shared.end_sessions,
            config_rewrite=rewrites_config(environ),
        )

    @contextmanager
    def users(self, itself: Session, superuser: Callable[[], Credential], context: Context) -> Iterator[Users]:
        """The users, changed by the superuser where there is one, else by the user's own login. What was changed is saved at the end.

        `itself`: the login of the secret's user, which proves that whoever wrote the secret knows its password.
        """
        if not self.superuser.is_named(context):
            users = Users(itself, config_rewrite=self.config_rewrite)
            yield users
            users.save()
            return
        with Session(superuser(), deadline=context.deadline) as admin:
            users = Users(admin, config_rewrite=self.config_rewrite)
            yield users
            users.save()
