"""Runs Lambda functions of the lab: for rotation steps, and for whoever calls Invoke."""

import json
import os
import re
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from .faults import Fault, Faults
from .records import Invocation
from .seams import Function, Session, assume_role, find_function
from .store import Secret
from .workers import Pool, runtime_directory

SECRETS_MANAGER = "secretsmanager.amazonaws.com"
CANNOT_INVOKE = (
    "Secrets Manager cannot invoke the specified Lambda function. "
    "Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com."
)
LOG_LENGTH = 2_000
AWS_HOST = re.compile(r"https://[a-z0-9.-]+\.amazonaws\.com(\.cn)?/?")


class Executor:
    """Pools of child processes by function, the log of calls, and the identities that functions have."""

    def __init__(self, *, directory: Path, endpoint: str, faults: Faults, now: Callable[[], datetime], concurrency: int) -> None:
        self._directory, self._endpoint = directory, endpoint
        self._faults, self._now, self._concurrency = faults, now, concurrency
        self._runtime = runtime_directory(directory)
        self._lock = threading.Lock()
        self._pools: dict[str, tuple[object, Pool]] = {}
        self._sessions: dict[str, Session] = {}
        self._callers: dict[str, str] = {}
        self._closing = threading.Event()
        self.log: deque[Invocation] = deque(maxlen=LOG_LENGTH)

    def refusal(self, lambda_arn: str, secret: Secret) -> str | None:
        """AWS checks at RotateSecret that the function exists and trusts Secrets Manager; both failures look the same."""
        function = _find(lambda_arn)
        if function is None or not any(_allows(statement, secret) for statement in function.statements):
            return CANNOT_INVOKE
        return None

    def invoke_step(self, lambda_arn: str, event: dict[str, Any]) -> str | None:
        """One step of a rotation; the error's text if it failed."""
        function = _find(lambda_arn)
        if function is None:
            return "The function does not exist any more."
        return self.invoke(function, event).error

    def invoke(self, function: Function, event: Any) -> Invocation:
        """One call, with the function's time limit."""
        request_id, started, at = str(uuid.uuid4()), time.monotonic(), self._now()
        step = event.get("Step") if isinstance(event, dict) else None
        answer, output = self._answer(function, event, request_id, str(step))
        failed = not answer["ok"]
        invocation = Invocation(
            function=function.name,
            request_id=request_id,
            step=step,
            at=at,
            seconds=time.monotonic() - started,
            error_type=answer["errorType"] if failed else None,
            error=answer["errorMessage"] if failed else None,
            trace="".join(answer["stackTrace"]) if failed else "",
            output=output,
            payload=None if failed else answer["payload"],
        )
        self.log.append(invocation)
        return invocation

    def _answer(self, function: Function, event: Any, request_id: str, step: str) -> tuple[dict[str, Any], str]:
        faults = self._faults.for_step(function.name, step)
        early = next((fault for fault in faults if not fault.after), None)
        if early:
            return self._injected(early, function, request_id), ""
        request = {
            "event": event,
            "request_id": request_id,
            "function_name": function.name,
            "function_arn": function.arn,
            "memory": function.memory,
            "timeout": function.timeout,
        }
        answer, output = self._pool(function).call(request, timeout=function.timeout)
        return (self._injected(faults[0], function, request_id), output) if faults else (answer, output)

    def _injected(self, fault: Fault, function: Function, request_id: str) -> dict[str, Any]:
        kind, message = "InjectedFault", "The lab was told to fail this step."
        if fault.kind == "lambda-hang":
            self._closing.wait(min(function.timeout, fault.seconds or function.timeout))
            kind, message = "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {function.timeout:.2f} seconds"
        return {"ok": False, "errorType": kind, "errorMessage": message, "stackTrace": []}

    def function_of(self, access_key_id: str) -> str | None:
        """The ARN of the function whose role session this access key is."""
        return self._callers.get(access_key_id)

    def _pool(self, function: Function) -> Pool:
        state = (function.code_hash, function.handler, function.environment, function.role_arn)
        with self._lock:
            known = self._pools.get(function.arn)
            if known and known[0] == state:
                return known[1]
            if known:
                known[1].close()
            base = self._directory / "functions" / f"{function.name}-{uuid.uuid4().hex[:8]}"
            pool = Pool(
                function, base=base, runtime=self._runtime, environment=self._child_environment(function), concurrency=self._concurrency
            )
            self._pools[function.arn] = (state, pool)
            return pool

    def _child_environment(self, function: Function) -> dict[str, str]:
        session = self._session(function)
        region = function.arn.split(":")[3]
        given = {name: AWS_HOST.sub(self._endpoint, value) for name, value in function.environment}
        return given | {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": session.access_key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "_HANDLER": function.handler,
        }

    def _session(self, function: Function) -> Session:
        if function.arn not in self._sessions:
            session = assume_role(function.role_arn, function.name, function.arn.split(":")[3])
            self._sessions[function.arn] = session
            self._callers[session.access_key_id] = function.arn
        return self._sessions[function.arn]

    def reset(self) -> None:
        """End all child processes, forget the log and the identities."""
        with self._lock:
            for _, pool in self._pools.values():
                pool.close()
            self._pools.clear()
            self._sessions.clear()
            self._callers.clear()
            self.log.clear()
        shutil.rmtree(self._directory / "functions", ignore_errors=True)

    def close(self) -> None:
        """For good."""
        self._closing.set()
        self.reset()


def failure_payload(invocation: Invocation) -> str:
    """What Invoke returns as the payload of a failed call."""
    payload: dict[str, Any] = {"errorMessage": invocation.error, "errorType": invocation.error_type, "requestId": invocation.request_id}
    if invocation.trace:
        payload["stackTrace"] = invocation.trace.splitlines(keepends=True)
    return json.dumps(payload)


def _find(lambda_arn: str) -> Function | None:
    parts = lambda_arn.split(":")
    if len(parts) < 7 or parts[2] != "lambda":
        return None
    return find_function(lambda_arn, account=parts[4], region=parts[3])


def _allows(statement: dict[str, Any], secret: Secret) -> bool:
    """Whether a statement of the function's resource policy lets Secrets Manager invoke it for this secret."""
    principal = statement.get("Principal")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    if statement.get("Effect") != "Allow" or service != SECRETS_MANAGER:
        return False
    if statement.get("Action") not in ("lambda:InvokeFunction", "lambda:*", "*"):
        return False
    wanted = {name.lower(): value for tests in statement.get("Condition", {}).values() for name, value in tests.items()}
    account, arn = wanted.get("aws:sourceaccount"), wanted.get("aws:sourcearn")
    return account in (None, secret.account) and (arn is None or _like(str(arn), secret.arn))


def _like(pattern: str, text: str) -> bool:
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch("".join(parts), text) is not None
