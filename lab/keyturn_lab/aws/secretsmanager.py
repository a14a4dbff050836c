"""Secrets Manager's front: the protocol, who calls, what is switched to fail, and which action answers."""

import json

from . import reads, rotation, writes
from .context import Call, Json, Lab
from .errors import AwsError

ACTIONS = reads.ACTIONS | writes.ACTIONS | rotation.ACTIONS
TARGET = "secretsmanager."


def answer(lab: Lab, call: Call) -> Json:
    """One action under the lab's lock."""
    action = ACTIONS.get(call.action)
    if action is None:
        raise AwsError("UnknownOperationException", f"The lab's Secrets Manager has no {call.action}.")
    with lab.lock:
        return action(lab, call)


def parameters(body: bytes) -> Json:
    """The members of a JSON 1.1 request."""
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", "The request is not JSON.") from error
    if not isinstance(parsed, dict):
        raise AwsError("SerializationException", "The request is not a JSON object.")
    return parsed
