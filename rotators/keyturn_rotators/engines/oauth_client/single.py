"""One secret at a time: the client replaces its own at the registration endpoint.

By RFC 7592 the server makes the new secret, in answer to an update without one. So createSecret updates, and the old secret is dead from
then on. If the answer is lost, the next attempt reads the secret that is registered. Where the server lets the client choose
(KEYTURN_SECRET_CHOSEN_BY=rotator), the secret is proposed first and set by setSecret, and an older one can be set again.
"""

import string
from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.oauth_client import tokens
from keyturn_rotators.engines.oauth_client.endpoint import Endpoint
from keyturn_rotators.engines.oauth_client.registration import EXPIRES, KEPT, SECRET, TOKEN, URI, Registration
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.passwords import PasswordPolicy
from keyturn_rotators.proof import prove_refused

CHOSEN_BY = "KEYTURN_SECRET_CHOSEN_BY"
SERVER, ROTATOR = "server", "rotator"
ENCODED = "".join(sorted(set(string.punctuation) - set("-._~")))  # servers disagree on how basic authentication has these
SAME = ("client_id", tokens.TOKEN_ENDPOINT, tokens.METHOD, "scope", URI)  # what no rotation may change


class SingleUser:
    """One client's secret."""

    principal = ("client_id", SECRET)

    def __init__(self, *, passwords: PasswordPolicy, chosen_by: str = SERVER) -> None:
        if chosen_by not in (SERVER, ROTATOR):
            what = f"{CHOSEN_BY} is not known"
            raise RotationError(Kind.POLICY, what, check=f"the variable of the function: {SERVER} or {ROTATOR}")
        self._passwords = passwords
        self._by_server = chosen_by == SERVER

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        passwords = PasswordPolicy.from_environment(environ, excluded=ENCODED)
        return cls(passwords=passwords, chosen_by=environ.get(CHOSEN_BY) or SERVER)

    def propose(self, current: Credential, context: Context) -> Credential:
        if not self._by_server:
            return current.replaced(**{SECRET: self._passwords.generate()}).without(EXPIRES)
        if (stored := _pending(context, current)) is not None:
            return stored  # an earlier attempt has had it made, and stored it
        Endpoint.of(current, tokens.TOKEN_ENDPOINT)  # before anything is changed: a secret that cannot be tried is of no use
        registration = Registration(current, context.deadline)
        registered = registration.read()
        found = registered.get(SECRET)
        if found in (None, "", current.text(SECRET)):
            answer = dict(registered) | dict(registration.update(registered, secret=None))
        else:
            answer = dict(registered)  # an earlier attempt has had it made, and its answer was lost
        made = current.replaced(**{name: answer[name] for name in KEPT if answer.get(name) is not None})
        if made.text(SECRET) == current.text(SECRET):
            check = (
                f"the server's documentation: whether it rotates at all, or takes a secret that the client chooses ({CHOSEN_BY}={ROTATOR})"
            )
            raise self._error(current, Kind.POLICY, "the server did not make a new secret", check)
        return made

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        if name := _unlike(pending, current):
            return name
        return SECRET if pending.get(SECRET) == current.get(SECRET) else None

    def apply(self, pending: Credential, context: Context) -> None:
        if self._by_server:
            self.verify(pending, context)
        elif not tokens.is_taken(pending, context.deadline):
            self._set(pending, context)

    def verify(self, pending: Credential, context: Context) -> None:
        if not tokens.settled(pending, context.deadline, taken=True):
            check = (
                "whether somebody has replaced it; if so, remove the label AWSPENDING and rotate again. "
                "Some servers refuse in the same words a client that may not use client_credentials"
            )
            raise self._error(pending, Kind.AUTHENTICATION, "the client's secret is refused", check)

    def retire(self, old: Credential, context: Context) -> None:
        """A registration has one secret: all that is to be done is to see that the old one is refused, and the current one is not."""
        current = context.current()
        self._same_client(old, current)
        prove_refused(tokens.settled(old, context.deadline, taken=False), Endpoint.of(old, tokens.TOKEN_ENDPOINT).place)
        self.verify(current, context)

    def restore(self, old: Credential, context: Context) -> None:
        self._same_client(old, context.current())
        if tokens.is_taken(old, context.deadline):
            return
        if self._by_server:
            raise Unsupported("the server makes the secrets itself, and takes none back: rotate instead")
        context.confirm_idle()
        self._set(old, context)

    def _set(self, wanted: Credential, context: Context) -> None:
        """With the current version's token: an older one's may be dead."""
        registration = Registration(context.current(), context.deadline)
        answer = registration.update(registration.read(), secret=wanted.text(SECRET))
        if answer.get(TOKEN) not in (None, context.current().get(TOKEN)):
            check = f"the server: a client that chooses its secret needs a {TOKEN} that stays. It has a new one now, which is in no version"
            raise self._error(wanted, Kind.POLICY, "the server has replaced the registration access token", check)
        self.verify(wanted, context)

    def _same_client(self, old: Credential, current: Credential) -> None:
        if name := _unlike(old, current):
            check = "who wrote that version, and whether its secret is still to be ended by hand"
            raise self._error(old, Kind.POLICY, f"the old version's {name} is not the current version's", check)

    def _error(self, about: Credential, kind: Kind, what: str, check: str) -> RotationError:
        return Endpoint.of(about, tokens.TOKEN_ENDPOINT).place.error(kind, what, check)


def _unlike(one: Credential, other: Credential) -> str | None:
    return next((name for name in SAME if one.get(name) != other.get(name)), None)


def _pending(context: Context, current: Credential) -> Credential | None:
    """AWSPENDING's value, where it has one that is not the current one."""
    stored = context.pending()
    return None if stored is None or stored.get(SECRET) == current.get(SECRET) else stored
