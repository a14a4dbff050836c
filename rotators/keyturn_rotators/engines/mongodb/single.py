"""The user's password is replaced: by the superuser of the secret that masterarn names, or by the user itself where none is named.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import BACK_END, UNAUTHORIZED, Refusal, Session, source
from keyturn_rotators.engines.mongodb.users import Users, users_of
from keyturn_rotators.one_user import OneUser

SetPassword = partial[None]


class SingleUser(OneUser[Session, SetPassword]):
    """One user, one password."""

    back_end = BACK_END

    @contextmanager
    def _open(self, itself: Session, valid: Credential, wanted: Credential, context: Context) -> Iterator[SetPassword]:
        name = wanted.username
        if not self._settings.superuser.is_named(context):
            users = Users(itself, database=source(wanted))
            yield partial(users.set_password, name, mechanisms=_own_mechanisms(users, name))
            return
        with users_of(self._superuser(wanted, context), wanted, context) as users:
            yield partial(users.set_password, name, mechanisms=users.get(name).mechanisms)

    def _change(self, work: SetPassword, wanted: Credential, context: Context) -> None:
        work(wanted.password)


def _own_mechanisms(users: Users, name: str) -> frozenset[str] | None:
    """As the user sees itself, where it may."""
    try:
        return users.get(name).mechanisms
    except Refusal as refused:
        if refused.code != UNAUTHORIZED:
            raise
        return None
