"""Two users in turn: the idle one gets the new password, and may do what the other may, at every rotation.

The user in use is not touched, so its credential works until the next rotation. The order of the steps stands here once for all engines,
because others' users depend on it: which user may be touched at all; that whoever wrote the secret can log in as the user that it names,
before a superuser does anything in its name; that no rotation has begun meanwhile; and that retiring ends in a refused login.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Generic, Self, TypeVar

from keyturn_rotators.alternation import alternate, next_user
from keyturn_rotators.back_end import BackEnd, Login
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.logins import same_connection
from keyturn_rotators.settings import Settings

Work = TypeVar("Work")  # what an engine changes users with: a session of the superuser's, or more


class InTurn(ABC, Generic[Login, Work]):
    """The user and its clone, changed by the superuser of the secret that masterarn names."""

    principal = ("username",)  # the name is all that tells whose a version is
    back_end: BackEnd[Login]
    longest_name: ClassVar[int]
    unit: ClassVar[str] = "bytes"  # or characters, in which the longest name is measured

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(cls.back_end.settings(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        return current.replaced(username=self._next_user(current), password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return self.back_end.differs(pending, current) if self._are_partners(pending, current) else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        with self._work(pending, context) as work:
            self._let_in(work, pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the rights are equal, setSecret has seen to: most users cannot see the other's, nor their own."""
        self.back_end.verify(pending, context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user can log in no more, until `apply` or `restore` lets it in again."""
        same_connection(old, context.current(), self.back_end.differs)
        with self._work(old, context) as work:
            context.confirm_idle()
            self._shut_out(work, old, context)
            self.back_end.prove_refused(old, context.deadline)

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its rights are made equal to the current one's, as by `apply`."""
        current = context.current()
        same_connection(old, current, self.back_end.differs)
        if not self._are_one(old, current):  # else it has been promoted already
            with self._work(old, context) as work:
                context.confirm_idle()
                self._let_in_again(work, old, context)
        self.verify(old, context)

    @contextmanager
    def _work(self, idle: Credential, context: Context) -> Iterator[Work]:
        """`idle` is the user that is not current."""
        current = context.current()
        if not self._are_partners(idle, current):
            raise no_partner(idle)
        # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
        with self._log_in(current, context) as in_use, self._open(in_use, idle, context) as work:
            yield work

    def _superuser(self, idle: Credential, context: Context, *, port: int | None = None) -> Credential:
        """Its login, which is neither of the two. `port`: where it is not the back end's own."""
        users = (idle.username, context.current().username)
        return self._settings.superuser.login(idle, context, port=self.back_end.port(idle) if port is None else port, users=users)

    def _log_in(self, current: Credential, context: Context) -> AbstractContextManager[Login]:
        """As the user in use."""
        return self.back_end.log_in(current, context.deadline)

    def _next_user(self, current: Credential) -> str:
        """Raises RotationError where the back end takes no such name."""
        return next_user(current, longest=self.longest_name, unit=self.unit)

    def _are_partners(self, idle: Credential, current: Credential) -> bool:
        return idle.username == alternate(current.username)

    def _are_one(self, one: Credential, other: Credential) -> bool:
        return one.username == other.username

    @abstractmethod
    def _open(self, in_use: Login, idle: Credential, context: Context) -> AbstractContextManager[Work]:
        """What changes users, with the lock that keeps the steps of one pair apart, where the back end has one. It changes nothing yet."""

    @abstractmethod
    def _let_in(self, work: Work, pending: Credential, context: Context) -> None:
        """Make the idle user's login valid, and its rights those of the user in use. Raises RotationError where they are not."""

    def _let_in_again(self, work: Work, old: Credential, context: Context) -> None:
        """The same for a user that may have been shut out, with the password that it had then."""
        self._let_in(work, old, context)

    @abstractmethod
    def _shut_out(self, work: Work, old: Credential, context: Context) -> None:
        """No login of the idle user is taken any more, where there is such a user. Its sessions are ended, where that can be done."""


def no_partner(old: Credential) -> RotationError:
    """For a version that is neither of the two users', in whose name nothing must be done."""
    check = "which version was meant; a user that is neither of the two is ended by hand"
    return RotationError(
        Kind.POLICY, "the version's user is not the current one's partner", check=check, secret=old.secret, user=old.username
    )
