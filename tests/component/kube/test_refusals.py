"""What the API server's answers mean. The bodies are as a kube-apiserver 1.36 wrote them, shortened."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn.adapters.kube.refusals import refusal
from keyturn.domain.failures import FailureKind

POLICY = "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'keyturn-secrets' with binding 'keyturn' denied request: no"
WEBHOOK = 'admission webhook "check.example.com" denied the request: no'
TERMINATING = {"causes": [{"reason": "NamespaceTerminating", "message": "namespace shop is being terminated"}]}
UID = {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}
FIELD = {"causes": [{"reason": "FieldValueInvalid", "field": "data[x y]"}]}

CASES = [
    (400, {"reason": "BadRequest"}, FailureKind.INVALID, "BadRequest"),
    (401, {"reason": "Unauthorized"}, FailureKind.TRANSIENT, "Unauthorized"),
    (403, {"reason": "Forbidden"}, FailureKind.FORBIDDEN, "Forbidden"),
    (403, {"reason": "Forbidden", "details": TERMINATING}, FailureKind.FORBIDDEN, "NamespaceTerminating"),
    (404, {"reason": "NotFound"}, FailureKind.MISSING, "NotFound"),
    (409, {"reason": "AlreadyExists"}, FailureKind.CONFLICT, "AlreadyExists"),
    (409, {"reason": "Conflict"}, FailureKind.CONFLICT, "Conflict"),
    (410, {"reason": "Expired"}, FailureKind.TRANSIENT, "Expired"),
    (410, {}, FailureKind.TRANSIENT, "Expired"),
    (413, {}, FailureKind.INVALID, "RequestEntityTooLarge"),
    (422, {"reason": "Invalid", "details": UID}, FailureKind.CONFLICT, "Conflict"),
    (422, {"reason": "Invalid", "details": FIELD}, FailureKind.INVALID, "Invalid"),
    (422, {"reason": "Invalid", "message": POLICY}, FailureKind.FORBIDDEN, "PolicyDenied"),
    (422, {"reason": "Invalid", "message": WEBHOOK}, FailureKind.FORBIDDEN, "PolicyDenied"),
    (429, {"reason": "TooManyRequests"}, FailureKind.TRANSIENT, "TooManyRequests"),
    (500, {"reason": "InternalError"}, FailureKind.TRANSIENT, "InternalError"),
    (502, {}, FailureKind.TRANSIENT, "HTTP502"),
    (503, {}, FailureKind.TRANSIENT, "ServiceUnavailable"),
    (418, {}, FailureKind.INVALID, "HTTP418"),
]


@pytest.mark.parametrize(("code", "status", "kind", "reason"), CASES)
def test_each_answer_has_its_class_and_reason(code: int, status: dict[str, Any], kind: FailureKind, reason: str) -> None:
    error = refusal(code, status, attempt="update Secret shop/a", sensitive=False)
    assert (error.kind, error.reason) == (kind, reason)


@pytest.mark.parametrize("code", [400, 403, 409, 422, 500])
def test_of_a_request_with_a_secrets_data_the_servers_text_is_never_shown(code: int) -> None:
    status = {
        "reason": "canary-7f3a",
        "message": "data[password]: Invalid value: canary-7f3a",
        "details": {"causes": [{"field": "data", "message": "canary-7f3a", "reason": "canary-7f3a"}]},
    }
    error = refusal(code, status, attempt="update Secret shop/a", sensitive=True)
    assert "canary" not in f"{error!r} {error.message} {error.reason} {error.args}"
    assert error.message.startswith("cannot update Secret shop/a: ")


def test_of_a_request_with_a_secrets_data_the_policy_that_refused_is_named() -> None:
    error = refusal(422, {"message": POLICY}, attempt="create Secret shop/a", sensitive=True)
    assert error.message == "cannot create Secret shop/a: PolicyDenied (422): refused by ValidatingAdmissionPolicy keyturn-secrets"


def test_other_text_of_the_server_is_shown_up_to_a_length() -> None:
    error = refusal(403, {"reason": "Forbidden", "message": "x" * 1000}, attempt="read Pod shop/a", sensitive=False)
    assert error.message == f"cannot read Pod shop/a: Forbidden (403): {'x' * 400}"


@pytest.mark.parametrize("details", [None, "text", {"causes": None}, {"causes": ["text"]}, {"causes": {}}])
def test_a_malformed_status_is_classified_by_its_code(details: object) -> None:
    assert refusal(422, {"details": details, "message": 5, "reason": []}, attempt="x", sensitive=False).kind is FailureKind.INVALID
