"""What a rotation does with a provider's keys: try one, list, make, revoke. Each is one or a few requests."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.http_api_key import pointer
from keyturn_rotators.engines.http_api_key.calls import SPARE, Caller, Reply
from keyturn_rotators.engines.http_api_key.declaration import API_KEY, KEY_ID, OWN, Change, Listing, Provider
from keyturn_rotators.engines.http_api_key.values import Values
from keyturn_rotators.errors import Kind, RotationError

T = TypeVar("T")
POLLS = (0.2, 0.4, 0.8, 1.5)  # seconds between two looks; the last one goes on
MOST_PAGES = 50
SHOWN = 20  # ids in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One key of the account, as the provider lists it."""

    id: str
    label: str
    ends_with: str | None
    entry: object


class Account:
    """The keys at one provider that a secret is about."""

    def __init__(self, provider: Provider, values: Values, caller: Caller) -> None:
        """`values.secret` is the current key: it is what CURRENT authenticates as."""
        self.provider = provider
        self._values = values
        self._caller = caller

    def key(self, credential: Credential) -> object:
        return credential.get(self._values.key_field)

    def id(self, credential: Credential) -> str | None:
        """The key's id as text: providers have numbers, too."""
        value = credential.get(KEY_ID)
        return None if value in (None, "") or isinstance(value, bool) else str(value)

    def test(self, credential: Credential) -> Reply | None:
        """The answer to the key; None where it is refused. Raises RotationError where neither is certain."""
        reply = self._caller.call(self.provider.test.request, self._values.about(credential))
        if reply.status in self.provider.test.refused:
            return None
        if not reply.expected:
            raise reply.refusal()
        for where, wanted in self.provider.test.require.items():
            if reply.at(where, "require") != wanted:
                return None
        return reply

    def settled(self, credential: Credential, *, accepted: bool) -> Reply | None:
        """Tries the key until it is accepted, or refused, as was wanted, or the provider's time for that is over."""
        return self._until(lambda: self.test(credential), lambda reply: (reply is not None) == accepted)

    def keys_with(self, credential: Credential) -> list[Listed]:
        """Every key of the account, once this one is among them, or the provider's time for that is over."""
        return self._until(self.keys, lambda keys: self.provider.listing is None or self.id(credential) in {each.id for each in keys})

    def keys(self) -> list[Listed]:
        """Every key of the account; none where the provider lists none."""
        listing = self.provider.listing
        if listing is None:
            return []
        if listing.pages is None:
            return self._page(listing, {})
        found: list[Listed] = []
        for number in range(MOST_PAGES):
            page = self._page(listing, {listing.pages.parameter: listing.pages.first + number})
            found += page
            if len(page) < listing.pages.size:
                return found
        check = "how the list can be narrowed in the declaration (list.query), and keys that nobody uses"
        raise self._values.error(f"the list of keys has more than {MOST_PAGES} pages", check)

    def owns(self, credential: Credential, reply: Reply, keys: list[Listed]) -> Listed | None:
        """Raises RotationError where the secret's fields are not those of the key itself: nobody may rotate another's by naming it.

        `reply` is the provider's answer to the key. Returns the key's line in the list.
        """
        for name, where in self.provider.test.proves.items():
            if str(reply.at(where, "proves")) != str(credential.get(name)):
                raise self._foreign(name, "is not what the provider says of the key")
        prefix = self.provider.starts_with
        if prefix and not str(self.key(credential)).startswith(self._values.about(credential).text(prefix)):
            raise self._foreign(KEY_ID, "does not belong to the key")
        if self.provider.listing is None:
            return None
        listed = next((each for each in keys if each.id == self.id(credential)), None)
        if listed is None:
            raise self._foreign(KEY_ID, "is not in the provider's list of the account's keys")
        if listed.ends_with is not None and not (listed.ends_with and str(self.key(credential)).endswith(listed.ends_with)):
            raise self._foreign(KEY_ID, "is another key's: the provider shows another ending")
        return listed

    def holds(self, credential: Credential) -> None:
        """Raises RotationError where the account does not have the key, as far as a key that is refused can be told."""
        listed = next((each for each in self.keys() if each.id == self.id(credential)), None)
        shown = listed.ends_with if listed else None
        if listed is None or (shown is not None and not (shown and str(self.key(credential)).endswith(shown))):
            raise self._foreign(KEY_ID, "is not that of a key that the provider lists for the account")

    def create(self, label: str, reply: Reply, listed: Listed | None, keys: list[Listed]) -> dict[str, object]:
        """A new key's fields. Raises RotationError; where the provider makes no more keys, with the ids of those that there are."""
        create = self.provider.create
        answers = {"test": reply.answer.json()} | ({"listed": listed.entry} if listed else {})
        made = self._caller.call(create.request, replace(self._values, label=label, answers=answers))
        if made.status in create.limit:
            there = ", ".join(each.id for each in keys[:SHOWN]) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
            what = f"create was answered with {made.status}, as where there may be no more keys; there are: {there or 'none that it lists'}"
            raise made.error(what, Kind.POLICY, check="which of these keys nobody uses, and the administrator's rights")
        if not made.expected:
            raise made.refusal()
        fields = {name: made.at(where, f"answer.{name}") for name, where in create.answer.items()}
        if not isinstance(fields[API_KEY], str) or not fields[API_KEY]:
            raise made.error("the answer to create has no key", Kind.SERVER, check=f"create.answer.{API_KEY} of the declaration")
        return {self._values.key_field if name == API_KEY else name: value for name, value in fields.items()}

    def revoke(self, credential: Credential) -> None:
        self._change(self.provider.revoke, credential)

    def revoke_listed(self, listed: Listed) -> bool:
        """Revoke a key of which only the id is known; False where the provider asks for the key itself."""
        if self.provider.revoke.request.auth == OWN:
            return False
        self._change(self.provider.revoke, self._values.secret.replaced(**{KEY_ID: listed.id, self._values.key_field: ""}))
        return True

    def restore(self, credential: Credential) -> None:
        if self.provider.restore:
            self._change(self.provider.restore, credential)

    def _until(self, look: Callable[[], T], seen: Callable[[T], bool]) -> T:
        deadline, polls = self._caller.deadline, iter(POLLS)
        until = deadline.clock() + min(self.provider.settles_within, deadline.remaining() - SPARE)
        pause = next(polls)
        while True:
            found = look()
            if seen(found) or deadline.clock() + pause >= until:
                return found
            self._caller.sleep(pause)
            pause = next(polls, pause)

    def _change(self, change: Change, credential: Credential) -> None:
        reply = self._caller.call(change.request, self._values.about(credential))
        if not reply.expected and reply.status not in change.gone:
            raise reply.refusal()

    def _page(self, listing: Listing, query: dict[str, object]) -> list[Listed]:
        reply = self._caller.call(listing.request, self._values, query=query)
        if not reply.expected:
            raise reply.refusal()
        items = reply.at(listing.items, "items")
        if not isinstance(items, list):
            raise reply.error("the answer to list has no list", Kind.SERVER, check="list.items of the declaration")
        return [_listed(listing, item) for item in items]

    def _foreign(self, name: str, why: str) -> RotationError:
        check = f"{name} and the other fields of the secret's JSON, at the provider; nothing was changed there"
        return self._values.error(f"the field {name} {why}", check)


def _listed(listing: Listing, item: object) -> Listed:
    def text(where: str | None) -> str:
        try:
            value = pointer.find(item, where) if where is not None else ""
        except pointer.Missing:
            return ""
        return "" if value is None else str(value)

    return Listed(
        id=text(listing.id),
        label=text(listing.label),
        ends_with=text(listing.ends_with) if listing.ends_with is not None else None,
        entry=item,
    )
