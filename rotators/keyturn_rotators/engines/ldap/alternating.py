"""Two users in turn: the idle one gets the new password, and the other's memberships in groups, at every rotation.

The user in use is not touched, so its credential works until the next rotation.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Self

import ldap3

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import ALREADY_THERE, NOT_THERE, Entry, Session, logs_in, place_of
from keyturn_rotators.engines.ldap.dialect import Dialect
from keyturn_rotators.engines.ldap.openldap import OpenLdap
from keyturn_rotators.engines.ldap.settings import Settings, entry_of, other_connection, same_connection
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.proof import prove_refused


class AlternatingUsers:
    """The user and its clone, changed by the administrator of the secret that masterarn names."""

    principal = ("username",)
    dialect: ClassVar[Dialect] = OpenLdap()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        self.dialect.check(current)
        return current.replaced(username=self.dialect.next_user(current), password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != self.dialect.next_user(current) else other_connection(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        with self._admin(pending, context) as (admin, model):
            idle = self.dialect.find(admin, pending) or self.dialect.create(admin, model, pending)
            self._equalise(admin, model, idle, context.current())
            # Last, so that it is let in only once it may do what the other may.
            if not self._taken(pending, context):
                self.dialect.reset(admin, idle, pending.password)
                self.dialect.let_in(admin, idle)

    def verify(self, pending: Credential, context: Context) -> None:
        """Log in. That the memberships are equal, setSecret has seen to: the user may not be allowed to read them."""
        with Session(pending, deadline=context.deadline, name=self.dialect.bind_name(pending)):
            pass

    def retire(self, old: Credential, context: Context) -> None:
        """The idle user can log in no more, until `apply` or `restore` lets it in again. Connections that it has open go on."""
        same_connection(old, context.current())
        context.confirm_idle()
        with self._admin(old, context) as (admin, _):
            if idle := self.dialect.find(admin, old):
                self.dialect.shut_out(admin, idle)
        prove_refused(self._taken(old, context), place_of(old))

    def restore(self, old: Credential, context: Context) -> None:
        """The old user may log in with its old password; its memberships are made equal to the current one's, as by `apply`."""
        current = context.current()
        same_connection(old, current)
        if old.username != current.username:  # else it has been promoted already
            context.confirm_idle()
            self.apply(old, context)
        self.verify(old, context)

    @contextmanager
    def _admin(self, idle: Credential, context: Context) -> Iterator[tuple[Session, Entry]]:
        """The administrator, and the entry that the current credential belongs to. `idle`: the user that is not current."""
        current = context.current()
        if idle.username != self.dialect.next_user(current):
            check = "which version was meant; a user that is neither of the two is ended by hand"
            what = "the version's user is not the current one's partner"
            raise RotationError(Kind.POLICY, what, check=check, secret=context.secret, user=idle.username)
        with self._settings.admin(idle, context, self.dialect, users=(idle.username, current.username)) as admin:
            model = entry_of(admin, current, self.dialect)
            # Whoever wrote the secret knows the password of the user that it names, or nothing is done in its name.
            with Session(current, deadline=context.deadline, name=model.dn):
                yield admin, model

    def _taken(self, credential: Credential, context: Context) -> bool:
        return logs_in(credential, deadline=context.deadline, name=self.dialect.bind_name(credential))

    def _equalise(self, admin: Session, model: Entry, idle: Entry, current: Credential) -> None:
        """The idle user is in the groups of the other, and in no others."""
        wanted = self.dialect.memberships(admin, model, current)
        found = self.dialect.memberships(admin, idle, current)
        for group, attribute in sorted(wanted - found):
            change = {attribute: (ldap3.MODIFY_ADD, [self.dialect.listed(idle, attribute)])}
            admin.modify(group, change, doing=f"add a member to {group}", harmless=ALREADY_THERE)
        for group, attribute in sorted(found - wanted):
            change = {attribute: (ldap3.MODIFY_DELETE, [self.dialect.listed(idle, attribute)])}
            admin.modify(group, change, doing=f"take a member from {group}", harmless=NOT_THERE)
