"""One user, whose password is changed.

The order of the steps stands here once for all engines, because others' passwords depend on it: no other user's is changed or ended;
whoever wrote the secret knows a password of the user that it names, before anybody changes it; no rotation has begun meanwhile; and
retiring ends in a refused login, while the current one is taken.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Generic, Self, TypeVar

from keyturn_rotators.back_end import BackEnd, Login
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.logins import same_connection, same_user, valid_login
from keyturn_rotators.settings import Settings

Setter = Callable[[Credential], None]  # the work of an engine whose one statement is all of it
T = TypeVar("T")
Work = TypeVar("Work")  # what an engine changes a password with: the user's own session, a superuser's, or more


class OneUser(ABC, Generic[Login, Work]):
    """Changed by itself, or by the superuser where the engine and the secret have one."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired
    back_end: BackEnd[Login]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(cls.back_end.settings(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != current.username else self.back_end.differs(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        if not self._is_settled(pending, context):
            with self._work(pending, context) as work:
                self._change(work, pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. What the user may do is not the password's."""
        self.back_end.verify(pending, context.deadline)

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and an engine may have something to end besides.

        No back end knows with which password a session of the user was opened.
        """
        current = context.current()
        self._same_principal(old, current)
        context.confirm_idle()
        # Whoever cannot log in with what is current cannot tell a refusal of the old one from another.
        with self.back_end.log_in(current, context.deadline) as itself:
            self._end(itself, old, context)
        self._prove_refused(old, context)

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back. The current one is dead then, where a user has one only: the version must be promoted next."""
        self._same_principal(old, context.current())
        if not self._is_settled(old, context):
            with self._work(old, context) as work:
                context.confirm_idle()
                self._change(work, old, context)
        self.verify(old, context)

    @contextmanager
    def _work(self, wanted: Credential, context: Context) -> Iterator[Work]:
        """`wanted` is the credential that is to be made valid."""
        with ExitStack() as logins:
            # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
            itself, valid = self._valid(lambda valid: (logins.enter_context(self._log_in(valid, context)), valid), wanted, context)
            yield logins.enter_context(self._open(itself, valid, wanted, context))

    def _superuser(self, wanted: Credential, context: Context, *, port: int | None = None) -> Credential:
        """Its login, which is not the user's. `port`: where it is not the back end's own."""
        port = self.back_end.port(wanted) if port is None else port
        return self._settings.superuser.login(wanted, context, port=port, users=(wanted.username,))

    def _log_in(self, valid: Credential, context: Context) -> AbstractContextManager[Login]:
        """As the user itself, with a password that may be the valid one."""
        return self.back_end.log_in(valid, context.deadline)

    def _valid(self, log_in: Callable[[Credential], T], wanted: Credential, context: Context) -> T:
        """What `log_in` returns for whichever password of the user's is valid now."""
        return valid_login(log_in, before=wanted, context=context, differs=self.back_end.differs)

    def _is_settled(self, wanted: Credential, context: Context) -> bool:
        """Whether nothing is left to be changed, as after an attempt that died late."""
        return self.back_end.takes(wanted, context.deadline)

    def _same_principal(self, old: Credential, current: Credential) -> None:
        """Raises RotationError where an older version is another user's, or leads elsewhere."""
        same_user(old, current)
        same_connection(old, current, self.back_end.differs)

    def _prove_refused(self, old: Credential, context: Context) -> None:
        self.back_end.prove_refused(old, context.deadline)

    @abstractmethod
    def _open(self, itself: Login, valid: Credential, wanted: Credential, context: Context) -> AbstractContextManager[Work]:
        """What changes the password, with the lock that keeps others from it, where the back end has one. It changes nothing yet.

        `itself`: the user's own login, by the password of `valid`.
        """

    @abstractmethod
    def _change(self, work: Work, wanted: Credential, context: Context) -> None:
        """Make the password valid."""

    def _end(self, itself: Login, old: Credential, context: Context) -> None:
        """End what is left of the old password. `itself`: the user's own login, by the current one.

        A lock that is taken for it is a moment in which a rotation may have begun: `confirm_idle` once more, then.
        """
