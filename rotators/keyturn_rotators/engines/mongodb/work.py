"""What the strategies have in common: the superuser's login, and what the function's environment says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import Session, leads_elsewhere, source
from keyturn_rotators.engines.mongodb.driver import PORT
from keyturn_rotators.engines.mongodb.users import Users
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.superuser import Superuser


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Of the function."""

    policy: PasswordPolicy
    superuser: Superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(policy=PasswordPolicy.from_environment(environ, excluded=EXCLUDED), superuser=Superuser.from_environment(environ))

    def has_superuser(self, context: Context) -> bool:
        return bool(context.current().superuser_secret or self.superuser.secret)

    @contextmanager
    def users(self, credential: Credential, context: Context, *, changed: tuple[str, ...]) -> Iterator[Users]:
        """The users of the credential's database, through the superuser. `changed`: those that it is to change.

        The superuser may be kept by another database than the users: its commands are run in theirs.
        """
        superuser = self.superuser.login(credential, context, port=PORT, users=changed)
        with Session(superuser, deadline=context.deadline) as session:
            yield Users(session.within(source(credential)), database=source(credential))


def refuse_elsewhere(old: Credential, current: Credential) -> None:
    """Raises RotationError where an older version leads elsewhere than the current one."""
    if name := leads_elsewhere(old, current):
        check = "who wrote the version, and whether its credential is still to be ended by hand"
        raise RotationError(Kind.POLICY, f"the version's {name} is not the current version's", check=check, secret=old.secret)
