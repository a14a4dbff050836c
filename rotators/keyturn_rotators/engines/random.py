"""Values that nobody has to be told of: keys that sign or encrypt, secrets of webhooks, peppers.

There is no back end. A new value is made, and the one before stays in the same version under another name, so that whoever verifies or
decrypts reads both. Where signers and verifiers are not restarted at once, the next value can be published a generation ahead too: then
every verifier knows a key before the first signer uses it.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.passwords import PasswordPolicy

VALUE_FIELD, PREVIOUS_FIELD, NEXT_FIELD = "KEYTURN_VALUE_FIELD", "KEYTURN_PREVIOUS_FIELD", "KEYTURN_NEXT_FIELD"
VALUE, PREVIOUS = "value", "previous"
FORMAT, BYTES = "KEYTURN_FORMAT", "KEYTURN_BYTES"
DEFAULT_FORMAT, DEFAULT_BYTES = "base64url", 32
FEWEST_BYTES, MOST_BYTES = 16, 4096  # 128 bits, which nobody guesses; GetRandomPassword's limit
PASSWORD = "password"  # noqa: S105  # the name of a format
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")

ENCODERS: Mapping[str, Callable[[bytes], str]] = {
    "base64url": lambda value: base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii"),  # without padding, as in a JWK (RFC 7515)
    "base64": lambda value: base64.b64encode(value).decode("ascii"),
    "hex": lambda value: value.hex(),
}


class Overlap:
    """A value beside the one before it. The secret's fields `format` and `bytes` say how it is made, or else the environment."""

    def __init__(
        self,
        *,
        passwords: PasswordPolicy,
        value: str = VALUE,
        previous: str | None = PREVIOUS,
        following: str | None = None,
        form: str = DEFAULT_FORMAT,
        length: str = str(DEFAULT_BYTES),
    ) -> None:
        """`value`, `previous` and `following` are names of fields; `following`: of the value that becomes the next one."""
        names = [name for name in (value, previous, following) if name]
        if len(set(names)) < len(names):
            raise _unusable("two of its values would have one field", f"{VALUE_FIELD}, {PREVIOUS_FIELD} and {NEXT_FIELD}")
        self._passwords = passwords
        self._value, self._previous, self._following = value, previous, following
        self._form, self._length = form, length
        self.principal = (value,)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(
            passwords=PasswordPolicy.from_environment(environ, excluded=""),
            value=environ.get(VALUE_FIELD) or VALUE,
            previous=environ.get(PREVIOUS_FIELD, PREVIOUS) or None,
            following=environ.get(NEXT_FIELD) or None,
            form=environ.get(FORMAT) or DEFAULT_FORMAT,
            length=environ.get(BYTES) or str(DEFAULT_BYTES),
        )

    def propose(self, current: Credential, context: Context) -> Credential:
        fields = {self._value: self._announced(current) or self._made(current)}
        if self._previous:
            fields[self._previous] = current.text(self._value)
        if self._following:
            fields[self._following] = self._made(current)
        return current.replaced(**fields)

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        if pending.get(self._value) == current.get(self._value):
            return self._value
        announced = self._announced(current)
        if announced is not None and pending.get(self._value) != announced:
            return self._value
        if self._previous and pending.get(self._previous) != current.get(self._value):
            return self._previous
        return None

    def apply(self, pending: Credential, context: Context) -> None:
        """There is nothing to set: only that the value is of use."""
        form, _ = self._form_of(pending)
        for name in (self._value, self._following):
            if name and not _has_form(pending.text(name), form):
                check = "who wrote the pending version; remove its label AWSPENDING and rotate again"
                raise RotationError(Kind.POLICY, f"the field {name} is not in the format {form}", check=check, secret=pending.secret)

    def verify(self, pending: Credential, context: Context) -> None:
        pending.text(self._value)

    def retire(self, old: Credential, context: Context) -> None:
        """A value is dead where no verifier of the current version knows it any more: nothing else can end it."""
        current, value = context.current(), old.text(self._value)
        if self._previous and current.get(self._previous) == value:
            raise Unsupported(f"the current version carries it as {self._previous}, for those who verify: the next rotation takes it out")
        if self._following and current.get(self._following) == value:
            raise Unsupported(f"the current version announces it as {self._following}: the next rotation makes it current")

    def restore(self, old: Credential, context: Context) -> None:
        """Nothing has ended it, so that there is nothing to be done."""
        old.text(self._value)

    def _announced(self, current: Credential) -> str | None:
        """What the current version says comes next; None where it says nothing, as before the first rotation."""
        return current.text(self._following) if self._following and current.get(self._following) else None

    def _made(self, current: Credential) -> str:
        form, length = self._form_of(current)
        return self._passwords.generate() if form == PASSWORD else ENCODERS[form](secrets.token_bytes(length))

    def _form_of(self, credential: Credential) -> tuple[str, int]:
        form = credential.text("format") if credential.get("format") else self._form
        if form != PASSWORD and form not in ENCODERS:
            raise _unusable("its format is not known", f"the field format, or {FORMAT}: {', '.join((*ENCODERS, PASSWORD))}", credential)
        try:
            length = int(str(credential.get("bytes") or self._length))
        except ValueError:
            length = 0
        if not FEWEST_BYTES <= length <= MOST_BYTES:
            why = f"its length is not a number of bytes from {FEWEST_BYTES} to {MOST_BYTES}"
            raise _unusable(why, f"the field bytes, or {BYTES}", credential)
        return form, length


def _has_form(value: str, form: str) -> bool:
    match form:
        case "hex":
            return _HEX.fullmatch(value) is not None
        case "base64url":
            return _BASE64URL.fullmatch(value) is not None
        case "base64":
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                return False
    return True


def _unusable(why: str, check: str, credential: Credential | None = None) -> RotationError:
    return RotationError(Kind.POLICY, f"no value can be made: {why}", check=check, secret=credential.secret if credential else None)
