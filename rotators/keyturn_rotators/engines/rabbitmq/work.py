"""What the strategies have in common: the administrator's login, and what the function's environment says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.rabbitmq.amqp import vhost
from keyturn_rotators.engines.rabbitmq.management import Management
from keyturn_rotators.engines.rabbitmq.users import Users
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import EXCLUDED, TRUE, PasswordPolicy
from keyturn_rotators.superuser import Superuser

END_SESSIONS = "KEYTURN_END_SESSIONS"
THE_APIS = 0  # none: the API's own, which follows from the superuser's `ssl` and not from the app's


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the function."""

    policy: PasswordPolicy
    superuser: Superuser
    end_sessions: bool = False  # retiring ends all connections of a user whose password has changed, the current one's too

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            policy=PasswordPolicy.from_environment(environ, excluded=EXCLUDED),
            superuser=Superuser.from_environment(environ),
            end_sessions=environ.get(END_SESSIONS, "").strip().lower() in TRUE,
        )

    @contextmanager
    def users(self, credential: Credential, context: Context, *, changed: tuple[str, ...]) -> Iterator[Users]:
        """The users, through the administrator, whose secret's port is the management API's. `changed`: those that it is to change."""
        superuser = self.superuser.login(credential.without("port"), context, port=THE_APIS, users=changed)
        with Management(superuser, deadline=context.deadline) as api:
            yield Users(api)


def refuse_another_vhost(old: Credential, current: Credential) -> None:
    """Raises RotationError where an older version leads elsewhere than the current one."""
    if vhost(old) != vhost(current):
        check = "who wrote the version, and whether its credential is still to be ended by hand"
        raise RotationError(Kind.POLICY, "the version's vhost is not the current version's", check=check, secret=old.secret)
