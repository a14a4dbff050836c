"""What an engine is: the five things that one kind of back end can do with a credential, and what it may read meanwhile."""

from typing import Protocol

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.versions import CURRENT, PENDING, PREVIOUS, VersionMissing, VersionStore


class Context:
    """What an engine may read while it works; each is read at most once."""

    def __init__(self, store: VersionStore, secret: str, deadline: Deadline) -> None:
        self._store = store
        self._read: dict[str, Credential] = {}
        self.secret = secret
        self.deadline = deadline

    def current(self) -> Credential:
        """AWSCURRENT's value. Raises RotationError where there is none."""
        return self.other(self.secret)

    def previous(self) -> Credential | None:
        """AWSPREVIOUS's value, where there is one."""
        return self._labelled(PREVIOUS)

    def pending(self) -> Credential | None:
        """AWSPENDING's value, where there is one: what an attempt that died may have stored. It costs a read."""
        return self._labelled(PENDING)

    def _labelled(self, label: str) -> Credential | None:
        try:
            return Credential.parse(self._store.read(self.secret, label=label), secret=self.secret)
        except VersionMissing:
            return None

    def other(self, secret: str) -> Credential:
        """AWSCURRENT's value of another secret, such as the superuser's."""
        if secret not in self._read:
            try:
                value = self._store.read(secret, label=CURRENT)
            except VersionMissing:
                raise RotationError(
                    Kind.POLICY, f"no version has a value and {CURRENT}", check="the secret's versions", secret=secret
                ) from None
            self._read[secret] = Credential.parse(value, secret=secret)
        return self._read[secret]

    def confirm_idle(self) -> None:
        """Look again whether a rotation has begun. Raises RotationError where it has.

        For `retire` and `restore`, once they hold the back end's lock: whoever writes AWSPENDING does so before `apply` asks for the lock.
        """
        if self._store.describe(self.secret).in_flight:
            raise in_flight(self.secret)


class Engine(Protocol):
    """One kind of back end whose credential can be replaced.

    Each method is harmless when it is repeated, wherever the attempt before it died. All raise RotationError only, but for Unsupported.
    """

    @property
    def principal(self) -> tuple[str, ...]:
        """The fields of the secret that tell whom `retire` hits: it is never called where all of them are as in the current version."""

    def propose(self, current: Credential, context: Context) -> Credential:
        """The next credential, not yet applied."""

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        """The name of a field of `pending` that no proposal from `current` could have, or None."""

    def apply(self, pending: Credential, context: Context) -> None:
        """Make it valid, even if its login was retired. Changes nothing where it is valid already."""

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in with it, and see that it may do what the app does."""

    def retire(self, old: Credential, context: Context) -> None:
        """Make an old credential useless: end its sessions where the back end can, and return only when a login with it is refused.

        Raises Unsupported where the back end, or this strategy, has nothing like it.
        """

    def restore(self, old: Credential, context: Context) -> None:
        """Make an old credential valid again, so that it can be promoted. It may be the current one: a step is repeated after that.

        Raises Unsupported as `retire` does.
        """


def in_flight(secret: str) -> RotationError:
    """A rotation is under way, and may be about to use what was to be retired or restored."""
    return RotationError(
        Kind.POLICY,
        f"{PENDING} is on a version that is not current: a rotation is under way, or has died",
        check=f"whether the rotation ends; if it has died, rotate again or remove the label {PENDING}",
        secret=secret,
    )
