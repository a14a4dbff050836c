"""Users as the server keeps them: tags, permissions by virtual host and by topic, limits.

Whatever is written about a user has its tags with it: a PUT without them is refused, and one with others replaces them.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.rabbitmq.management import Management
from keyturn_rotators.errors import Kind

POLL = 0.05  # seconds
GONE_WITHIN = 15.0  # seconds, for connections that were closed
LIMITS = ("max-connections", "max-channels")

Vhost = str
Exchange = str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What a user may do."""

    name: str
    tags: tuple[str, ...]
    password: bool
    permissions: dict[Vhost, dict[str, str]] = field(default_factory=dict)  # configure, write, read
    topics: dict[Vhost, dict[Exchange, dict[str, str]]] = field(default_factory=dict)  # write, read
    limits: dict[str, int] = field(default_factory=dict)


class Users:
    """The users of a server, through the login of an administrator."""

    def __init__(self, api: Management) -> None:
        self._api = api

    def find(self, name: str) -> User | None:
        found: Any = self._api.get("users", name)
        if found is None:
            return None
        tags = found.get("tags") or ()
        permissions: Any = self._api.get("users", name, "permissions") or []
        topics: dict[Vhost, dict[Exchange, dict[str, str]]] = defaultdict(dict)
        listed: Any = self._api.get("users", name, "topic-permissions") or []
        for each in listed:
            topics[each["vhost"]][each["exchange"]] = {right: each[right] for right in ("write", "read")}
        limits: Any = self._api.get("user-limits", name) or []
        return User(
            name=name,
            tags=tuple(tags.split(",") if isinstance(tags, str) else tags),  # a string before 3.9
            password=bool(found.get("password_hash")),
            permissions={each["vhost"]: {right: each[right] for right in ("configure", "write", "read")} for each in permissions},
            topics=dict(topics),
            limits=limits[0]["value"] if limits else {},
        )

    def get(self, name: str) -> User:
        """Raises RotationError where the server itself has no such user."""
        if user := self.find(name):
            return user
        check = "whether it is known to LDAP or OAuth instead, whose users are rotated there"
        raise self._api.place.error(Kind.POLICY, f"the server's own users have no {name}", check)

    def set_password(self, name: str, password: str, *, tags: tuple[str, ...]) -> None:
        self._api.put("users", name, password=password, tags=",".join(tags))

    def without_password(self, name: str, *, tags: tuple[str, ...]) -> None:
        """The user stays, or is made, and no password lets it in."""
        self._api.put("users", name, password_hash="", tags=",".join(tags))

    def equalise(self, model: User, name: str) -> None:
        """A user may do what another one may, and nothing else; but for its tags, which go with its password."""
        idle = self.get(name)
        for vhost, rights in model.permissions.items():
            if idle.permissions.get(vhost) != rights:
                self._api.put("permissions", vhost, name, **rights)
        for vhost in idle.permissions.keys() - model.permissions.keys():
            self._api.delete("permissions", vhost, name)
        for vhost in model.topics.keys() | idle.topics.keys():
            self._equalise_topics(vhost, name, wanted=model.topics.get(vhost, {}), found=idle.topics.get(vhost, {}))
        for limit in LIMITS:
            if limit in model.limits and idle.limits.get(limit) != model.limits[limit]:
                self._api.put("user-limits", name, limit, value=model.limits[limit])
            elif limit in idle.limits and limit not in model.limits:
                self._api.delete("user-limits", name, limit)

    def end_connections(self, name: str, *, deadline: Deadline, goes_on: bool = False) -> None:
        """Close all connections of the user, and see that they are gone.

        `goes_on`: the user may log in. Then it is about those that it has now: its apps open others at once, which are left alone.
        """
        patience = Deadline.after(deadline.remaining(at_most=GONE_WITHIN))
        before = set(self._listed(name)) if goes_on else None
        self._api.delete("connections", "username", name)
        while left := self._still_open(name, before):
            if patience.clock() >= patience.at:
                check = "rabbitmqctl list_connections; the step is repeated"
                raise self._api.place.error(Kind.SERVER, f"{len(left)} connections of {name} are still open after they were closed", check)
            time.sleep(POLL)
            for connection in left:
                self._api.delete("connections", connection)

    def _listed(self, name: str) -> list[str]:
        listed: Any = self._api.get("connections", "username", name) or []
        return [each["name"] for each in listed]

    def _still_open(self, name: str, among: set[str] | None) -> list[str]:
        """The list by user may keep a connection that its client broke off just then; it is not there when it is asked for by name."""
        counted = [each for each in self._listed(name) if among is None or each in among]
        return [each for each in counted if self._api.get("connections", each) is not None]

    def _equalise_topics(
        self, vhost: Vhost, name: str, *, wanted: dict[Exchange, dict[str, str]], found: dict[Exchange, dict[str, str]]
    ) -> None:
        if found.keys() - wanted.keys():  # those of a virtual host can be taken away all at once only
            self._api.delete("topic-permissions", vhost, name)
            found = {}
        for exchange, rights in wanted.items():
            if found.get(exchange) != rights:
                self._api.put("topic-permissions", vhost, name, exchange=exchange, **rights)
