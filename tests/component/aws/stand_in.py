"""A stand-in for AWS Secrets Manager at the wire: counts calls, and refuses, stalls or lies where a test tells it to.

It speaks the JSON 1.1 protocol to the real SDK, in the test's own event loop (the SDK's calls run in threads). The lab's AWS is the
faithful one; this one is fast, and misbehaves in ways that AWS seldom does.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
ROLE = "arn:aws:sts::123456789012:assumed-role/keyturn/operator"
STARTED = 1_760_000_000.0


class Refused(Exception):
    """An error response."""

    def __init__(self, code: str, message: str = "no", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


def denial(operation: str) -> Refused:
    """AccessDeniedException as AWS words it."""
    return Refused(
        "AccessDeniedException", f"User: {ROLE} is not authorized to perform: secretsmanager:{operation} because no policy allows it"
    )


@dataclass
class Secret:
    """One secret: versions with their labels, and values of those that have one."""

    name: str
    stages: dict[str, list[str]]
    values: dict[str, str | bytes]
    changed: float = STARTED
    extra: Json = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{self.name}-AbCdEf"

    def version(self, label: str) -> str | None:
        return next((version for version, labels in self.stages.items() if label in labels), None)

    def metadata(self, stages: str) -> Json:
        return {
            "ARN": self.arn,
            "Name": self.name,
            "CreatedDate": STARTED,
            "LastChangedDate": self.changed,
            stages: self.stages,
            **self.extra,
        }

    def value(self, version: str) -> Json:
        content = self.values[version]
        shape = {"SecretString": content} if isinstance(content, str) else {"SecretBinary": base64.b64encode(content).decode()}
        return {
            "ARN": self.arn,
            "Name": self.name,
            "VersionId": version,
            "CreatedDate": STARTED,
            "VersionStages": self.stages[version],
            **shape,
        }


class StandIn:
    """The server. `calls` counts by operation; `refuse` maps an operation to what it answers instead."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, Json]] = []
        self.refuse: dict[str, Callable[[Json], Refused | None]] = {}
        self.batch_errors: dict[str, Refused] = {}
        self.batch_omits: set[str] = set()
        self.batch_cut_short = False
        self.latency = 0.0
        self.stale_list: dict[str, Json] | None = None  # what ListSecrets says instead, by name
        self.url = ""
        self._ended = asyncio.Event()

    def put(self, name: str, version: str = "v1", value: str | bytes | None = "{}") -> Secret:
        """A secret whose current version is this."""
        secret = Secret(name, {version: ["AWSCURRENT"]}, {} if value is None else {version: value})
        self.secrets[name] = secret
        return secret

    def promote(self, name: str, version: str, value: str | bytes = "{}") -> None:
        """AWSCURRENT moves on."""
        secret = self.secrets[name]
        previous = secret.version("AWSCURRENT")
        secret.stages = {version: ["AWSCURRENT"], **({previous: ["AWSPREVIOUS"]} if previous else {})}
        secret.values[version] = value
        secret.changed += 60

    def listing(self) -> dict[str, Json]:
        """What ListSecrets says now."""
        return {name: json.loads(json.dumps(secret.metadata("SecretVersionsToStages"))) for name, secret in sorted(self.secrets.items())}

    def throttle(self, operation: str, times: int) -> None:
        """The next so many calls of an operation are throttled."""
        left = [times]

        def refusal(_: Json) -> Refused | None:
            left[0] -= 1
            return Refused("ThrottlingException", "Rate exceeded") if left[0] >= 0 else None

        self.refuse[operation] = refusal

    def deny(self, *operations: str) -> None:
        """No permission for these."""
        for operation in operations:
            self.refuse[operation] = lambda _, operation=operation: denial(operation)  # type: ignore[misc]  # mypy cannot infer the default

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[StandIn]:
        """Serve on loopback until the block ends."""
        app = web.Application()
        app.router.add_post("/", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._ended.set()  # nobody waits any more for an answer that is late
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if not operation:
            return self._sts()
        body = json.loads(raw or b"{}")
        self.calls[operation] += 1
        self.requests.append((operation, body))
        if self.latency:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self.latency)
        try:
            refusal = self.refuse.get(operation, _no_refusal)(body)
            if refusal is not None:
                raise refusal
            answer: Json = getattr(self, f"_{operation}")(body)
        except Refused as refused:
            return _json({"__type": refused.code, "message": refused.message}, status=refused.status)
        return _json(answer)

    def _sts(self) -> web.Response:
        self.calls["GetCallerIdentity"] += 1
        if (refusal := self.refuse.get("GetCallerIdentity", _no_refusal)({})) is not None:
            error = f"<ErrorResponse><Error><Code>{refusal.code}</Code><Message>no</Message></Error></ErrorResponse>"
            return web.Response(text=error, status=refusal.status, content_type="text/xml")
        body = (
            f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{ROLE}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
        return web.Response(text=body, content_type="text/xml")

    def _find(self, secret_id: str) -> Secret:
        name = secret_id.split(":secret:")[1][:-7] if secret_id.startswith("arn:") else secret_id
        secret = self.secrets.get(name)
        if secret is None or (secret_id.startswith("arn:") and secret.arn != secret_id):
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return secret

    def _value(self, secret_id: str, version: str | None, label: str | None) -> Json:
        secret = self._find(secret_id)
        if "DeletedDate" in secret.extra:
            raise Refused("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
        if version is not None and label is not None and label not in secret.stages.get(version, []):
            raise Refused("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
        version = version or secret.version(label or "AWSCURRENT")
        if version not in secret.values:
            raise Refused(
                "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
            )
        return secret.value(version)

    def _GetSecretValue(self, body: Json) -> Json:
        return self._value(body["SecretId"], body.get("VersionId"), body.get("VersionStage"))

    def _BatchGetSecretValue(self, body: Json) -> Json:
        if len(body["SecretIdList"]) > 20:
            raise Refused("InvalidParameterException", "too many")
        values, errors = [], []
        for secret_id in sorted(body["SecretIdList"], reverse=True):  # in no order that was asked for
            if secret_id in self.batch_omits:
                continue
            try:
                if secret_id in self.batch_errors:
                    raise self.batch_errors[secret_id]
                values.append(self._value(secret_id, None, "AWSCURRENT"))
            except Refused as refused:
                errors.append({"SecretId": secret_id, "ErrorCode": refused.code, "Message": refused.message})
        return {"SecretValues": values, "Errors": errors, **({"NextToken": "more"} if self.batch_cut_short else {})}

    def _DescribeSecret(self, body: Json) -> Json:
        return self._find(body["SecretId"]).metadata("VersionIdsToStages")

    def _ListSecrets(self, body: Json) -> Json:
        entries = list((self.stale_list if self.stale_list is not None else self.listing()).values())
        start = int(body.get("NextToken") or 0)
        end = start + body.get("MaxResults", 100)
        return {"SecretList": entries[start:end], **({"NextToken": str(end)} if end < len(entries) else {})}

    def _RotateSecret(self, body: Json) -> Json:
        secret = self._find(body["SecretId"])
        secret.stages[body["ClientRequestToken"]] = ["AWSPENDING"]
        secret.changed += 1
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": body["ClientRequestToken"]}

    def _UpdateSecretVersionStage(self, body: Json) -> Json:
        secret = self._find(body["SecretId"])
        labels = secret.stages.get(body["RemoveFromVersionId"], [])
        if body["VersionStage"] not in labels:
            raise Refused("InvalidParameterException", "The parameter RemoveFromVersionId is wrong.")
        labels.remove(body["VersionStage"])
        return {"ARN": secret.arn, "Name": secret.name}


def _json(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(body), status=status, content_type="application/x-amz-json-1.1")


def _no_refusal(_: Json) -> Refused | None:
    return None
