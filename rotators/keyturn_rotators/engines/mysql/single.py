"""The user's password is changed: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import PLUGINS, accounts, set_password, stored
from keyturn_rotators.engines.mysql.connection import BACK_END, Session
from keyturn_rotators.engines.mysql.explanations import MISSING_CURRENT_PASSWORD, PASSWORD_POLICY
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.errors import Kind
from keyturn_rotators.one_user import OneUser, Setter

OWN_PASSWORD = "ALTER USER USER() IDENTIFIED BY %s"  # noqa: S105  # a statement


class SingleUser(OneUser[Session, Setter]):
    """One user, one password."""

    back_end = BACK_END

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[Setter]:
        if not self._settings.superuser.is_named(context):
            lock(itself.prepared(), wanted.username, deadline=context.deadline)
            yield lambda credential: change_own(itself, credential, valid)
            return
        with Session(self._superuser(wanted, context), deadline=context.deadline) as admin:
            lock(admin.prepared(), wanted.username, deadline=context.deadline)
            yield lambda credential: change_all(admin, itself, credential)

    def _change(self, work: Setter, wanted: Credential, context: Context) -> None:
        work(wanted)


def change_all(admin: Session, itself: Session, pending: Credential) -> None:
    """Change the password of all accounts of the user; the one that its own login has matched comes last, so that it stands for all."""
    host = itself.host
    found = accounts(admin, pending.username)
    for account in sorted(found.values(), key=lambda account: account.host == host):
        set_password(admin, account, pending)


def change_own(itself: Session, pending: Credential, valid: Credential) -> None:
    """Change the password of the account that the login has matched, and keep its plugin. `valid` is what it has logged in with."""
    if not itself.mariadb:
        if not itself.attempt(OWN_PASSWORD, pending.password, unless=frozenset({MISSING_CURRENT_PASSWORD}), secret=True):
            itself.run(f"{OWN_PASSWORD} REPLACE %s", pending.password, valid.password, secret=True)
        return
    if itself.plugin not in PLUGINS[True]:
        what = f"the user logs in by the plugin {itself.plugin}, which is none of a password that can be rotated"
        raise itself.place.error(Kind.POLICY, what, f"the account; rotated are {', '.join(sorted(PLUGINS[True]))}")
    hashed = stored(itself.plugin, pending.password)
    if not itself.attempt("SET PASSWORD = %s", hashed, unless=PASSWORD_POLICY, secret=True):
        itself.run("SET PASSWORD = PASSWORD(%s)", pending.password, secret=True)
