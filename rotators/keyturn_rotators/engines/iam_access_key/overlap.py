"""A user has two keys at most: the current one and the one before it. A rotation makes the next where the older one was.

IAM makes the key, so createSecret does. The key before works until it is retired, which deactivates it and can be taken back, or until the
next rotation, which deletes it. A key that nobody can prove to be this secret's is never touched.
"""

import time
from collections.abc import Callable, Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.iam_access_key.identity import Identity, Refusal, identify
from keyturn_rotators.engines.iam_access_key.keys import ID_FIELDS, Key, key_of, user_in, with_key
from keyturn_rotators.engines.iam_access_key.record import Record, tag_name
from keyturn_rotators.engines.iam_access_key.service import Listed, Service
from keyturn_rotators.errors import Kind, RotationError, Unsupported

USER_FIELD = "KEYTURN_USER_FIELD"
SETTLE_SECONDS = "KEYTURN_SETTLE_SECONDS"
MOST_KEYS = 2
SETTLE = 10.0  # seconds until a new key is known to most of AWS, by experience; IAM promises none
POLLS = (0.5, 1.0, 2.0, 3.0)  # seconds between two looks; the last one goes on
SETTLED_WITHIN = 45.0
SPARE = 1.0  # seconds of a step that no pause may use up
LISTED_WITHIN = (0.5, 1.0, 2.0, 3.0, 4.0)  # seconds between two looks for a key that IAM has just made
READ_AGAIN_AFTER = (0.3, 0.8)  # seconds: a version that was stored a moment ago may not be found at once
OUR_USE = (None, "sts")  # what testSecret leaves as a key's last use


