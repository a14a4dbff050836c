"""Whose logins a step uses: the administrator's, and that of the very entry which the secret's user is."""

from collections.abc import Iterator
from contextlib import contextmanager

from keyturn_rotators.back_end import BackEnd, differs_in
from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ldap.connection import CONNECTION_FIELDS, Entry, Session, port_of
from keyturn_rotators.engines.ldap.dialect import Dialect
from keyturn_rotators.errors import Kind


def directory(dialect: Dialect) -> BackEnd[Session]:
    """Both strategies' back end."""
    return BackEnd(
        log_in=lambda credential, deadline: Session(credential, deadline=deadline, name=dialect.bind_name(credential)),
        port=port_of,
        differs=differs_in(*CONNECTION_FIELDS),
    )


@contextmanager
def admin_and_entry(superuser: Credential, known: Credential, context: Context, dialect: Dialect) -> Iterator[tuple[Session, Entry]]:
    """The administrator's login, and the entry whose password `known` is: another may have the same name to log in with.

    Raises RotationError where that password is not the entry's: whoever wrote the secret knows it, or nothing is done in its name.
    """
    shared = {name: known.get(name) for name in CONNECTION_FIELDS if superuser.get(name) is None and known.get(name)}
    superuser = superuser.replaced(**shared)
    with Session(superuser, deadline=context.deadline, name=dialect.bind_name(superuser)) as admin:
        entry = _entry_of(admin, known, dialect)
        with Session(known, deadline=context.deadline, name=entry.dn):
            yield admin, entry


def _entry_of(session: Session, credential: Credential, dialect: Dialect) -> Entry:
    """The account's entry. Raises RotationError where there is none."""
    if entry := dialect.find(session, credential):
        return entry
    check = "the name in the secret, and whether the login may read the entry"
    raise session.place.error(Kind.POLICY, f"the directory has no {credential.username}, or does not show it", check)
