"""The user's password is changed, by the user itself, or by the administrator where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import Session, logs_in, place_of
from keyturn_rotators.engines.ldap.dialect import Dialect
from keyturn_rotators.engines.ldap.openldap import OpenLdap
from keyturn_rotators.engines.ldap.settings import Settings, entry_of, other_connection, same_connection
from keyturn_rotators.errors import Kind
from keyturn_rotators.logins import same_user, valid_login


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired
    dialect: ClassVar[Dialect] = OpenLdap()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        self.dialect.check(current)
        return current.replaced(password=self._settings.policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return "username" if pending.username != current.username else other_connection(pending, current)

    def apply(self, pending: Credential, context: Context) -> None:
        if not self._taken(pending, context) and not self._set(pending, context):
            check = "the versions of the secret: which of them has the password that was set last"
            raise place_of(pending).error(Kind.AUTHENTICATION, "the password was replaced already, and is taken for a while only", check)

    def _set(self, pending: Credential, context: Context) -> bool:
        """Change the password. False where the one that is said to be valid has been replaced already, and is taken for a while only."""
        before = self._before(pending, context)
        if not self._settings.has_superuser(context):
            with self._login(before, context) as itself:
                return self.dialect.change_own(itself, before, pending)
        with self._settings.admin(pending, context, self.dialect, users=(pending.username,)) as admin:
            entry = entry_of(admin, pending, self.dialect)
            with Session(before, deadline=context.deadline, name=entry.dn):
                pass  # it is this very entry whose password the secret has: another may have the same name to log in with
            self.dialect.reset(admin, entry, pending.password)
        return True

    def verify(self, pending: Credential, context: Context) -> None:
        with self._login(pending, context):
            pass  # what the user may do is not the password's

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed, or lives on for the directory's grace period, which the administrator can end.

        A directory does not know with which password a connection was opened, so none is ended.
        """
        current = context.current()
        _same(old, current)
        context.confirm_idle()
        self.verify(current, context)  # a refusal proves something only where the current one is taken
        if not self._taken(old, context):
            return
        if self._settings.has_superuser(context):
            with self._settings.admin(old, context, self.dialect, users=(old.username,)) as admin:
                entry = entry_of(admin, current, self.dialect)
                with Session(current, deadline=context.deadline, name=entry.dn):
                    pass
                ended = self.dialect.forget_before(admin, entry, current.password)
            if ended and not self._taken(old, context):
                return
        raise place_of(old).error(Kind.SERVER, "the old password is still taken", self.dialect.still_taken)

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next.

        Where the current one is taken, that the old one is taken too may be the directory's grace period, so it is set again.
        """
        current = context.current()
        _same(old, current)
        context.confirm_idle()
        if old.password != current.password and self._taken(current, context):
            self._set(old, context)  # if it has been set already, the current one is in its grace period
        else:
            self.apply(old, context)
        self.verify(old, context)

    def _login(self, credential: Credential, context: Context) -> Session:
        return Session(credential, deadline=context.deadline, name=self.dialect.bind_name(credential))

    def _taken(self, credential: Credential, context: Context) -> bool:
        return logs_in(credential, deadline=context.deadline, name=self.dialect.bind_name(credential))

    def _before(self, pending: Credential, context: Context) -> Credential:
        """The credential that is valid now: AWSCURRENT's, or AWSPREVIOUS's after a promotion that was taken back."""

        def seen(credential: Credential) -> Credential:
            self.verify(credential, context)
            return credential

        return valid_login(seen, before=pending, context=context, differs=other_connection)


def _same(old: Credential, current: Credential) -> None:
    same_connection(old, current)
    same_user(old, current)
