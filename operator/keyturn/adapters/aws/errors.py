"""Every refusal of AWS, classified once: code and text in, `OutsideError` out. Nobody else looks at AWS error codes.

The codes are those of the service model and those that AWS sends besides it; where one code means several things, AWS's sentence decides.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
A value never gets into a message: AWS's own sentence is carried only with codes whose sentence is made of names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from keyturn.domain.failures import FailureKind, OutsideError

SourceNotFound: Final = "SourceNotFound"
SourceDeleted: Final = "SourceDeleted"
SourceAccessDenied: Final = "SourceAccessDenied"
SourceKeyUnusable: Final = "SourceKeyUnusable"
Throttled: Final = "Throttled"
AWSUnavailable: Final = "AWSUnavailable"
AWSRefused: Final = "AWSRefused"
CredentialsUnusable: Final = "CredentialsUnusable"
RotationNotConfigured: Final = "RotationNotConfigured"
RotationInProgress: Final = "RotationInProgress"
LabelsMoved: Final = "LabelsMoved"
QuotaExceeded: Final = "QuotaExceeded"
InvalidSource: Final = "InvalidSource"
InvalidConnection: Final = "InvalidConnection"

REFUSALS: Final = (sdk.ClientError, sdk.BotoCoreError, ResponseParserError, KeyError, OSError, ValueError)
"""What a call can raise: the SDK's own; KeyError where an answer lacks what AWS always sends (a proxy's, for instance); OSError where
a web identity token cannot be read; ValueError for an endpoint that is no URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of AWS, where and as whom: the nouns of an error's sentence."""

    operation: str
    secret_id: str | None = None
    region: str = ""
    identity: str | None = None

    @property
    def action(self) -> str:
        """The IAM action that the call needs."""
        return f"sts:{self.operation}" if self.operation == "GetCallerIdentity" else f"secretsmanager:{self.operation}"

    @property
    def subject(self) -> str:
        """The secret that the call was about, or the region where it was about all of them."""
        return f"secret {self.secret_id}" if self.secret_id else f"the secrets of {self.region or 'the region'}"

    @property
    def who(self) -> str:
        """The identity in use, as far as it is known."""
        return self.identity or "the identity in use"


@dataclass(frozen=True, slots=True)
class _Class:
    kind: FailureKind
    reason: str


_NOT_FOUND = _Class(FailureKind.MISSING, SourceNotFound)
_DELETED = _Class(FailureKind.MISSING, SourceDeleted)
_DENIED = _Class(FailureKind.DENIED, SourceAccessDenied)
_KEY = _Class(FailureKind.DENIED, SourceKeyUnusable)
_THROTTLED = _Class(FailureKind.TRANSIENT, Throttled)
_UNAVAILABLE = _Class(FailureKind.TRANSIENT, AWSUnavailable)
_REFUSED = _Class(FailureKind.DENIED, AWSRefused)
_CREDENTIALS = _Class(FailureKind.DENIED, CredentialsUnusable)
_QUOTA = _Class(FailureKind.DENIED, QuotaExceeded)
_NOT_CONFIGURED = _Class(FailureKind.INVALID, RotationNotConfigured)
_IN_PROGRESS = _Class(FailureKind.CONFLICT, RotationInProgress)
_MOVED = _Class(FailureKind.CONFLICT, LabelsMoved)
_INVALID = _Class(FailureKind.INVALID, InvalidSource)
_CONNECTION = _Class(FailureKind.INVALID, InvalidConnection)

