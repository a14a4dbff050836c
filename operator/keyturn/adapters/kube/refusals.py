"""What the API server's refusals mean, classified once. Pure.

Messages name the verb, the object and the reason. The server's own text is added only where the request held no Secret's data: validation
errors and webhooks may quote what they refuse. Reasons come from a closed list for the same cause.
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#response-status-kind
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keyturn.domain.failures import FailureKind, OutsideError

TEXT_LIMIT = 400
EXPIRED = "Expired"

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: EXPIRED,
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_KNOWN_REASONS = frozenset(_REASONS.values()) | {"AlreadyExists", "Gone", "ServerTimeout", "NamespaceTerminating", "StoreReadError"}
_KINDS = {
    400: FailureKind.INVALID,
    401: FailureKind.TRANSIENT,  # after a renewal that did not help: a rotated key or a server that is starting; it heals by itself
    403: FailureKind.FORBIDDEN,
    404: FailureKind.MISSING,
    405: FailureKind.INVALID,
    406: FailureKind.INVALID,
    408: FailureKind.TRANSIENT,
    409: FailureKind.CONFLICT,
    410: FailureKind.TRANSIENT,
    413: FailureKind.INVALID,
    415: FailureKind.INVALID,
    429: FailureKind.TRANSIENT,
}
_POLICY = re.compile(r"is forbidden: ValidatingAdmissionPolicy '([a-z0-9.-]{1,253})' with binding")
_DENIED = re.compile(r"ValidatingAdmissionPolicy '|admission webhook .{1,300} denied the request", re.DOTALL)


def refusal(code: int, status: Mapping[str, Any], *, attempt: str, sensitive: bool) -> OutsideError:
    """A Status body as an error. `attempt` reads like "update Secret shop/orders-db"; sensitive: never show the server's text."""
    text = str(status.get("message") or "")
    kind, reason = _classified(code, status, text)
    return OutsideError(kind, reason=reason, message=f"cannot {attempt}: {reason} ({code}){_explanation(text, sensitive=sensitive)}")


def outage(attempt: str, cause: str) -> OutsideError:
    """No answer at all."""
    return OutsideError(FailureKind.TRANSIENT, reason=cause, message=f"cannot {attempt}: the API server gave no answer ({cause})")


def _classified(code: int, status: Mapping[str, Any], text: str) -> tuple[FailureKind, str]:
    causes = _causes(status)
    if code == 422:
        return _unprocessable(causes, text)
    if code == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return FailureKind.FORBIDDEN, "NamespaceTerminating"
    reason = status.get("reason")
    default = _REASONS.get(code, f"HTTP{code}")
    kind = _KINDS.get(code, FailureKind.TRANSIENT if code >= 500 else FailureKind.INVALID)
    return kind, reason if isinstance(reason, str) and reason in _KNOWN_REASONS else default


def _unprocessable(causes: list[Mapping[str, Any]], text: str) -> tuple[FailureKind, str]:
    """422 is three things: another object by that name, a policy's refusal, a body that is wrong."""
    if any(cause.get("field") == "metadata.uid" for cause in causes):
        return FailureKind.CONFLICT, "Conflict"
    if _DENIED.search(text):
        return FailureKind.FORBIDDEN, "PolicyDenied"
    return FailureKind.INVALID, "Invalid"


def _causes(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    return [cause for cause in causes if isinstance(cause, Mapping)] if isinstance(causes, list) else []


def _explanation(text: str, *, sensitive: bool) -> str:
    if sensitive:
        policy = _POLICY.search(text)
        return f": refused by ValidatingAdmissionPolicy {policy.group(1)}" if policy else ""
    return f": {text[:TEXT_LIMIT]}" if text else ""