class Overlap:
    """One secret's access key."""

    principal = ID_FIELDS

    def __init__(self, *, user_field: str | None = None, settle: float = SETTLE, sleep: Callable[[float], None] = time.sleep) -> None:
        """`user_field`: the only field that may name the user ("": none does). `settle`: seconds until a new key is known everywhere."""
        self._user_field = user_field
        self._settle = settle
        self._sleep = sleep

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        try:
            settle = float(environ.get(SETTLE_SECONDS) or SETTLE)
        except ValueError:
            what = f"{SETTLE_SECONDS} is not a number of seconds"
            raise RotationError(Kind.POLICY, what, check="the variable of the function") from None
        return cls(user_field=environ.get(USER_FIELD), settle=settle)

    def propose(self, current: Credential, context: Context) -> Credential:
        key = key_of(current)
        if (stored := _pending(context, other_than=key)) is not None:
            return stored  # an earlier attempt has made and stored it
        service = self._service(current, context)
        keys = service.listed()
        if key.id not in {each.id for each in keys}:
            check = "the account of the function's role: it has another user of that name"
            raise service.error(Kind.POLICY, "IAM does not list the current key among the user's", check)
        known = [key.id]
        if len(keys) >= MOST_KEYS:
            previous = context.previous()
            known += [each for each in (_id_of(previous) if previous else None,) if each]
            if (stored := self._make_room(service, keys, known, context)) is not None:
                return stored
        service.set_tag(tag_name(context.secret), str(Record(since=service.now, ids=tuple(known))))
        return with_key(current, service.create())

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        named, expected = user_in(pending, self._user_field), user_in(current, self._user_field)
        if named != expected:
            return (named or expected or ("user",))[0]
        return "access key" if key_of(pending).id == key_of(current).id else None

    def apply(self, pending: Credential, context: Context) -> None:
        service, key = self._service(context.current(), context), key_of(pending)
        listed = self._listed(key, service, context)
        if listed is None:
            check = "whether somebody has deleted it; if so, remove the label AWSPENDING and rotate again"
            raise service.error(Kind.AUTHENTICATION, f"the pending key {key.id} is not among the user's keys", check)
        if not listed.active:
            service.set_active(key.id, active=True)
        self._accepted(key, context, service.user)
        age = max(0.0, (service.now - listed.created).total_seconds())
        if age < self._settle:
            self._sleep(min(self._settle - age, max(0.0, context.deadline.remaining() - SPARE)))

    def verify(self, pending: Credential, context: Context) -> None:
        user = self._accepted(key_of(pending), context)
        self._is_named(pending, user)

    def retire(self, old: Credential, context: Context) -> None:
        service, key = self._service(context.current(), context), key_of(old)
        if key.id == key_of(context.current()).id:
            raise service.error(Kind.POLICY, "the old version has the current version's key", "which version is meant")
        listed = service.find(key.id)
        if listed is not None and listed.active:
            context.confirm_idle()
            service.set_active(key.id, active=False)
        seen = self._settled(key, context, accepted=False)
        if seen is not Refusal.UNKNOWN:
            others = seen.arn if isinstance(seen, Identity) else "a key of that id with another secret"
            check = "whether the key is of another user or account, where it has to be deactivated by hand; IAM may take minutes"
            raise service.error(Kind.SERVER, f"the old key {key.id} is still taken, as {others}", check)

    def restore(self, old: Credential, context: Context) -> None:
        key = key_of(old)
        if isinstance(identify(key, secret=old.secret, deadline=context.deadline), Identity):
            return
        service = self._service(context.current(), context)
        listed = service.find(key.id)
        if listed is None:
            raise Unsupported(f"the key {key.id} is deleted, and IAM makes no key a second time: rotate instead")
        if not listed.active:
            context.confirm_idle()
            service.set_active(key.id, active=True)
        self._accepted(key, context, service.user)

    def _make_room(self, service: Service, keys: list[Listed], known: list[str], context: Context) -> Credential | None:
        """Deletes the key that is not the current one. Returns AWSPENDING's value where it turns out to be there after all."""
        record = Record.parse(service.tag(tag_name(context.secret)) or "")
        for other in keys:
            if other.id == known[0]:
                continue
            if other.id not in known and not (record and record.knows(other.id)):
                if not record or not record.made(other.created) or service.last_service(other.id) not in OUR_USE:
                    raise self._foreign(service, other, known[0])
                if (stored := self._late(other, context)) is not None:
                    return stored
            service.delete(other)
        return None

    def _foreign(self, service: Service, other: Listed, current: str) -> RotationError:
        check = (
            f"who uses {other.id} (aws iam get-access-key-last-used --access-key-id {other.id}); when nobody does, delete it. "
            f"{current} is the current one"
        )
        what = f"the user has two keys, and nothing says that {other.id} is this secret's: it is left alone, and a new one has no room"
        return service.error(Kind.POLICY, what, check)

    def _late(self, other: Listed, context: Context) -> Credential | None:
        """AWSPENDING's value with that key: before a key is taken for lost, look whether it was stored a moment ago."""
        for pause in READ_AGAIN_AFTER:
            self._sleep(pause)
            stored = _pending(context)
            if stored is not None and _id_of(stored) == other.id:
                return stored
        return None

    def _listed(self, key: Key, service: Service, context: Context) -> Listed | None:
        """IAM's list of keys may lack for a while what it has just made."""
        for pause in LISTED_WITHIN:
            if (listed := service.find(key.id)) is not None or pause > context.deadline.remaining() - SPARE:
                return listed
            self._sleep(pause)
        return service.find(key.id)

    def _service(self, current: Credential, context: Context) -> Service:
        """IAM, for the user whose key the current one is proved to be. Raises RotationError where it proves nothing.

        A key's id is no secret, and neither is a user's name: only who can log in as the user gets a new key of it.
        """
        user = identify(key_of(current), secret=current.secret, deadline=context.deadline)
        if isinstance(user, Refusal):
            what = f"the current key {key_of(current).id} is refused ({user})"
            check = "whether it is active, and its secret: whoever rotates a key must have a valid one. Write one into the secret"
            raise RotationError(Kind.AUTHENTICATION, what, check=check, secret=current.secret)
        self._is_named(current, user)
        return Service(user, secret=current.secret, deadline=context.deadline)

    def _is_named(self, credential: Credential, user: Identity) -> None:
        named = user_in(credential, self._user_field)
        if named is not None and named[1] not in (user.name, user.arn):
            check = f"the secret; where that field means something else, the variable {USER_FIELD} of the function"
            what = f"the field {named[0]} is not the user whose key it is"
            raise RotationError(Kind.POLICY, what, check=check, secret=credential.secret, user=user.arn)

    def _accepted(self, key: Key, context: Context, user: Identity | None = None) -> Identity:
        """Raises RotationError where AWS does not take the key, or as another user than that."""
        seen = self._settled(key, context, accepted=True)
        if isinstance(seen, Refusal):
            check = "whether somebody has deactivated or deleted it; a new key may take minutes, and a rotation that failed is tried again"
            raise RotationError(Kind.AUTHENTICATION, f"the key {key.id} is refused ({seen})", check=check, secret=context.secret)
        if user is not None and seen.arn != user.arn:
            check = "who wrote the version, and whose key it has"
            raise RotationError(Kind.POLICY, f"the key {key.id} is another user's", check=check, secret=context.secret, user=seen.arn)
        return seen

    def _settled(self, key: Key, context: Context, *, accepted: bool) -> Identity | Refusal:
        """Asks until the key is taken, or refused, as was wanted, or the time for that is over."""
        deadline, polls = context.deadline, iter(POLLS)
        until = deadline.clock() + min(SETTLED_WITHIN, deadline.remaining() - SPARE)
        pause = next(polls)
        while True:
            seen = identify(key, secret=context.secret, deadline=deadline)
            settled = isinstance(seen, Identity) if accepted else seen is Refusal.UNKNOWN
            if settled or seen is Refusal.WRONG or deadline.clock() + pause >= until:
                return seen
            self._sleep(pause)
            pause = next(polls, pause)


def _id_of(credential: Credential) -> str | None:
    try:
        return key_of(credential).id
    except RotationError:
        return None  # an older version may be from before the secret had a key


def _pending(context: Context, *, other_than: Key | None = None) -> Credential | None:
    """AWSPENDING's value, where it has one; it may still be on the current version, which is no proposal."""
    stored = context.pending()
    if stored is None:
        return None
    return None if other_than and _id_of(stored) in (None, other_than.id) else stored
