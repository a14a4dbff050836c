"""Makes the rights of one user's accounts those of another's, and says what could not be made so.

Every statement is tried by the superuser and, where that is refused, by the user in use, which may be allowed to pass on what it has.
"""

from dataclasses import replace

from keyturn_rotators.engines.mysql.accounts import Account, accounts, demand
from keyturn_rotators.engines.mysql.connection import Refusal, Session
from keyturn_rotators.engines.mysql.explanations import NO_SUCH_TABLE
from keyturn_rotators.engines.mysql.grants import NotUnderstood, Rights, differences, parsed, statements, verbatim
from keyturn_rotators.errors import Kind

DEFAULT_ROLES = "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles WHERE USER = %s AND HOST = %s"


def rights_of(admin: Session, account: Account) -> Rights:
    """What the account was granted. Raises RotationError."""
    lines = [str(line) for (line,) in admin.run("SHOW GRANTS FOR %s@%s", *account.name)]
    try:
        rights = parsed(lines)
    except NotUnderstood:
        what = f"what SHOW GRANTS says of {account} is not understood"
        raise admin.place.error(Kind.SERVER, what, "the lines of SHOW GRANTS, by hand") from None
    return rights if admin.mariadb else replace(rights, default_roles=_default_roles(admin, account))


def equalise(admin: Session, in_use: Session, *, wanted: Account, found: Account) -> None:
    """Give one account what the other has, and take from it what the other has not; whatever is allowed."""
    if found.demands != wanted.demands:
        demand(admin, replace(found, demands=wanted.demands))
    for statement in statements(wanted=rights_of(admin, wanted), found=rights_of(admin, found)):
        if not admin.attempt(statement, *found.name):
            in_use.attempt(statement, *found.name)


def equalise_default_roles(admin: Session, itself: Session | None, *, wanted: Account, found: Account) -> None:
    """The same for the roles that are active from login on. On MariaDB an account may do that for `itself`, and few others may."""
    roles, have = rights_of(admin, wanted).default_roles, rights_of(admin, found).default_roles
    if roles == have:
        return
    names = verbatim(", ".join(sorted(roles)) or "NONE")
    if not admin.mariadb:
        admin.attempt(f"ALTER USER %s@%s DEFAULT ROLE {names}", *found.name)
    elif itself is None or not itself.attempt(f"SET DEFAULT ROLE {names}".replace("%%", "%")):
        admin.attempt(f"SET DEFAULT ROLE {names} FOR %s@%s", *found.name)


def left_over(admin: Session, *, current: str, pending: str) -> dict[str, list[str]]:
    """The differences between the accounts of two users, by the name of the pending one's account; nothing where they are alike."""
    wanted, found = accounts(admin, current), accounts(admin, pending)
    left = {}
    for host, account in wanted.items():
        other = found[host]
        phrases = differences(wanted=rights_of(admin, account), found=rights_of(admin, other))
        if other.demands != account.demands:
            phrases.append("its limits and what it REQUIREs are others")
        if phrases:
            left[str(other)] = phrases
    return left


def _default_roles(admin: Session, account: Account) -> frozenset[str]:
    try:
        rows = admin.run(DEFAULT_ROLES, *account.name)
    except Refusal as error:
        if error.number == NO_SUCH_TABLE:
            return frozenset()  # a server without roles
        raise
    return frozenset(f"{_quoted(user)}@{_quoted(host)}" for user, host in rows)


def _quoted(name: object) -> str:
    text = name.decode() if isinstance(name, bytes) else str(name)
    return "`" + text.replace("`", "``") + "`"
