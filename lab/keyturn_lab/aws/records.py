"""What the lab's AWS tells about its past, in this process and in whichever asks for it over the control path."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One call of a Lambda function. The event is not kept, only its step; what was printed and returned is not shown in a repr."""

    function: str
    request_id: str
    step: str | None
    at: datetime
    seconds: float
    error_type: str | None
    error: str | None
    trace: str = field(repr=False)
    output: str = field(repr=False)
    payload: str | None = field(repr=False)

    @property
    def failed(self) -> bool:
        """The function raised, died or ran out of time."""
        return self.error_type is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """One call that a Lambda function made, as far as a policy of its role could decide about it."""

    function: str
    """The function's ARN."""
    action: str
    """As IAM names it: `secretsmanager:GetSecretValue`."""
    resource: str
    """The secret's ARN, or `*` where the lab does not know what the call is about."""
    rotation_lambda_arn: str | None = None
    """The function that rotates the secret: the condition key `secretsmanager:resource/AllowRotationLambdaArn`."""
    kms_key_id: str | None = None
    """The secret's key, if that is not AWS's own."""