_CODES: Final[dict[_Class, tuple[str, ...]]] = {
    _NOT_FOUND: ("ResourceNotFoundException", "ResourceNotFound"),
    _DENIED: ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized", "OptInRequired"),
    _KEY: ("DecryptionFailure", "DecryptionFailureException", "EncryptionFailure", "EncryptionFailureException"),
    _THROTTLED: (
        *("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "RequestThrottledException", "SlowDown"),
        *("TooManyRequestsException", "RequestLimitExceeded", "PriorRequestNotComplete", "ProvisionedThroughputExceededException"),
    ),
    _UNAVAILABLE: (
        *("InternalServiceError", "InternalServiceErrorException", "InternalServerError", "InternalFailure", "InternalError"),
        *("ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException"),
    ),
    _CREDENTIALS: (
        *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken", "InvalidClientTokenId", "InvalidAccessKeyId"),
        *("InvalidIdentityToken", "UnrecognizedClientException", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
        *("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "AuthFailure"),
    ),
    _QUOTA: ("LimitExceededException", "LimitExceeded"),
    _INVALID: (
        *("InvalidRequestException", "InvalidParameterException", "ValidationException", "ValidationError"),
        *("InvalidNextTokenException", "InvalidParameterValue", "ResourceExistsException", "PreconditionNotMetException"),
    ),
}
_BY_CODE: Final = {code: class_ for class_, codes in _CODES.items() for code in codes}

_BY_SENTENCE: Final = (
    (re.compile(r"(marked|scheduled) for deletion|marked deleted|was deleted", re.I), _DELETED),
    (re.compile(r"previous rotation (isn|is not)", re.I), _IN_PROGRESS),
    (re.compile(r"no lambda rotation function", re.I), _NOT_CONFIGURED),
    (re.compile(r"VersionStage that is not associated|RemoveFromVersionId|not (currently )?attached to", re.I), _MOVED),
)
_ABOUT_A_KEY: Final = re.compile(r"\bKMS\b|\bkms:")
_ABOUT_A_VALUE: Final = re.compile(r"specified secret value", re.I)
_USER: Final = re.compile(r"\bUser: (arn:[\w:/+=,.@-]+)")
_PREFIX: Final = re.compile(r"^(An error occurred \([^)]*\) when calling the \w+ operation: )+")
_SPACE: Final = re.compile(r"\s+")
_LONGEST: Final = 400


def classify(error: BaseException, asked: Asked) -> OutsideError:
    """Say what an exception of the SDK means for the call that raised it."""
    if isinstance(error, sdk.ClientError):
        told = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        code, text = str(told.get("Code", "")), str(told.get("Message", ""))
        if error.operation_name != asked.operation:  # a credential provider's own call, for instance AssumeRoleWithWebIdentity
            return _error(_UNAVAILABLE if status >= 500 else _CREDENTIALS, f"{error.operation_name}: {code}", text, asked)
        return classify_code(code, text, asked, status=status)
    return _error(_class_of(error), type(error).__name__, "", asked)


def classify_code(code: str, text: str, asked: Asked, *, status: int = 400) -> OutsideError:
    """Say what an error code and its sentence mean; BatchGetSecretValue delivers such pairs without an exception."""
    class_ = _BY_CODE.get(code)
    if class_ is None:
        class_ = _KEY if code.startswith("KMS") else _THROTTLED if status == 429 else _UNAVAILABLE if status >= 500 else _REFUSED
    if class_ is _INVALID:
        class_ = next((found for pattern, found in _BY_SENTENCE if pattern.search(text)), class_)
    if class_ is _DENIED and _ABOUT_A_KEY.search(text):
        class_ = _KEY
    return _error(class_, code, text, asked)


def closed(secret_id: str) -> OutsideError:
    """The answer to whoever still waits for a read when its connection is closed."""
    return OutsideError(
        FailureKind.TRANSIENT, reason=AWSUnavailable, message=f"the connection to AWS was closed before secret {secret_id} was read"
    )


def unanswered(secret_id: str) -> OutsideError:
    """The error of a read that AWS's answer left out."""
    message = f"AWS's answer says nothing of secret {secret_id}; tried again by itself"
    return OutsideError(FailureKind.TRANSIENT, reason=AWSUnavailable, message=message)


def lacks_value(error: OutsideError) -> bool:
    """The secret is there, but the version that was asked for holds no value."""
    return error.reason == SourceNotFound and _NO_VALUE in error.message


_NO_VALUE: Final = "holds no value"


def _class_of(error: BaseException) -> _Class:
    match error:
        case (
            sdk.NoCredentialsError()
            | sdk.PartialCredentialsError()
            | sdk.CredentialRetrievalError()
            | sdk.NoAuthTokenError()
            | sdk.TokenRetrievalError()
            | sdk.SSOError()
            | sdk.LoginError()
            | sdk.ProfileNotFound()
            | sdk.ConfigNotFound()
            | sdk.InvalidConfigError()
            | sdk.MetadataRetrievalError()
            | sdk.RefreshWithMFAUnsupportedError()
        ):
            return _CREDENTIALS
        case sdk.ParamValidationError():
            return _INVALID
        case sdk.BaseEndpointResolverError() | sdk.EndpointProviderError() | sdk.InvalidRegionError() | sdk.UnknownRegionError():
            return _CONNECTION
        case sdk.BotoCoreError() | ResponseParserError() | KeyError():
            return _UNAVAILABLE
        case OSError():  # the SDK wraps network errors; a bare one comes from the file of the web identity token
            return _CREDENTIALS
        case _:
            return _CONNECTION


def _error(class_: _Class, code: str, text: str, asked: Asked) -> OutsideError:
    user = _USER.search(text)
    if user and asked.identity is None:
        asked = Asked(operation=asked.operation, secret_id=asked.secret_id, region=asked.region, identity=user.group(1))
    return OutsideError(class_.kind, reason=class_.reason, message=_sentence(class_, code, text, asked))


def _sentence(class_: _Class, code: str, text: str, asked: Asked) -> str:
    match class_.reason:
        case "SourceNotFound":
            if _ABOUT_A_VALUE.search(text):
                return f"{asked.subject} {_NO_VALUE} in the version asked for ({asked.operation}): put a value into it"
            return f"AWS Secrets Manager in {asked.region} knows no {asked.subject} (asked as {asked.who}): correct secretId or create it"
        case "SourceDeleted":
            return f"{asked.subject} is scheduled for deletion in AWS: restore it, or remove what refers to it"
        case "SourceAccessDenied":
            return f"{asked.who} may not {asked.action} on {asked.subject}: {_permission_hint(asked)}{_told(text)}"
        case "SourceKeyUnusable":
            return (
                f"the KMS key of {asked.subject} cannot be used by {asked.who} ({asked.action}: {code}): "
                f"allow kms:Decrypt, and see that the key is enabled{_told(text)}"
            )
        case "Throttled":
            return f"AWS throttles {asked.action} in {asked.region} ({code}); tried again by itself"
        case "AWSUnavailable":
            return f"AWS Secrets Manager in {asked.region} cannot be reached or fails ({asked.operation}: {code}); tried again by itself"
        case "CredentialsUnusable":
            # without AWS's sentence: that of SignatureDoesNotMatch repeats the signed request, session token included
            return f"the AWS credentials in use do not work ({asked.operation}: {code}): renew them, or mend the role that gives them"
        case "RotationNotConfigured":
            return (
                f"{asked.subject} has no rotation in AWS: configure it "
                f"(aws secretsmanager rotate-secret --secret-id {asked.secret_id} --rotation-lambda-arn ... --rotation-rules ...)"
            )
        case "RotationInProgress":
            return f"{asked.subject} has a rotation that is not complete; it is waited for"
        case "LabelsMoved":
            return f"the staging labels of {asked.subject} have moved since they were read ({asked.operation}); they are read again"
        case "QuotaExceeded":
            return f"{asked.subject} has reached a quota of AWS ({asked.action}: {code}); tried again slowly"
        case "InvalidConnection":
            return f"the connection's region or endpoint cannot be used ({asked.region}: {code}): correct the connection"
        case "InvalidSource":
            return f"AWS refuses {asked.action} on {asked.subject} ({code}){_told(text)}"
        case _:
            return f"AWS refuses {asked.action} on {asked.subject} with a code that is not known here ({code}); tried again slowly"


def _permission_hint(asked: Asked) -> str:
    if asked.operation == "RotateSecret":
        return (
            "allow it and lambda:InvokeFunction, and see that the rotation function exists and that its policy lets "
            "secretsmanager.amazonaws.com invoke it"
        )
    return "allow it in the identity's policy (and in the secret's resource policy, if it has one)"


def _told(text: str) -> str:
    """AWS's own sentence, on one line and bounded."""
    line = _SPACE.sub(" ", _PREFIX.sub("", text)).strip()
    return f". AWS: {line[:_LONGEST]}" if line else ""
