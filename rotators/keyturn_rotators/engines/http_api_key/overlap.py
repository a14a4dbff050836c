"""Several keys are valid at once: a new one is made beside the old one, and the old one works until it is retired.

A key is made by the provider, so it cannot be proposed before it is there: createSecret makes it. What it has made and could not store is
found again by the key's label, which names the secret and the key that it follows: that one is revoked, and another is made.
"""

import hashlib
import re
import time
from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.http_api_key.account import Account, Listed
from keyturn_rotators.engines.http_api_key.calls import Caller, Sleep
from keyturn_rotators.engines.http_api_key.catalogue import PROVIDER_FILE, find
from keyturn_rotators.engines.http_api_key.declaration import API_KEY, KEY_ID, Provider
from keyturn_rotators.engines.http_api_key.values import Values
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.passwords import TRUE
from keyturn_rotators.superuser import SUPERUSER_SECRET

KEY_FIELD = "KEYTURN_KEY_FIELD"
REVOKE_SUPERSEDED = "KEYTURN_REVOKE_SUPERSEDED"
PROVIDER = "provider"
LONGEST_NAME = 20  # letters of the secret's name in a label; the whole label stays within 64, the shortest limit of a known provider


class Overlap:
    """One secret's key, at the provider that its field `provider` names."""

    def __init__(
        self,
        *,
        provider_file: str | None = None,
        superuser_secret: str | None = None,
        key_field: str = API_KEY,
        revoke_superseded: bool = False,
        sleep: Sleep = time.sleep,
    ) -> None:
        """`key_field`: what the secret calls its key. `revoke_superseded`: createSecret revokes what is older than AWSPREVIOUS."""
        self._provider_file = provider_file
        self._superuser_secret = superuser_secret
        self._key_field = key_field
        self._revoke_superseded = revoke_superseded
        self._sleep = sleep

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            provider_file=environ.get(PROVIDER_FILE) or None,
            superuser_secret=environ.get(SUPERUSER_SECRET) or None,
            key_field=environ.get(KEY_FIELD) or API_KEY,
            revoke_superseded=environ.get(REVOKE_SUPERSEDED, "").strip().lower() in TRUE,
        )

    @property
    def principal(self) -> tuple[str, ...]:
        return (KEY_ID, self._key_field)

    def propose(self, current: Credential, context: Context) -> Credential:
        account = self._account(current, context)
        stored = context.pending()
        if stored is not None and account.key(stored) != account.key(current):
            return stored  # an earlier attempt has made and stored it; AWSPENDING may still be on the current version, too
        reply = account.test(current)
        if reply is None:
            check = f"the field {self._key_field} of the current version: whoever rotates a key must have a valid one"
            raise self._error(account.provider, "the current key is refused", check, current, Kind.AUTHENTICATION)
        keys = account.keys()
        listed = account.owns(current, reply, keys)
        left = self._cleared(account, current, context, keys)
        return current.replaced(**account.create(_label(context.secret, account.id(current)), reply, listed, left))

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        provider = self._provider(current)
        unlike = next((name for name in sorted({PROVIDER} | provider.fields) if pending.get(name) != current.get(name)), None)
        if unlike is None and pending.get(self._key_field) == current.get(self._key_field):
            return self._key_field
        return unlike

    def apply(self, pending: Credential, context: Context) -> None:
        account = self._account(context.current(), context)
        reply = account.settled(pending, accepted=True)
        if reply is None:
            raise self._refused(account, pending)
        account.owns(pending, reply, account.keys_with(pending))

    def verify(self, pending: Credential, context: Context) -> None:
        account = self._account(pending, context)
        if account.settled(pending, accepted=True) is None:
            raise self._refused(account, pending)

    def retire(self, old: Credential, context: Context) -> None:
        current = context.current()
        account = self._account(current, context)
        if account.key(old) == account.key(current) or (account.id(old) and account.id(old) == account.id(current)):
            raise self._error(account.provider, "the old version has the current version's key", "which version is meant", old)
        self._of_the_same_account(account, old, current)
        reply = account.test(old)
        if reply is not None:
            keys = account.keys()
            if account.provider.listing is None or account.id(old) in {each.id for each in keys}:
                account.owns(old, reply, keys)
                context.confirm_idle()
                account.revoke(old)
            if account.settled(old, accepted=False) is not None:
                what = f"the key {account.id(old) or ''} is still accepted after it was revoked"
                raise self._error(account.provider, what, "the provider's documentation on how soon a revocation counts", old, Kind.SERVER)
        # A proxy or a lock-out refuses everybody: only a key that is accepted beside it makes a refusal a proof.
        if account.settled(current, accepted=True) is None:
            what = "the current key is refused as well as the old one, which proves nothing"
            raise self._error(account.provider, what, "the current key, and what is between the function and the provider", current)

    def restore(self, old: Credential, context: Context) -> None:
        current = context.current()
        account = self._account(current, context)
        self._of_the_same_account(account, old, current)
        if account.test(old) is not None:
            return
        if account.provider.restore is None:
            raise Unsupported(f"the provider {account.provider.name} cannot make a revoked key valid again: rotate instead")
        account.holds(old)
        context.confirm_idle()
        account.restore(old)
        if account.settled(old, accepted=True) is None:
            what = "the old key is refused after it was made valid again"
            raise self._error(account.provider, what, "the key at the provider", old, Kind.SERVER)

    def _cleared(self, account: Account, current: Credential, context: Context, keys: list[Listed]) -> list[Listed]:
        """Revokes keys that were made and are in no version that counts. Returns those that are left."""
        label, mark = _label(context.secret, account.id(current)), _mark(context.secret)
        lost = [each for each in keys if each.label == label or (self._revoke_superseded and each.label.startswith(mark))]
        if lost:
            previous = context.previous()
            kept = {account.id(each) for each in (current, previous) if each is not None}
            lost = [each for each in lost if each.id not in kept and account.revoke_listed(each)]
        gone = {each.id for each in lost}
        return [each for each in keys if each.id not in gone]

    def _of_the_same_account(self, account: Account, old: Credential, current: Credential) -> None:
        """Raises RotationError where the old version's other fields lead elsewhere than the current one's."""
        if name := next((name for name in sorted({PROVIDER} | account.provider.fields) if old.get(name) != current.get(name)), None):
            what = f"the old version's {name} is not the current version's"
            raise self._error(account.provider, what, "who wrote that version, and whether its key is still to be revoked by hand", old)

    def _provider(self, credential: Credential) -> Provider:
        return find(credential.text(PROVIDER), file=self._provider_file, secret=credential.secret)

    def _account(self, current: Credential, context: Context) -> Account:
        provider = self._provider(current)
        values = Values(
            provider=provider.name,
            current=current,
            secret=current,
            admin=lambda: self._admin(provider, current, context),
            key_field=self._key_field,
        )
        current.text(self._key_field)
        return Account(provider, values, Caller(provider=provider, deadline=context.deadline, sleep=self._sleep))

    def _admin(self, provider: Provider, current: Credential, context: Context) -> Credential:
        name = current.superuser_secret or self._superuser_secret
        if name is None:
            check = f"the field masterarn of the secret, or the variable {SUPERUSER_SECRET} of the function"
            raise self._error(provider, "no administrator's secret is named", check, current)
        admin = context.other(name)
        if admin.get(PROVIDER) != provider.name:
            # Whoever writes the app's secret names both: without this, one provider's administrator could be sent to another provider.
            check = f'that the administrator\'s secret says "{PROVIDER}": "{provider.name}"'
            raise self._error(provider, "the administrator's secret is for another provider, or names none", check, admin)
        return admin

    def _refused(self, account: Account, pending: Credential) -> RotationError:
        check = "whether somebody has revoked it; if so, remove the label AWSPENDING and rotate again"
        what = f"the key {account.id(pending) or ''} is refused"
        return self._error(account.provider, what, check, pending, Kind.AUTHENTICATION)

    def _error(self, provider: Provider, what: str, check: str, about: Credential, kind: Kind = Kind.POLICY) -> RotationError:
        return RotationError(kind, f"provider {provider.name}: {what}", check=check, secret=about.secret)


def _mark(secret: str) -> str:
    """What the labels of a secret's keys begin with."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", secret.rpartition(":")[2]).strip("-")[:LONGEST_NAME]
    return f"keyturn-{name}-{_digest(secret)}-"


def _label(secret: str, follows: str | None) -> str:
    """The label of the key that follows another one."""
    return _mark(secret) + _digest(follows or "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
