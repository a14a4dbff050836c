"""Runs one Lambda function's handler, call after call, in a process of its own.

Started as `python -I -S lambda_child.py CODE RUNTIME HANDLER REQUESTS ANSWERS`: the only importable things are the standard library, the
function's own code and what AWS's Python runtime brings (boto3), so that a zip that lacks a module fails here as it would there.
Requests come and answers go as JSON lines over two inherited pipes; the handler's output is free to use stdout and stderr.
"""

import importlib
import json
import os
import sys
import threading
import time
import traceback
from types import ModuleType
from typing import Any, TextIO


class Context:
    """The context object that Lambda gives a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.function_name: str = request["function_name"]
        self.function_version = "$LATEST"
        self.invoked_function_arn: str = request["function_arn"]
        self.memory_limit_in_mb: int = request["memory"]
        self.aws_request_id: str = request["request_id"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "lab"
        self.identity = None
        self.client_context = None
        self._deadline: float = time.monotonic() + request["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the call."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def load(handler: str) -> tuple[Any, dict[str, Any] | None]:
    """(callable, None) or (None, what is wrong), in Lambda's words."""
    module_name, _, attribute = handler.rpartition(".")
    try:
        module: ModuleType = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        return None, _failure("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", [])
    except SyntaxError as error:
        return None, _failure("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", [])
    function = getattr(module, attribute, None)
    if function is None:
        return None, _failure("Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{module_name}'", [])
    return function, None


def answer(function: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Call the handler; whatever it raises is the answer, not the end of the process."""
    try:
        payload = function(request["event"], Context(request))
        return {"ok": True, "payload": json.dumps(payload)}
    except Exception as error:  # a boundary: a handler may raise anything, and Lambda reports it all
        return _failure(type(error).__name__, str(error), traceback.format_exception(error))


def _failure(kind: str, message: str, trace: list[str]) -> dict[str, Any]:
    return {"ok": False, "errorType": kind, "errorMessage": message, "stackTrace": trace}


def serve(handler: str, requests: TextIO, answers: TextIO) -> None:
    """Until the lab closes the pipe."""
    function, broken = load(handler)
    for line in requests:
        request = json.loads(line)
        result = broken or answer(function, request)
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(json.dumps(result) + "\n")
        answers.flush()


def follow_the_lab() -> None:
    """End with the lab, even if it was killed while the handler runs."""
    lab = os.getppid()
    while os.getppid() == lab:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=follow_the_lab, daemon=True).start()
    code, runtime, name, requests_fd, answers_fd = sys.argv[1:]
    sys.path[:0] = [code, runtime]
    with os.fdopen(int(requests_fd)) as incoming, os.fdopen(int(answers_fd), "w") as outgoing:
        serve(name, incoming, outgoing)
