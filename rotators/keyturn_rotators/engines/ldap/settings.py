"""What the strategies have in common: what the function's environment says, and whose logins a step uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import CONNECTION_FIELDS, Entry, Session, port_of
from keyturn_rotators.engines.ldap.dialect import Dialect
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

    def admin(self, credential: Credential, context: Context, dialect: Dialect, *, users: tuple[str, ...]) -> Session:
        """The administrator's login. `users`: those that it is to change."""
        superuser = self.superuser.login(credential, context, port=port_of(credential), users=users)
        shared = {name: credential.get(name) for name in CONNECTION_FIELDS if superuser.get(name) is None and credential.get(name)}
        superuser = superuser.replaced(**shared)
        return Session(superuser, deadline=context.deadline, name=dialect.bind_name(superuser))


def entry_of(session: Session, credential: Credential, dialect: Dialect) -> Entry:
    """The account's entry. Raises RotationError where there is none."""
    if entry := dialect.find(session, credential):
        return entry
    check = "the name in the secret, and whether the login may read the entry"
    raise session.place.error(Kind.POLICY, f"the directory has no {credential.username}, or does not show it", check)


def other_connection(pending: Credential, current: Credential) -> str | None:
    """The name of the first field of the connection besides AWS's that differs."""
    return next((name for name in CONNECTION_FIELDS if pending.get(name) != current.get(name)), None)


def same_connection(old: Credential, current: Credential) -> None:
    """Raises RotationError where an older version leads elsewhere than the current one."""
    if name := other_connection(old, current):
        check = "who wrote the version, and whether its credential is still to be ended by hand"
        raise RotationError(Kind.POLICY, f"the version's {name} is not the current version's", check=check, secret=old.secret)
