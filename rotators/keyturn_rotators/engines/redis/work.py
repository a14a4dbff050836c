"""What the strategies have in common: whose login changes the users, and how what was changed is saved."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.redis.company import is_accepted, refuse_one_of_several
from keyturn_rotators.engines.redis.connection import Session
from keyturn_rotators.engines.redis.users import Users, rewrites_config
from keyturn_rotators.passwords import LONGEST
from keyturn_rotators.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings(Settings):
    """Of the function."""

    config_rewrite: bool = False
    one_of_several: bool = False  # the server may have replicas, or be one, or be a node of a cluster

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, forbidden: str = "", longest: int = LONGEST) -> Self:
        shared = Settings.from_environment(environ, forbidden=forbidden, longest=longest)
        return cls(
            policy=shared.policy,
            superuser=shared.superuser,
            end_sessions=shared.end_sessions,
            config_rewrite=rewrites_config(environ),
            one_of_several=is_accepted(environ),
        )

    @contextmanager
    def users(self, itself: Session, superuser: Callable[[], Credential], context: Context) -> Iterator[Users]:
        """The users, changed by the superuser where there is one, else by the user's own login. What was changed is saved at the end.

        `itself`: the login of the secret's user, which proves that whoever wrote the secret knows its password.
        """
        if not self.superuser.is_named(context):
            yield from self._through(itself)
            return
        with Session(superuser(), deadline=context.deadline) as admin:
            yield from self._through(admin)

    def _through(self, admin: Session) -> Iterator[Users]:
        if not self.one_of_several:
            refuse_one_of_several(admin)
        users = Users(admin, config_rewrite=self.config_rewrite)
        yield users
        users.save()
