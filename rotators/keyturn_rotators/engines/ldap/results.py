"""What a directory's result codes mean, and where to look.

Its diagnostic messages are not shown: they may quote what was given. They are only searched for the words of known rules.
https://www.rfc-editor.org/rfc/rfc4511#section-4.1.9
https://ldapwiki.com/wiki/Wiki.jsp?page=Common%20Active%20Directory%20Bind%20Errors
"""

import re
from collections.abc import Mapping
from typing import Any

from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place

OK = 0
REFERRAL = 10
WANTS_TLS = (8, 13)  # strongerAuthRequired, confidentialityRequired
BY_POLICY = (19, 53)  # constraintViolation, unwillingToPerform
LOGIN_REFUSED = (48, 49)  # inappropriateAuthentication (there is no password), invalidCredentials
NOT_ALLOWED = 50
BUSY = (51, 52)
SUBCODE = re.compile(r"\bdata ([0-9a-f]{3,})\b")
LOCKED = "775"  # told whatever the password: it proves nothing
TAKEN = {"532": "has expired", "773": "must be changed at the next login"}  # the password was right
SHUT_OUT = {"530": "it is not its hour", "531": "not from here", "533": "the account is disabled", "701": "the account has expired"}
HISTORY, AGE, QUALITY = "the password history", "the least age of a password", "the rules for length and quality of passwords"
RULES = (
    ("histor", HISTORY),
    ("already used", HISTORY),
    ("too young", AGE),
    ("too short", QUALITY),
    ("complexity", QUALITY),
    ("quality", QUALITY),
)


def refused_login(place: Place, result: Mapping[str, Any]) -> RotationError:
    """A bind that was answered with another result than success."""
    found = SUBCODE.search(str(result.get("message")))
    subcode = found[1] if found else ""
    if result["result"] not in LOGIN_REFUSED:
        return failure(place, "bind", result)
    if subcode == LOCKED:
        return place.error(Kind.POLICY, "the account is locked after failed logins", "who else logs in with an old password")
    if subcode in TAKEN:
        return place.error(Kind.PERMISSION, f"the password {TAKEN[subcode]}", "the account's settings for passwords")
    told = f": {SHUT_OUT[subcode]}" if subcode in SHUT_OUT else ""
    check = "username and password in the secret, and whether the account is locked or disabled"
    return place.error(Kind.AUTHENTICATION, f"the login was refused{told}", check)


def failure(place: Place, doing: str, result: Mapping[str, Any]) -> RotationError:
    """An operation that was refused. `doing`: what was asked for."""
    code, told = result["result"], f"the directory refused to {doing} ({result.get('description')})"
    if code in WANTS_TLS:
        return place.error(Kind.TLS, told, "the secret: it says ssl false, and the directory wants TLS")
    if code == NOT_ALLOWED:
        return place.error(Kind.PERMISSION, told, "the access rules of the login's account, as the rotator's documentation lists them")
    if code in BY_POLICY:
        rule = _rule(str(result.get("message")).lower())
        return place.error(Kind.POLICY, f"{told}: {rule}", "the directory's password policy, and PASSWORD_LENGTH and EXCLUDE_*")
    if code == REFERRAL:
        return place.error(Kind.POLICY, told, "the host: this one is a replica that cannot be written to")
    if code in BUSY:
        return place.error(Kind.SERVER, told, "the directory's log")
    return place.error(Kind.POLICY, told, "the names in the secret, and the directory's log")


def _rule(message: str) -> str:
    if rule := next((rule for word, rule in RULES if word in message), None):
        return f"against {rule}"
    return f"perhaps against {HISTORY}, {AGE}, or {QUALITY}"
