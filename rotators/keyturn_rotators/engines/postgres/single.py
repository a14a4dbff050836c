"""The user's own password is changed, by the user.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.postgres.connection import Session, identifier, literal, logs_in, verifier
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.rotation import Context

EXCLUDED = ":/@\"'\\"  # what a URL or a shell would trip over, as AWS's function for PostgreSQL


class SingleUser:
    """One user, one password."""

    def __init__(self, policy: PasswordPolicy) -> None:
        self._policy = policy

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(PasswordPolicy.from_environment(environ, excluded=EXCLUDED))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline):
            return
        with self._login_before(pending, context) as session:
            session.run(f"ALTER ROLE {identifier(pending.username)} PASSWORD {literal(verifier(pending.password))}")

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline) as session:
            session.run("SELECT pg_catalog.now()")

    def _login_before(self, pending: Credential, context: Context) -> Session:
        """A login with the password that is valid now: AWSCURRENT's, or AWSPREVIOUS's after a promotion that was taken back."""
        current = context.current()
        try:
            return Session(current, deadline=context.deadline)
        except RotationError as refused:
            previous = context.previous()
            if refused.kind is not Kind.AUTHENTICATION or previous is None:
                raise
            if previous.username != pending.username or previous.differs_from(pending):
                raise
            return Session(previous, deadline=context.deadline)
