"""A fake of MySQL 8 at the driver's boundary, since no MySQL 8 can be had here. It takes the place of PyMySQL's connection and is no MySQL.

It knows the statements about passwords that the engine sends, by the manual's grammar, and whose passwords are valid then; any other
statement fails the test. What it says of dual passwords is from the manual, and is written down in test_mysql_overlap_contract.py.
https://dev.mysql.com/doc/refman/8.4/en/alter-user.html
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pymysql.constants import CR
from pymysql.err import OperationalError
from tests.rotators.fake_server import FakeRows, FakeServer, InABlock, Rows
from tests.unit.rotators.stores import Life

CACHING = "caching_sha2_password"
DUAL, CREATE_USER = "APPLICATION_PASSWORD_ADMIN", "CREATE USER"
RETAIN = r"(?P<retain> RETAIN CURRENT PASSWORD)?"
ACCESS_DENIED, NEEDS, INCORRECT, MISSING, NOT_ON_PLUGIN_CHANGE, EMPTY, HISTORY = 1045, 1227, 3891, 3892, 3894, 3895, 3638

Statement = Callable[["FakeMySql", "FakeAccount", re.Match[str], list[str]], Rows]


@dataclass(slots=True, kw_only=True)
class FakeAccount:
    """One account, with up to two passwords."""

    user: str
    host: str
    primary: str
    secondary: str | None = None
    plugin: str = CACHING
    privileges: frozenset[str] = frozenset()
    require_current: bool = False
    history: list[str] | None = field(default=None)  # the passwords that it has had, where none may come again

    def takes(self, password: str) -> bool:
        return password in (self.primary, self.secondary)

    def change(self, password: str, *, plugin: str, retain: bool) -> None:
        """ALTER USER ... IDENTIFIED [WITH plugin] BY password [RETAIN CURRENT PASSWORD]."""
        if retain and plugin != self.plugin:
            raise OperationalError(
                NOT_ON_PLUGIN_CHANGE, "Current password can not be retained because authentication plugin is being changed."
            )
        if retain and not (self.primary and password):
            raise OperationalError(EMPTY, "Current password can not be retained because new password is empty.")
        if self.history is not None and password in [*self.history, self.primary]:
            raise OperationalError(HISTORY, "Cannot use these credentials because they contradict the password history policy")
        if self.history is not None:
            self.history.append(self.primary)
        if retain:
            self.secondary = self.primary
        elif plugin != self.plugin:
            self.secondary = None
        self.primary, self.plugin = password, plugin


class FakeMySql(FakeServer):
    """The server's state."""

    version = "8.4.3"

    def __init__(self, life: Life | None = None) -> None:
        super().__init__(life)
        self.accounts: list[FakeAccount] = []

    def create(self, user: str, password: str, *privileges: str, host: str = "%") -> FakeAccount:
        account = FakeAccount(user=user, host=host, primary=password, privileges=frozenset(privileges))
        self.accounts.append(account)
        return account

    def account(self, user: str, host: str) -> FakeAccount:
        return next(account for account in self.accounts if (account.user, account.host) == (user, host))

    def log_in(self, user: str, password: str) -> FakeAccount:
        """By the first account of the name, as MySQL's order by host would have it for one client."""
        account = next((account for account in self.accounts if account.user == user), None)
        if account is None or not account.takes(password):
            raise OperationalError(ACCESS_DENIED, f"Access denied for user '{user}'@'127.0.0.1' (using password: YES)")
        return account


class FakeConnection:
    """What the engine uses of PyMySQL's connection."""

    plugin = CACHING

    def __init__(self, deadline: object, **options: Any) -> None:
        self._options = options
        self._server: FakeMySql
        self._account: FakeAccount

    def connect(self, sock: socket.socket) -> None:
        with sock:
            server = FakeServer.at.get(sock.getpeername()[1])
        if not isinstance(server, FakeMySql):
            raise OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query") from TimeoutError("timed out")
        server.accept()
        server.life.request()
        if self._options["ssl"]:
            raise OperationalError(CR.CR_SSL_CONNECTION_ERROR, "SSL is required but the server doesn't support it")
        self._server = server
        self._account = server.log_in(self._options["user"], self._options["password"].decode())

    def close(self) -> None:
        self._server.unlock(self)

    def cursor(self) -> "FakeCursor":
        return FakeCursor(self)

    def execute(self, sql: str, params: list[str]) -> Rows:
        self._server.life.request()
        if sql == "SELECT GET_LOCK(%s, %s)":
            self._server.statements.append(sql)
            return [(int(self._server.locks.setdefault(params[0], self) is self),)]
        statement, match = self._server.known(sql, params, among=STATEMENTS, places=sql.count("%s"))
        return statement(self._server, self._account, match, params)


class FakeCursor(FakeRows, InABlock):
    """One statement and its rows."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: tuple[str, ...] | None) -> None:
        self.keep(self._connection.execute(sql, list(params or ())))

    def fetchall(self) -> Rows:
        return self.kept()


def _version(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    return [(server.version,)]


def _settings(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    return []


def _current_user(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    return [(f"{account.user}@{account.host}",)]


def _accounts(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    return [(one.host, one.plugin, 0, "", b"", b"", b"", 0, 0, 0, 0) for one in server.accounts if one.user == params[0]]


def _own_password(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    if match["retain"]:
        _need(account, DUAL)
    if match["replace"] and not account.takes(params[1]):
        raise OperationalError(INCORRECT, "Incorrect current password.")
    if account.require_current and not match["replace"]:
        raise OperationalError(MISSING, "Current password needs to be specified in the REPLACE clause in order to change it.")
    account.change(params[0], plugin=account.plugin, retain=bool(match["retain"]))
    return []


def _others_password(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    _need(account, CREATE_USER)
    server.account(params[0], params[1]).change(params[2], plugin=match["plugin"], retain=bool(match["retain"]))
    return []


def _discard_own(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    _need(account, DUAL)
    account.secondary = None
    return []


def _discard_others(server: FakeMySql, account: FakeAccount, match: re.Match[str], params: list[str]) -> Rows:
    _need(account, CREATE_USER)
    server.account(params[0], params[1]).secondary = None
    return []


def _need(account: FakeAccount, privilege: str) -> None:
    if not account.privileges & {privilege, CREATE_USER}:
        message = f"Access denied; you need (at least one of) the {privilege} privilege(s) for this operation"
        raise OperationalError(NEEDS, message)


STATEMENTS: dict[str, Statement] = {
    r"SELECT VERSION\(\)": _version,
    r"SET SESSION sql_mode = '[\w,]+', SESSION lock_wait_timeout = \d+, SESSION sql_quote_show_create = 1": _settings,
    r"SELECT CURRENT_USER\(\)": _current_user,
    r"SELECT Host, plugin, u\.account_locked = 'Y', ssl_type, x509_subject, x509_issuer, ssl_cipher, max_questions, max_updates,"
    r" max_connections, max_user_connections FROM mysql\.user u WHERE u\.User = %s": _accounts,
    rf"ALTER USER USER\(\) IDENTIFIED BY %s(?P<replace> REPLACE %s)?{RETAIN}": _own_password,
    rf"ALTER USER %s@%s IDENTIFIED WITH (?P<plugin>\w+) BY %s{RETAIN}": _others_password,
    r"ALTER USER USER\(\) DISCARD OLD PASSWORD": _discard_own,
    r"ALTER USER %s@%s DISCARD OLD PASSWORD": _discard_others,
}
