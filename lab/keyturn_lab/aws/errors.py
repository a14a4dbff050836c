"""What AWS answers when it refuses: a code, a sentence, and an HTTP status (400 for all but server faults)."""


class AwsError(Exception):
    """An error that goes back to the client as AWS would send it."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid_request(message: str) -> AwsError:
    """The state of the secret does not allow it."""
    return AwsError("InvalidRequestException", message)


def invalid_parameter(message: str) -> AwsError:
    """A parameter that the service itself refuses."""
    return AwsError("InvalidParameterException", message)


def validation(message: str) -> AwsError:
    """A parameter outside the model's bounds; the code is not in the model, but it is what comes."""
    return AwsError("ValidationException", message)


def not_found(message: str = "Secrets Manager can't find the specified secret.") -> AwsError:
    """No such secret; or no such value of it."""
    return AwsError("ResourceNotFoundException", message)


def exists(message: str) -> AwsError:
    """The name, or the token with another value, is taken."""
    return AwsError("ResourceExistsException", message)


def access_denied(message: str) -> AwsError:
    """IAM, KMS or a Lambda's resource policy says no."""
    return AwsError("AccessDeniedException", message)


def not_authorized(user: str, action: str, resource: str, kind: str = "identity") -> AwsError:
    """IAM's refusal; `action` with its service, `kind` of the policy that would have to allow it: identity or resource."""
    reason = f"because no {kind}-based policy allows the {action} action"
    return access_denied(f"User: {user} is not authorized to perform: {action} on resource: {resource} {reason}")
