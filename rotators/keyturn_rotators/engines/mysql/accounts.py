"""The accounts of a user: MySQL's `user@host`, one for each host part, each with a password, a plugin and demands of its own.

Read from mysql.user, which both servers have (MariaDB as a view), so that no password's hash is read with it.
"""

import hashlib
from dataclasses import dataclass

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.mysql import ed25519
from keyturn_rotators.engines.mysql.connection import Session
from keyturn_rotators.engines.mysql.explanations import PASSWORD_POLICY, PASSWORD_REFUSED, USER_NOT_CHANGED
from keyturn_rotators.errors import Kind

NATIVE, ED25519 = "mysql_native_password", "ed25519"
PLUGINS = {True: frozenset({NATIVE, ED25519}), False: frozenset({NATIVE, "caching_sha2_password", "sha256_password"})}  # by "is MariaDB"
LIMITS = {
    "max_questions": "MAX_QUERIES_PER_HOUR",
    "max_updates": "MAX_UPDATES_PER_HOUR",
    "max_connections": "MAX_CONNECTIONS_PER_HOUR",
    "max_user_connections": "MAX_USER_CONNECTIONS",
}
LIMITS_OF_MARIADB = LIMITS | {"max_statement_time": "MAX_STATEMENT_TIME"}
DEMANDS = {"x509_subject": "SUBJECT", "x509_issuer": "ISSUER", "ssl_cipher": "CIPHER"}
LOCKED = {
    True: "(SELECT JSON_VALUE(Priv, '$.account_locked') IN ('1', 'true') FROM mysql.global_priv WHERE Host = u.Host AND User = u.User)",
    False: "u.account_locked = 'Y'",
}

Params = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account. `demands` is what CREATE USER says after the password, with its parameters."""

    user: str
    host: str
    plugin: str
    locked: bool
    demands: tuple[str, Params]

    @property
    def name(self) -> Params:
        """For `%s@%s`."""
        return (self.user, self.host)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


def accounts(session: Session, user: str) -> dict[str, Account]:
    """The accounts of that name, by host part. Roles are none."""
    limits = LIMITS_OF_MARIADB if session.mariadb else LIMITS
    columns = ["Host", "plugin", LOCKED[session.mariadb], "ssl_type", *DEMANDS, *limits]
    where = " AND u.is_role = 'N'" if session.mariadb else ""
    rows = session.run(f"SELECT {', '.join(columns)} FROM mysql.user u WHERE u.User = %s{where}", user)  # noqa: S608  # names of ours
    found = {}
    for host, plugin, locked, ssl_type, *values in rows:
        account = Account(
            user=user,
            host=_text(host),
            plugin=_text(plugin) or NATIVE,
            locked=bool(locked),
            demands=_demands(_text(ssl_type), values[: len(DEMANDS)], dict(zip(limits.values(), values[len(DEMANDS) :], strict=True))),
        )
        found[account.host] = account
    return found


def set_password(session: Session, account: Account, credential: Credential, *, unlock: bool = False) -> None:
    """Give an account its password, by the plugin that it has."""
    _identify(session, "ALTER USER", account, credential, after=(" ACCOUNT UNLOCK", ()) if unlock and account.locked else ("", ()))


def create(session: Session, account: Account, credential: Credential) -> None:
    """Make an account with a password and the account's plugin and demands, and locked if it is said to be."""
    more = f" {account.demands[0]}" + (" ACCOUNT LOCK" if account.locked else "")
    _identify(session, "CREATE USER", account, credential, after=(more, account.demands[1]))


def demand(session: Session, account: Account) -> None:
    """Make the account's demands what they are said to be."""
    session.run(f"ALTER USER %s@%s {account.demands[0]}", *account.name, *account.demands[1])


def stored(plugin: str, password: str) -> str:
    """What MariaDB keeps of a password, so that the password itself is in no log of the server."""
    if plugin == ED25519:
        return ed25519.stored(password.encode())
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return f"*{hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()}"


def refuse_without_password(session: Session, account: Account) -> None:
    """Raises RotationError where the account's plugin knows no password that could be changed."""
    if account.plugin not in PLUGINS[session.mariadb]:
        what = f"the account {account} logs in by the plugin {account.plugin}, which is none of a password that can be rotated"
        check = f"the account; rotated are {', '.join(sorted(PLUGINS[session.mariadb]))}"
        raise session.place.error(Kind.POLICY, what, check)


def _identify(session: Session, verb: str, account: Account, credential: Credential, *, after: tuple[str, Params]) -> None:
    refuse_without_password(session, account)
    more, params = after
    if not session.mariadb:
        how = f"{verb} %s@%s IDENTIFIED WITH {account.plugin} BY %s{more}"
        session.run(how, *account.name, credential.password, *params, secret=True)
        return
    hashed = f"{verb} %s@%s IDENTIFIED VIA {account.plugin} USING %s{more}"
    if not session.attempt(
        hashed, *account.name, stored(account.plugin, credential.password), *params, unless=PASSWORD_POLICY, secret=True
    ):
        # The server validates passwords, and wants to see them for that.
        plain = f"{verb} %s@%s IDENTIFIED VIA {account.plugin} USING PASSWORD(%s){more}"
        if not session.attempt(plain, *account.name, credential.password, *params, unless=frozenset({USER_NOT_CHANGED}), secret=True):
            raise session.place.error(*PASSWORD_REFUSED)


def _demands(ssl_type: str, values: list[object], limits: dict[str, object]) -> tuple[str, Params]:
    sql, params = "REQUIRE ", list[object]()
    named = {word: _text(value) for word, value in zip(DEMANDS.values(), values, strict=True) if _text(value)}
    if ssl_type == "SPECIFIED" and named:
        sql += " AND ".join(f"{word} %s" for word in named)
        params += named.values()
    else:
        sql += {"ANY": "SSL", "X509": "X509"}.get(ssl_type, "NONE")
    return f"{sql} WITH " + " ".join(f"{word} {value or 0}" for word, value in limits.items()), tuple(params)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
