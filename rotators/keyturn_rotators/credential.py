"""The value of a secret in AWS's documented JSON, with its unknown fields carried along.

No field is taken for granted: keys of an API have no user, and keys to sign with have no host. Whoever needs a field asks for it by name
(`text`), and a secret without it is refused by that name.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
"""

import json
import math
from collections.abc import Mapping

from keyturn_rotators.errors import Kind, RotationError

CONNECTION_FIELDS = ("engine", "host", "port", "dbname", "ssl", "masterarn")  # what no rotation may change


class Credential:
    """One version's value. Shows nothing of itself: not in repr, str, pickles or comparisons that print."""

    __slots__ = ("_fields", "secret")

    def __init__(self, fields: Mapping[str, object], *, secret: str = "") -> None:
        """`secret` is the ARN that errors name."""
        self._fields = dict(fields)
        self.secret = secret

    @classmethod
    def parse(cls, value: str, *, secret: str) -> "Credential":
        """Read a SecretString. Raises RotationError where it is not a JSON object."""
        try:
            fields = json.loads(value, parse_constant=_not_json, parse_float=_finite)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            check = "the secret's value: a JSON object with the fields that the engine's page names"
            raise RotationError(Kind.POLICY, "the secret's value is not a JSON object", check=check, secret=secret) from None
        return cls(fields, secret=secret)

    def __repr__(self) -> str:
        return f"Credential({self.secret or '?'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # values are compared, never collected

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a credential is not pickled")

    def get(self, name: str) -> object:
        """A field as it stands; None where it is missing."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """A field that must be there as text. Raises RotationError where it is not."""
        value = self._fields.get(name)
        if not isinstance(value, str) or not value:
            raise self.invalid(name, "is missing" if value in (None, "") else "is not a string")
        return value

    def replaced(self, **fields: object) -> "Credential":
        """The same value with these fields changed, in their old places."""
        return Credential(self._fields | fields, secret=self.secret)

    def without(self, *names: str) -> "Credential":
        """The same value without these fields."""
        return Credential({name: value for name, value in self._fields.items() if name not in names}, secret=self.secret)

    def to_json(self) -> str:
        """The SecretString, no longer than it was: letters of other alphabets stay what they are."""
        value = json.dumps(self._fields, ensure_ascii=False)
        try:
            value.encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can say and UTF-8 cannot
            return json.dumps(self._fields)
        return value

    @property
    def username(self) -> str:
        return self.text("username")

    @property
    def password(self) -> str:
        return self.text("password")

    @property
    def host(self) -> str:
        return self.text("host")

    @property
    def engine(self) -> str:
        return self.text("engine")

    @property
    def superuser_secret(self) -> str | None:
        """The ARN of the secret of the user who may change this one (`masterarn`)."""
        return self.text("masterarn") if self._fields.get("masterarn") else None

    def port(self, default: int) -> int:
        """`port` as a number; AWS's consoles write it as either."""
        value = self._fields.get("port") or default
        try:
            return int(str(value))
        except ValueError:
            raise self.invalid("port", "is not a number") from None

    def database(self, default: str) -> str:
        return self.text("dbname") if self._fields.get("dbname") else default

    @property
    def tls(self) -> bool:
        """False only where the secret says `"ssl": false`.

        AWS's functions read a missing `ssl` as "try TLS, and go on in plaintext where that fails". Here it means TLS.
        """
        value = self._fields.get("ssl")
        return not (value is False or (isinstance(value, str) and value.strip().lower() == "false"))

    def differs_from(self, other: "Credential") -> str | None:
        """The name of the first field of the connection that is not the same, apart from the user."""
        return next((name for name in CONNECTION_FIELDS if self.get(name) != other.get(name)), None)

    def invalid(self, name: str, why: str) -> RotationError:
        """That a field cannot be used; `why` completes "the field x ..."."""
        return RotationError(
            Kind.POLICY, f"the field {name} {why}", check="the secret's JSON against AWS's documentation", secret=self.secret
        )


def _not_json(constant: str) -> object:
    """NaN and the infinities are Python's alone: what AWS hands to other programs must be JSON."""
    raise ValueError(constant)


def _finite(number: str) -> float:
    """1e999 is JSON, and would be carried along as Python's infinity, which is none."""
    value = float(number)
    if math.isinf(value):
        raise ValueError(number)
    return value
