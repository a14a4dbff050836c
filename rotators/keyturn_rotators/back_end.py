"""What both strategies ask of a kind of back end: how it is logged in to, where, and what it takes as a password."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import LONGEST
from keyturn_rotators.proof import is_taken, prove_refused
from keyturn_rotators.settings import Settings

Login = TypeVar("Login")


Differs = Callable[[Credential, Credential], str | None]


def differs_in(*names: str) -> Differs:
    """What compares these fields: it names the first that is not the same in two values."""
    return lambda one, other: next((name for name in names if one.get(name) != other.get(name)), None)


NOWHERE = differs_in()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackEnd(Generic[Login]):
    """One kind of back end; its functions raise RotationError only."""

    log_in: Callable[[Credential, Deadline], AbstractContextManager[Login]]
    port: Callable[[Credential], int]  # its own, where the secret names none
    tried: Callable[[Credential, Deadline], None] | None = None  # a login as the app's; None: as any other
    differs: Differs = NOWHERE  # names a field of the connection, besides AWS's, that is not the same
    forbidden: str = ""  # in passwords
    longest_password: int = LONGEST
    asks_for_classes: bool = False  # in passwords, a letter of each case and a digit, which the environment then cannot leave out

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """Raises RotationError. A password that the server would refuse must not be stored: no step would replace it."""
        settings = Settings.from_environment(environ, forbidden=self.forbidden, longest=self.longest_password)
        if not self.asks_for_classes:
            return settings
        return replace(settings, policy=replace(settings.policy, lowercase=True, uppercase=True, numbers=True, each_class=True))

    def verify(self, credential: Credential, deadline: Deadline) -> None:
        """Log in as the app does."""
        if self.tried is not None:
            self.tried(credential, deadline)
            return
        with self.log_in(credential, deadline):
            pass

    def takes(self, credential: Credential, deadline: Deadline) -> bool:
        """Raises RotationError where it cannot say."""
        return is_taken(lambda: self.log_in(credential, deadline))

    def prove_refused(self, old: Credential, deadline: Deadline) -> None:
        """Raises RotationError where a credential that was to be retired is still taken."""
        prove_refused(self.takes(old, deadline), Place.of(old, port=self.port(old), user=old.username))
