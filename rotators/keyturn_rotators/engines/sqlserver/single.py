"""The login's password is changed: by the login itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.sqlserver.connection import Session
from keyturn_rotators.engines.sqlserver.logins import IN_ITS_DATABASE, is_contained, lock, set_password
from keyturn_rotators.one_user import OneUser, Setter


class SingleUser(OneUser[Session, Setter]):
    """One login, or one user of a contained database, with one password."""

    back_end = IN_ITS_DATABASE

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[Setter]:
        contained = is_contained(itself)
        if not self._settings.superuser.is_named(context):
            lock(itself, wanted.username, deadline=context.deadline)
            yield partial(set_password, itself, contained=contained, old=valid)
            return
        with Session(self._superuser(wanted, context), deadline=context.deadline) as admin:
            lock(admin.prepared(), wanted.username, deadline=context.deadline)
            if contained:
                admin.enter(itself.database)
            yield partial(set_password, admin, contained=contained)

    def _change(self, work: Setter, wanted: Credential, context: Context) -> None:
        work(wanted)
