"""Calls of AWS's APIs by engines whose back end is one: bounded in time, and explained without AWS's own words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

CONNECT_WITHIN, READ_WITHIN = 5.0, 15.0  # seconds, the second for one answer
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})


def client_config(deadline: Deadline) -> Config:
    """Bounded by what is left of the step."""
    return Config(
        connect_timeout=deadline.remaining(at_most=CONNECT_WITHIN),
        read_timeout=deadline.remaining(at_most=READ_WITHIN),
        retries={"mode": "standard", "max_attempts": 3},
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
