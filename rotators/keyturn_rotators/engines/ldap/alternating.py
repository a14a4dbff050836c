"""Two users in turn: the idle one gets the new password, and the other's memberships in groups, at every rotation."""

from contextlib import AbstractContextManager
from typing import ClassVar

import ldap3

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import ALREADY_THERE, NOT_THERE, Entry, Session
from keyturn_rotators.engines.ldap.dialect import Dialect
from keyturn_rotators.engines.ldap.openldap import OpenLdap
from keyturn_rotators.engines.ldap.work import admin_and_entry, directory
from keyturn_rotators.in_turn import InTurn

Found = tuple[Session, Entry]  # the administrator's login, and the entry of the user in use


class AlternatingUsers(InTurn[Session, Found]):
    """The user and its clone, changed by the administrator of the secret that masterarn names."""

    dialect: ClassVar[Dialect] = OpenLdap()
    back_end = directory(OpenLdap())

    def propose(self, current: Credential, context: Context) -> Credential:
        self.dialect.check(current)
        return super().propose(current, context)

    def _next_user(self, current: Credential) -> str:
        return self.dialect.next_user(current)

    def _are_partners(self, idle: Credential, current: Credential) -> bool:
        return idle.username == self.dialect.next_user(current)

    def _open(self, in_use: Session, idle: Credential, context: Context) -> AbstractContextManager[Found]:
        return admin_and_entry(self._superuser(idle, context), context.current(), context, self.dialect)

    def _let_in(self, work: Found, pending: Credential, context: Context) -> None:
        admin, model = work
        idle = self.dialect.find(admin, pending) or self.dialect.create(admin, model, pending)
        self._equalise(admin, model, idle, context.current())
        # Last, so that it is let in only once it may do what the other may.
        if not self.back_end.takes(pending, context.deadline):
            self.dialect.reset(admin, idle, pending.password)
            self.dialect.let_in(admin, idle)

    def _shut_out(self, work: Found, old: Credential, context: Context) -> None:
        """Connections that it has open go on."""
        admin, _ = work
        if idle := self.dialect.find(admin, old):
            self.dialect.shut_out(admin, idle)

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
