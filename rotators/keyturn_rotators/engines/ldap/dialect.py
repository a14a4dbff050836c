"""What directories do differently; the strategies are the same for all."""

from typing import Protocol

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.ldap.connection import Entry, Session


class Dialect(Protocol):
    """How one kind of directory names, changes and closes accounts."""

    still_taken: str  # what to check where a password that was replaced is still taken

    def check(self, credential: Credential) -> None:
        """Raise RotationError where the secret cannot be rotated."""

    def bind_name(self, credential: Credential) -> str:
        """What to log in as."""

    def next_user(self, current: Credential) -> str:
        """The name of the second user, or of the first again. Raises RotationError where it would be too long."""

    def find(self, session: Session, credential: Credential) -> Entry | None:
        """The account's entry."""

    def change_own(self, itself: Session, before: Credential, pending: Credential) -> bool:
        """The user changes its password. False where `before` has been replaced already, and is taken for a while only."""

    def reset(self, admin: Session, entry: Entry, password: str) -> None:
        """Set a password, without the one before."""

    def forget_before(self, admin: Session, entry: Entry, password: str) -> bool:
        """End the time in which the password before the current one is still taken. False where there is no such time."""

    def create(self, admin: Session, model: Entry, pending: Credential) -> Entry:
        """Make the second user, like the first. It need not be able to log in yet."""

    def shut_out(self, admin: Session, entry: Entry) -> None:
        """No login is taken for this account any more."""

    def let_in(self, admin: Session, entry: Entry) -> None:
        """Take that back; the password is right already."""

    def memberships(self, admin: Session, entry: Entry, credential: Credential) -> set[tuple[str, str]]:
        """The groups that list the account itself, and the attribute in which they do."""

    def listed(self, entry: Entry, attribute: str) -> bytes:
        """What a group lists of the account in that attribute."""
