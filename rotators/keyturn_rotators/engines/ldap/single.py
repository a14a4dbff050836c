"""The user's password is changed, by the user itself, or by the administrator where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import Session, place_of
from keyturn_rotators.engines.ldap.dialect import Dialect
from keyturn_rotators.engines.ldap.openldap import OpenLdap
from keyturn_rotators.engines.ldap.work import admin_and_entry, directory
from keyturn_rotators.errors import Kind
from keyturn_rotators.one_user import OneUser

Change = Callable[[Credential], bool]  # False where the valid password has been replaced already, and is taken for a while only


class SingleUser(OneUser[Session, Change]):
    """One user, one password."""

    dialect: ClassVar[Dialect] = OpenLdap()
    back_end = directory(OpenLdap())

    def propose(self, current: Credential, context: Context) -> Credential:
        self.dialect.check(current)
        return super().propose(current, context)

    def restore(self, old: Credential, context: Context) -> None:
        """Where the current one is taken, that the old one is taken too may be the directory's grace period, so it is set again."""
        current = context.current()
        self._same_principal(old, current)
        if old.password == current.password or not self.back_end.takes(current, context.deadline):
            super().restore(old, context)
            return
        with self._work(old, context) as change:
            context.confirm_idle()
            change(old)  # if it has been set already, the current one is in its grace period
        self.verify(old, context)

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[Change]:
        if not self._settings.superuser.is_named(context):
            yield partial(self.dialect.change_own, itself, valid)
            return
        with admin_and_entry(self._superuser(wanted, context), valid, context, self.dialect) as (admin, entry):

            def reset(credential: Credential) -> bool:
                self.dialect.reset(admin, entry, credential.password)
                return True

            yield reset

    def _change(self, work: Change, wanted: Credential, context: Context) -> None:
        if not work(wanted):
            check = "the versions of the secret: which of them has the password that was set last"
            raise place_of(wanted).error(Kind.AUTHENTICATION, "the password was replaced already, and is taken for a while only", check)

    def _prove_refused(self, old: Credential, context: Context) -> None:
        """The old password may live on for the directory's grace period, which the administrator can end."""
        if not self.back_end.takes(old, context.deadline):
            return
        if not self._forget_before(old, context) or self.back_end.takes(old, context.deadline):
            raise place_of(old).error(Kind.SERVER, "the old password is still taken", self.dialect.still_taken)

    def _forget_before(self, old: Credential, context: Context) -> bool:
        if not self._settings.superuser.is_named(context):
            return False
        current = context.current()
        with admin_and_entry(self._superuser(old, context), current, context, self.dialect) as (admin, entry):
            return self.dialect.forget_before(admin, entry, current.password)
