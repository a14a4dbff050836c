"""The lab's AWS as one WSGI application: it counts calls, applies faults, and sends each call to whoever serves it.

Secrets Manager and Lambda's Invoke are the lab's own; /lab/ is the control path; everything else is moto's.
"""

import base64
import io
import json
import logging
import re
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from . import seams, secretsmanager
from .context import Call, Caller, Json, Lab
from .control import Control
from .errors import AwsError, not_authorized
from .executor import Executor, failure_payload
from .faults import Fault
from .records import FunctionCall
from .store import Secret

log = logging.getLogger(__name__)

CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations/?")
AMZ_JSON = "application/x-amz-json-1.1"


@dataclass(slots=True, kw_only=True)
class Request:
    """What is told about a request before anybody serves it."""

    service: str
    action: str
    region: str
    access_key_id: str
    path: str
    body: bytes = field(repr=False)
    query: bool = False

    @property
    def label(self) -> str:
        """The name under which calls are counted and faults are set: bare for Secrets Manager, `service:Action` for others."""
        return self.action if self.service == "secretsmanager" else f"{self.service}:{self.action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A status, a body and its type."""

    body: bytes = field(repr=False)
    status: int = 200
    content_type: str = AMZ_JSON
    headers: tuple[tuple[str, str], ...] = ()


class Front:
    """The application."""

    def __init__(self, *, lab: Lab, executor: Executor, control: Control, moto: seams.WsgiApp) -> None:
        self._lab, self._executor, self._faults, self._control, self._moto = lab, executor, lab.faults, control, moto

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        body = _body(environ)
        if path.startswith("/lab/"):
            status, answer = self._control.answer(path.removeprefix("/lab/"), body)
            return _respond(Response(body=json.dumps(answer).encode(), status=status, content_type="application/json"), start_response)
        request = _identified(environ, path, body)
        try:
            response = self._serve(request, environ)
        except AwsError as error:
            response = _refusal(error, request)
        except Exception:  # a boundary: a fault of the lab itself must show in its log, and to the client as a fault of the server
            log.exception("the lab failed at %s", request.label)
            response = _refusal(AwsError("InternalFailure", "The lab itself failed; see its log.", status=500), request)
        if response is None:
            return self._moto(environ, start_response)
        return _respond(response, start_response)

    def _serve(self, request: Request, environ: dict[str, Any]) -> Response | None:
        function_arn = self._executor.function_of(request.access_key_id)
        self._control.count(request.label, access_key_id=request.access_key_id, by_lambda=function_arn is not None)
        params = secretsmanager.parameters(request.body) if request.service == "secretsmanager" else {}
        if function_arn is not None:
            self._control.record(self._function_call(function_arn, request, params))
        self._befall(request, params, by_lambda=function_arn is not None)
        if request.service == "secretsmanager":
            return self._secrets_manager(request, params, function_arn)
        if (invoke := INVOKE.fullmatch(request.path)) and environ["REQUEST_METHOD"] == "POST":
            return self._invoke(unquote(invoke[1]), request, environ)
        return None

    def _secrets_manager(self, request: Request, params: Json, function_arn: str | None) -> Response:
        if not request.access_key_id:
            raise AwsError("MissingAuthenticationTokenException", "Request is missing Authentication Token")
        account, arn = seams.identity(request.access_key_id, request.region)
        caller = Caller(account=account, arn=arn, access_key_id=request.access_key_id, function_arn=function_arn)
        call = Call(action=request.action, params=params, region=request.region, caller=caller)
        return Response(body=json.dumps(secretsmanager.answer(self._lab, call)).encode())

    def _befall(self, request: Request, params: Json, *, by_lambda: bool) -> None:
        if not self._faults.any_on:
            return
        names = self._names(request, params)
        for fault in self._faults.for_call(request.label, names=names, caller=request.access_key_id, by_lambda=by_lambda):
            self._apply(fault, request, params)

    def _apply(self, fault: Fault, request: Request, params: Json) -> None:
        match fault.kind:
            case "latency":
                self._lab.closing.wait(fault.seconds)
            case "hang":
                self._faults.hang(fault)
                raise AwsError("RequestTimeout", "The request timed out.", status=408)
            case "throttle":
                raise AwsError("ThrottlingException", "Rate exceeded")
            case "error":
                raise AwsError(fault.code, fault.message, status=fault.status)
            case "deny":
                raise self._denial(request, params)

    def _denial(self, request: Request, params: Json) -> AwsError:
        _, arn = seams.identity(request.access_key_id, request.region)
        names = self._names(request, params)
        resource = next((name for name in names if name.startswith("arn:")), names[0] if names else "*")
        return not_authorized(arn, f"{request.service}:{request.action}", resource)

    def _names(self, request: Request, params: Json) -> list[str]:
        """Every name that the secret of the call goes by."""
        secret_id = params.get("SecretId") or (params.get("Name") if request.action == "CreateSecret" else None)
        if not secret_id:
            return []
        secret = self._secret(request, str(secret_id))
        return [secret_id, secret.name, secret.arn] if secret else [secret_id]

    def _secret(self, request: Request, secret_id: str) -> Secret | None:
        account, _ = seams.identity(request.access_key_id, request.region)
        with self._lab.lock:
            return self._lab.store.find(secret_id, account=account, region=request.region)

    def _function_call(self, function_arn: str, request: Request, params: Json) -> FunctionCall:
        secret = self._secret(request, str(params["SecretId"])) if params.get("SecretId") else None
        return FunctionCall(
            function=function_arn,
            action=f"{request.service}:{request.action}",
            resource=secret.arn if secret else "*",
            rotation_lambda_arn=secret.rotation.lambda_arn if secret and secret.rotation else None,
            kms_key_id=secret.kms_key_id if secret else None,
        )

    def _invoke(self, name: str, request: Request, environ: dict[str, Any]) -> Response:
        qualifier = parse_qs(environ.get("QUERY_STRING", "")).get("Qualifier", [None])[0]
        account, _ = seams.identity(request.access_key_id, request.region)
        function = seams.find_function(name, account=account, region=request.region, qualifier=qualifier)
        if function is None:
            arn = name if name.startswith("arn:") else f"arn:aws:lambda:{request.region}:{account}:function:{name}"
            raise AwsError("ResourceNotFoundException", f"Function not found: {arn}", status=404)
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        if kind == "DryRun":
            return Response(body=b"", status=204)
        event = json.loads(request.body or b"null")
        if kind == "Event":
            threading.Thread(target=self._executor.invoke, args=(function, event), daemon=True).start()
            return Response(body=b"", status=202)
        invocation = self._executor.invoke(function, event)
        headers = [("X-Amz-Executed-Version", "$LATEST"), ("x-amzn-RequestId", invocation.request_id)]
        if environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail":
            headers.append(("X-Amz-Log-Result", base64.b64encode(invocation.output.encode()[-4096:]).decode()))
        if invocation.failed:
            headers.append(("X-Amz-Function-Error", "Unhandled"))
        body = failure_payload(invocation) if invocation.failed else invocation.payload or "null"
        return Response(body=body.encode(), content_type="application/json", headers=tuple(headers))


