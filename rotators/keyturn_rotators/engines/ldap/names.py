"""Distinguished names, as far as two users in turn need them.

https://www.rfc-editor.org/rfc/rfc4514
"""

import re

from ldap3.utils.conv import escape_filter_chars

from keyturn_rotators.alternation import alternate
from keyturn_rotators.credential import Credential

FIRST = re.compile(r"((?:\\.|[^\\,+;])+)[,;](.+)", re.DOTALL)  # no RDN of several attributes
DOMAIN = re.compile(r"(?:^|,)\s*(dc=[^,]+(?:\s*,\s*dc=[^,]+)*)\s*$", re.IGNORECASE)


def split(credential: Credential) -> tuple[str, str]:
    """The first part of the user's name, such as uid=app, and the rest. Raises RotationError where it is no distinguished name."""
    found = FIRST.fullmatch(credential.username)
    if not found or "=" not in found[1]:
        raise credential.invalid("username", "is not a distinguished name, such as uid=app,ou=services,dc=example,dc=com")
    return found[1].strip(), found[2]


def other(credential: Credential) -> str:
    """The name of the other of two users."""
    first, rest = split(credential)
    return f"{alternate(first)},{rest}"


def parent(dn: str) -> str:
    """What the entry of that name is in."""
    found = FIRST.fullmatch(dn)
    return found[2] if found else dn


def base_of(credential: Credential) -> str:
    """Where groups are looked for: base_dn, or the domain at the end of the user's name."""
    if credential.get("base_dn"):
        return credential.text("base_dn")
    found = DOMAIN.search(credential.username)
    if not found:
        raise credential.invalid("base_dn", "is missing, and the user's name does not end in dc=...")
    return found[1]


def equals(attribute: str, value: str) -> str:
    """A search's condition."""
    return f"({attribute}={escape_filter_chars(value)})"
