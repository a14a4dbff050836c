"""The user's own password is changed, by the user.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.postgres.connection import PORT, Session, identifier, literal, logs_in, verifier
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

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
        with valid_login(lambda valid: Session(valid, deadline=context.deadline), before=pending, context=context) as session:
            # A role that it acts as from login on could not change the user's password.
            session.as_itself().run(f"ALTER ROLE {identifier(pending.username)} PASSWORD {literal(verifier(pending.password))}")

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline) as session:
            session.run("SELECT pg_catalog.now()")

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        with Session(context.current(), deadline=context.deadline):
            pass  # whoever cannot log in with what is current cannot tell a refusal of the old from another
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        same_user(old, context.current())
        self.apply(old, context)
