"""Users as the server keeps them: roles, mechanisms, restrictions of where they may come from, custom data.

https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.mongodb.connection import NOT_KNOWN, UNAUTHORIZED, Session, source
from keyturn_rotators.engines.mongodb.driver import Document
from keyturn_rotators.errors import Kind

Role = tuple[str, str]  # its name, and the database that it is of


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What a user may do. A field that this server does not have is None."""

    name: str
    roles: frozenset[Role] = frozenset()
    mechanisms: frozenset[str] | None = None
    restrictions: list[Any] | None = None
    custom: Document = field(default_factory=dict)


class Users:
    """The users of one database, through the login of somebody who may see and change them."""

    def __init__(self, session: Session, *, database: str) -> None:
        self._session = session
        self._database = database

    def find(self, name: str) -> User | None:
        who = {"user": name, "db": self._database}
        answer = self._session.attempt("usersInfo", who, showAuthenticationRestrictions=True)
        if answer is None:  # a server that knows no restrictions
            answer = self._session.run("usersInfo", who)
        return next((_user(found) for found in answer.get("users", ())), None)

    def get(self, name: str) -> User:
        if user := self.find(name):
            return user
        check = "dbname or authSource of the secret; users of LDAP, X.509 or IAM are rotated there"
        raise self._session.place.error(Kind.POLICY, f"the database {self._database} keeps no user {name}", check)

    def create(self, name: str, password: str, *, model: User) -> None:
        """Make a user that may do what another one may."""
        self._session.run("createUser", name, pwd=password, roles=_listed(model.roles), **_attributes(model, None))

    def equalise(self, model: User, idle: User) -> None:
        """A user may do what another one may, and nothing else; but for its mechanisms, which go with its password."""
        if lacking := model.roles - idle.roles:
            self._session.run("grantRolesToUser", idle.name, roles=_listed(lacking))
        if more := idle.roles - model.roles:
            self._session.run("revokeRolesFromUser", idle.name, roles=_listed(more))
        if changed := _attributes(model, idle, mechanisms=False):
            self._session.run("updateUser", idle.name, **changed)

    def set_password(self, name: str, password: str, *, mechanisms: frozenset[str] | None) -> None:
        """`mechanisms`: those that the user has, since the server would give it all others too."""
        fields = {"mechanisms": sorted(mechanisms)} if mechanisms else {}
        self._session.run("updateUser", name, pwd=password, **fields)

    def shut_out(self, user: User) -> None:
        """No password lets the user in any more, and connections that it has open may do nothing.

        It is not dropped: nobody else shall take its name. A server that leaves every user a role keeps the roles; what is asked of
        retiring, the refused login, is proved by the caller.
        """
        self.set_password(user.name, secrets.token_urlsafe(32), mechanisms=user.mechanisms)
        if user.roles:
            self._session.attempt("revokeRolesFromUser", user.name, roles=_listed(user.roles))
        # What it is at. DocumentDB ends nobody's sessions, and the superuser need not be allowed to.
        self._session.attempt("killAllSessions", [{"user": user.name, "db": self._database}], unless=NOT_KNOWN | {UNAUTHORIZED})


@contextmanager
def users_of(superuser: Credential, credential: Credential, context: Context) -> Iterator[Users]:
    """The users of the credential's database. The superuser may be kept by another one: its commands are run in theirs."""
    with Session(superuser, deadline=context.deadline) as session:
        yield Users(session.within(source(credential)), database=source(credential))


def _user(found: Document) -> User:
    mechanisms = found.get("mechanisms")
    return User(
        name=found["user"],
        roles=frozenset((role["role"], role["db"]) for role in found.get("roles") or ()),
        mechanisms=frozenset(mechanisms) if mechanisms else None,
        restrictions=found.get("authenticationRestrictions"),
        custom=found.get("customData") or {},
    )


def _listed(roles: frozenset[Role]) -> list[dict[str, str]]:
    return [{"role": role, "db": database} for role, database in sorted(roles)]


def _attributes(model: User, idle: User | None, *, mechanisms: bool = True) -> Document:
    """The fields of a command that give a user the attributes of another, where they are not the same."""
    changed: Document = {}
    if mechanisms and model.mechanisms:
        changed["mechanisms"] = sorted(model.mechanisms)
    if (model.restrictions or []) != ((idle and idle.restrictions) or []):
        changed["authenticationRestrictions"] = model.restrictions or []
    if model.custom != (idle.custom if idle else {}):
        changed["customData"] = model.custom
    return changed
