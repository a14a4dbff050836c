"""What AWS's refusals mean, as a table; sentences are those of AWS as recorded or documented."""

import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from keyturn.adapters.aws.errors import Asked, classify, classify_code, lacks_value
from keyturn.domain.failures import FailureKind

ROLE = "arn:aws:sts::123456789012:assumed-role/keyturn/operator"
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NO_KMS = "Access to KMS is not allowed"
PREVIOUS = "A previous rotation isn't complete. That rotation will be reattempted."
PREVIOUS_CURLY = "A previous rotation isn\u2019t complete. That rotation will be reattempted."
NO_LAMBDA = "No Lambda rotation function ARN is associated with this secret."
MOVED = "You provided a VersionStage that is not associated to the provided VersionId."
HELD = "The parameter RemoveFromVersionId can't be empty. Staging label AWSPENDING is currently attached to version x"
NO_VALUE = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"


def asked(operation: str = "GetSecretValue", identity: str | None = ROLE) -> Asked:
    return Asked(operation=operation, secret_id="shop/orders", region="eu-west-1", identity=identity)


def client_error(code: str, text: str = "", *, status: int = 400, operation: str = "GetSecretValue") -> sdk.ClientError:
    return sdk.ClientError({"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[typeddict-item]  # the parts that matter


@pytest.mark.parametrize(
    ("code", "text", "status", "kind", "reason"),
    [
        ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400, FailureKind.MISSING, "SourceNotFound"),
        ("ResourceNotFoundException", NO_VALUE, 400, FailureKind.MISSING, "SourceNotFound"),
        ("InvalidRequestException", DELETED, 400, FailureKind.MISSING, "SourceDeleted"),
        ("InvalidRequestException", "... because it was scheduled for deletion.", 400, FailureKind.MISSING, "SourceDeleted"),
        ("InvalidRequestException", PREVIOUS, 400, FailureKind.CONFLICT, "RotationInProgress"),
        ("InvalidRequestException", PREVIOUS_CURLY, 400, FailureKind.CONFLICT, "RotationInProgress"),
        ("InvalidRequestException", NO_LAMBDA, 400, FailureKind.INVALID, "RotationNotConfigured"),
        ("InvalidRequestException", MOVED, 400, FailureKind.CONFLICT, "LabelsMoved"),
        ("InvalidParameterException", HELD, 400, FailureKind.CONFLICT, "LabelsMoved"),
        ("InvalidRequestException", "something else", 400, FailureKind.INVALID, "InvalidSource"),
        ("InvalidParameterException", "bad", 400, FailureKind.INVALID, "InvalidSource"),
        ("ValidationException", "Invalid name.", 400, FailureKind.INVALID, "InvalidSource"),
        ("AccessDeniedException", "no", 400, FailureKind.DENIED, "SourceAccessDenied"),
        ("AccessDeniedException", NO_KMS, 400, FailureKind.DENIED, "SourceKeyUnusable"),
        ("AccessDeniedException", "... is not authorized to perform: kms:Decrypt", 400, FailureKind.DENIED, "SourceKeyUnusable"),
        ("DecryptionFailure", "", 400, FailureKind.DENIED, "SourceKeyUnusable"),
        ("KMSInvalidStateException", "", 400, FailureKind.DENIED, "SourceKeyUnusable"),
        ("ThrottlingException", "Rate exceeded", 400, FailureKind.TRANSIENT, "Throttled"),
        ("RequestLimitExceeded", "", 400, FailureKind.TRANSIENT, "Throttled"),
        ("SomethingNew", "", 429, FailureKind.TRANSIENT, "Throttled"),
        ("InternalServiceError", "", 500, FailureKind.TRANSIENT, "AWSUnavailable"),
        ("SomethingNew", "", 503, FailureKind.TRANSIENT, "AWSUnavailable"),
        ("LimitExceededException", "", 400, FailureKind.DENIED, "QuotaExceeded"),
        ("ExpiredTokenException", "", 400, FailureKind.DENIED, "CredentialsUnusable"),
        ("UnrecognizedClientException", "", 400, FailureKind.DENIED, "CredentialsUnusable"),
        ("InvalidClientTokenId", "", 403, FailureKind.DENIED, "CredentialsUnusable"),
        ("InvalidSignatureException", "", 400, FailureKind.DENIED, "CredentialsUnusable"),
        ("SomethingNew", "", 400, FailureKind.DENIED, "AWSRefused"),
    ],
)
def test_a_code_and_its_sentence_are_classified(code: str, text: str, status: int, kind: FailureKind, reason: str) -> None:
    refused = classify(client_error(code, text, status=status), asked())
    assert (refused.kind, refused.reason) == (kind, reason)
    assert "shop/orders" in refused.message or reason in {"Throttled", "AWSUnavailable", "CredentialsUnusable"}


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (sdk.EndpointConnectionError(endpoint_url="https://x"), FailureKind.TRANSIENT, "AWSUnavailable"),
        (sdk.ConnectTimeoutError(endpoint_url="https://x"), FailureKind.TRANSIENT, "AWSUnavailable"),
        (sdk.ReadTimeoutError(endpoint_url="https://x"), FailureKind.TRANSIENT, "AWSUnavailable"),
        (sdk.SSLError(endpoint_url="https://x", error=OSError("certificate")), FailureKind.TRANSIENT, "AWSUnavailable"),
        (ResponseParserError("<html>"), FailureKind.TRANSIENT, "AWSUnavailable"),
        (sdk.NoCredentialsError(), FailureKind.DENIED, "CredentialsUnusable"),
        (sdk.CredentialRetrievalError(provider="p", error_msg="e"), FailureKind.DENIED, "CredentialsUnusable"),
        (KeyError("VersionId"), FailureKind.TRANSIENT, "AWSUnavailable"),
        (FileNotFoundError("token"), FailureKind.DENIED, "CredentialsUnusable"),
        (sdk.ParamValidationError(report="r"), FailureKind.INVALID, "InvalidSource"),
        (sdk.NoRegionError(), FailureKind.INVALID, "InvalidConnection"),
        (ValueError("Invalid endpoint: x"), FailureKind.INVALID, "InvalidConnection"),
    ],
)
def test_an_exception_of_the_sdk_is_classified(error: Exception, kind: FailureKind, reason: str) -> None:
    refused = classify(error, asked())
    assert (refused.kind, refused.reason) == (kind, reason)