def _body(environ: dict[str, Any]) -> bytes:
    """The body, left in place for whoever serves the request."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    chunked = not length and environ.get("wsgi.input_terminated")
    body: bytes = stream.read() if chunked else stream.read(length)
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return body


def _identified(environ: dict[str, Any], path: str, body: bytes) -> Request:
    """Service, Region and key from the signature; the action from the target, the form or the path."""
    credential = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = credential.groups() if credential else ("", "us-east-1", "unknown")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target.startswith(secretsmanager.TARGET):
        service = "secretsmanager"
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if target:
        action = target.rpartition(".")[2]
    elif form:
        action = parse_qs(body.decode(errors="replace")).get("Action", ["unknown"])[0]
    else:
        action = "Invoke" if INVOKE.fullmatch(path) else f"{environ['REQUEST_METHOD']} {path}"
    return Request(service=service, action=action, region=region, access_key_id=key, path=path, body=body, query=form and not target)


def _refusal(error: AwsError, request: Request) -> Response:
    headers = (("x-amzn-ErrorType", error.code), ("x-amzn-RequestId", str(uuid.uuid4())))
    if request.query:
        xml = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error.message}</Message></Error></ErrorResponse>"
        )
        return Response(body=xml.encode(), status=error.status, content_type="text/xml", headers=headers)
    body: Json = {"__type": error.code, "message": error.message, "Message": error.message}
    return Response(body=json.dumps(body).encode(), status=error.status, headers=headers)


def _respond(response: Response, start_response: Any) -> Iterable[bytes]:
    headers = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body))), *response.headers]
    start_response(f"{response.status} {'OK' if response.status < 400 else 'Refused'}", headers)
    return [response.body]
