"""Calls of AWS's APIs by engines whose back end is one: bounded in time, and explained without AWS's own words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

CONNECT_WITHIN, READ_WITHIN = 5.0, 15.0  # seconds, the second for one answer
ATTEMPTS = 3
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})


def client_config(deadline: Deadline) -> Config:
    """Bounded by what is left of the step, all attempts together: or the function's time-out would speak, and not the step."""
    each = deadline.remaining() / ATTEMPTS
    connect = min(CONNECT_WITHIN, each / 4)
    return Config(
        connect_timeout=connect,
        read_timeout=min(READ_WITHIN, each - connect),
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )


@contextmanager
def explained(
    action: str, *, meaning: Callable[[str], tuple[Kind, str]], route: str, error: Callable[[Kind, str, str], RotationError]
) -> Iterator[None]:
    """Raises `error` of a kind, of what happened, and of what to check. AWS's messages are not repeated: one could quote a password.

    `meaning`: the kind and the check of an error code; `route`: the check where no answer came.
    """
    try:
        yield
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        kind, check = meaning(code)
        raise error(kind, f"{action} was answered with {code}", check) from None
    except BotoCoreError as unanswered:
        raise error(Kind.NETWORK, f"{action} got no answer ({type(unanswered).__name__})", route) from None
