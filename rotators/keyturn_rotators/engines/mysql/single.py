"""The user's password is changed: by the user itself, or by the superuser where the secret names one.

The old password is dead as soon as setSecret is through: until the new version is current and its apps have it, they cannot log in.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mysql.accounts import PLUGINS, accounts, set_password, stored
from keyturn_rotators.engines.mysql.connection import PORT, Session, logs_in
from keyturn_rotators.engines.mysql.explanations import MISSING_CURRENT_PASSWORD, PASSWORD_POLICY
from keyturn_rotators.engines.mysql.locking import lock
from keyturn_rotators.errors import Kind
from keyturn_rotators.logins import same_user, valid_login
from keyturn_rotators.network import Place
from keyturn_rotators.passwords import EXCLUDED, PasswordPolicy
from keyturn_rotators.proof import prove_refused
from keyturn_rotators.superuser import Superuser

OWN_PASSWORD = "ALTER USER USER() IDENTIFIED BY %s"  # noqa: S105  # a statement


class SingleUser:
    """One user, one password."""

    principal = ("username", "password")  # the user goes on; only a password that nobody uses any more is retired

    def __init__(self, policy: PasswordPolicy, superuser: Superuser) -> None:
        self._policy = policy
        self._superuser = superuser

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(PasswordPolicy.from_environment(environ, excluded=EXCLUDED), Superuser.from_environment(environ))

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret without a user is refused before a version of it is written
        return current.replaced(password=self._policy.generate())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        return None if pending.username == current.username else "username"

    def apply(self, pending: Credential, context: Context) -> None:
        if not logs_in(pending, deadline=context.deadline):
            self._change(pending, context, locked=lambda: None)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline, database=True) as session:
            session.run("SELECT CURRENT_USER()")

    def retire(self, old: Credential, context: Context) -> None:
        """The password died when it was changed: that is proved, and nothing more can be done.

        The server does not know with which password a session of the user was opened, so none is ended.
        """
        with Session(context.current(), deadline=context.deadline):
            pass  # whoever cannot log in with what is current cannot tell a refusal of the old from another
        prove_refused(logs_in(old, deadline=context.deadline), Place.of(old, port=PORT, user=old.username))

    def restore(self, old: Credential, context: Context) -> None:
        """The password is changed back, and the current one is dead: the version must be promoted next."""
        same_user(old, context.current())
        if not logs_in(old, deadline=context.deadline):
            self._change(old, context, locked=context.confirm_idle)

    def _change(self, pending: Credential, context: Context, *, locked: Callable[[], None]) -> None:
        """`locked` is called once nobody else can change the user."""
        with ExitStack() as sessions:
            itself, valid = valid_login(
                lambda valid: (sessions.enter_context(Session(valid, deadline=context.deadline)), valid), before=pending, context=context
            )
            if not (self._superuser.secret or context.current().superuser_secret):
                lock(itself.prepared(), pending.username, deadline=context.deadline)
                locked()
                change_own(itself, pending, valid)
                return
            superuser = self._superuser.login(pending, context, port=PORT, users=(pending.username,))
            admin = sessions.enter_context(Session(superuser, deadline=context.deadline)).prepared()
            lock(admin, pending.username, deadline=context.deadline)
            locked()
            change_all(admin, itself, pending)


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
