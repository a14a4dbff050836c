"""A user with two passwords at once: the current one and the next.

Where the secret names a host, logins are tried there; else AWS's word is taken that the user is active, and how many passwords it has.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.elasticache.users import AwsUser
from keyturn_rotators.engines.redis.connection import PORT, Session, logs_in
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import first_accepted
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.proof import prove_refused

SECRET_ARN, USER_NAME = "SECRET_ARN", "USER_NAME"  # as AWS's function: the only secret and the only user that it is for
POLL = "WAITING_RETRY_INTERVAL_IN_SECONDS"
EXCLUDED = "/@\"'\\,"
FORBIDDEN = '/@",'
LONGEST = 128
SETTLED_WITHIN = 30.0  # seconds, until a cluster acts on a change after AWS has called the user active
SETTLES = 0.2  # seconds between two logins


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """What the function is limited to, if anything."""

    secret: str | None = None
    user: str | None = None

    def check(self, credential: Credential, context: Context) -> None:
        """Raises RotationError for another secret or user."""
        if self.secret not in (None, context.secret):
            raise RotationError(
                Kind.POLICY, "the function is for another secret", check=f"its variable {SECRET_ARN}", secret=context.secret
            )
        if self.user not in (None, credential.username):
            raise RotationError(Kind.POLICY, "the function is for another user", check=f"its variable {USER_NAME}", secret=context.secret)


class Overlap:
    """Changed by the function's own role."""

    principal = ("username", "password")

    def __init__(self, policy: PasswordPolicy, *, only: Only, poll: float) -> None:
        self._policy = policy
        self._only = only
        self._poll = poll

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        only = Only(secret=environ.get(SECRET_ARN) or None, user=environ.get(USER_NAME) or None)
        policy = PasswordPolicy.from_environment(environ, excluded=EXCLUDED, forbidden=FORBIDDEN, longest=LONGEST)
        try:
            poll = float(environ.get(POLL) or 5)
        except ValueError:
            raise RotationError(Kind.POLICY, f"{POLL} is not a number", check="the variable of the function") from None
        return cls(policy, only=only, poll=poll)

    def propose(self, current: Credential, context: Context) -> Credential:
        self._only.check(current, context)
        current.text("user_arn")
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return next((name for name in ("username", "user_arn") if pending.get(name) != current.get(name)), None)

    def apply(self, pending: Credential, context: Context) -> None:
        current = context.current()
        user = self._user(current, context)
        if _has_host(pending) and current.get("password"):
            # Whoever wrote the secret knows a password of the user that it names, or nothing is done in its name.
            first_accepted(pending, current, login=lambda credential: Session(credential, deadline=context.deadline)).close()
        user.active()
        user.set_passwords(_distinct(pending, current))
        user.active()

    def verify(self, pending: Credential, context: Context) -> None:
        self._user(pending, context).active()
        if _has_host(pending):
            _settled(pending, accepted=True, deadline=context.deadline)
            with Session(pending, deadline=context.deadline):
                pass

    def retire(self, old: Credential, context: Context) -> None:
        """The user keeps the current password only. AWS does not end connections that are open."""
        current, previous = context.current(), context.previous()
        self._same_user(old, current)
        context.confirm_idle()
        user = self._user(current, context)
        if _has_host(current):
            with Session(current, deadline=context.deadline):
                pass  # a refusal proves something only where the current one is taken
        if user.active().passwords > 1 and (not _has_host(old) or logs_in(old, deadline=context.deadline)):
            # What is beside the current one is AWSPREVIOUS's: it stays where an older one still is to be retired.
            kept = previous if previous is not None and previous.get("username") == current.username else None
            user.set_passwords(_distinct(current, None if kept is None or kept.get("password") == old.get("password") else kept))
            user.active()
        if _has_host(old):
            _settled(old, accepted=False, deadline=context.deadline)
            prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The old password is set again, and the current one stays valid."""
        current = context.current()
        self._same_user(old, current)
        context.confirm_idle()
        if old.get("password") != current.get("password"):
            self.apply(old, context)
        self.verify(old, context)

    def _user(self, credential: Credential, context: Context) -> AwsUser:
        self._only.check(credential, context)
        return AwsUser(credential, deadline=context.deadline, poll=self._poll)

    def _same_user(self, old: Credential, current: Credential) -> None:
        if name := self.is_successor(old, current):
            check = "which version was meant; the password of another user is ended by hand"
            raise RotationError(Kind.POLICY, f"the version's {name} is not the current version's", check=check, secret=old.secret)


def _has_host(credential: Credential) -> bool:
    return bool(credential.get("host"))


def _distinct(first: Credential, second: Credential | None) -> list[str]:
    """The passwords of both, for AWS takes none twice. The current one is missing before the first rotation."""
    passwords = [first.password, *([second.text("password")] if second is not None and second.get("password") else [])]
    return list(dict.fromkeys(passwords))


def _settled(credential: Credential, *, accepted: bool, deadline: Deadline) -> None:
    """Wait until the cluster acts on a change; whether it does is for the caller to find out."""
    patience = Deadline.after(deadline.remaining(at_most=SETTLED_WITHIN))
    while logs_in(credential, deadline=deadline) is not accepted and patience.clock() < patience.at:
        time.sleep(deadline.remaining(at_most=SETTLES))