def test_a_refusal_of_the_call_that_fetches_credentials_is_not_the_secrets_fault() -> None:
    refused = classify(client_error("AccessDenied", "Not authorized", operation="AssumeRoleWithWebIdentity"), asked())
    assert refused.reason == "CredentialsUnusable"
    assert "AssumeRoleWithWebIdentity" in refused.message


def test_a_denial_names_identity_action_and_secret() -> None:
    message = classify(client_error("AccessDeniedException"), asked()).message
    assert ROLE in message
    assert "secretsmanager:GetSecretValue" in message
    assert "shop/orders" in message


def test_a_denial_takes_the_identity_from_awss_sentence_if_it_is_not_known() -> None:
    text = f"User: {ROLE} is not authorized to perform: secretsmanager:GetSecretValue"
    assert classify(client_error("AccessDeniedException", text), asked(identity=None)).message.startswith(ROLE)


def test_a_denied_rotation_says_that_the_function_may_be_the_cause() -> None:
    message = classify(client_error("AccessDeniedException", operation="RotateSecret"), asked("RotateSecret")).message
    assert "lambda:InvokeFunction" in message


@pytest.mark.parametrize(
    "code", ["SignatureDoesNotMatch", "SomethingNew", "DecryptionFailed", "InternalServiceError", "ThrottlingException"]
)
def test_a_sentence_that_may_hold_anything_is_not_repeated(code: str) -> None:
    assert "canary" not in classify_code(code, "x-amz-security-token:canary", asked()).message


def test_a_long_sentence_is_cut_and_put_on_one_line() -> None:
    message = classify_code("ValidationException", "a\n  b" + "c" * 5000, asked()).message
    assert "\n" not in message
    assert len(message) < 700


@pytest.mark.parametrize(("text", "expected"), [(NO_VALUE, True), ("Secrets Manager can't find the specified secret.", False)])
def test_a_missing_value_is_told_from_a_missing_secret(text: str, expected: bool) -> None:
    assert lacks_value(classify_code("ResourceNotFoundException", text, asked())) is expected
