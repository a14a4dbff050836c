"""A stand-in for the read path of Secrets Manager that is fast enough not to be what a benchmark measures, and counts its calls.

It knows DescribeSecret, GetSecretValue, BatchGetSecretValue, ListSecrets and sts:GetCallerIdentity, always AWSCURRENT, and nothing of
rotations: `POST /rotate?n=500` moves AWSCURRENT of the first 500 secrets. About 2,000 calls a second.
`python -m benchmarks.fast_aws PORT COUNT`.
"""

from __future__ import annotations

import collections
import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
ACCOUNT, REGION, SUFFIX = "123456789012", "eu-west-1", "-AbCdEf"
PAGE = 100
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:role/bench</Arn><UserId>bench</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


class NotFound(Exception):
    """No such secret."""


@dataclass
class Secret:
    """One secret, with its current version only."""

    name: str
    version: str = field(default_factory=lambda: str(uuid.uuid4()))
    previous: str | None = None
    created: float = field(default_factory=time.time)

    @property
    def arn(self) -> str:
        """Its full ARN."""
        return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{self.name}{SUFFIX}"

    @property
    def stages(self) -> Json:
        """Version -> staging labels."""
        return {self.version: ["AWSCURRENT"]} | ({self.previous: ["AWSPREVIOUS"]} if self.previous else {})

    def value(self) -> Json:
        """As GetSecretValue answers; some 150 bytes, as of a database."""
        fields = {"engine": "postgres", "host": "db", "port": 5432, "username": "app", "password": self.version, "dbname": "x"}
        return {
            "ARN": self.arn,
            "Name": self.name,
            "VersionId": self.version,
            "SecretString": json.dumps(fields),
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": self.created,
        }

    def entry(self, stages: str) -> Json:
        """As DescribeSecret and ListSecrets answer."""
        dates = {"LastChangedDate": self.created, "CreatedDate": self.created, "LastRotatedDate": self.created}
        return {"ARN": self.arn, "Name": self.name, "RotationEnabled": False, stages: self.stages, **dates}


class FastAws:
    """The server's state."""

    def __init__(self, count: int) -> None:
        self.secrets = {name: Secret(name) for name in (f"bench/secret-{number:05d}" for number in range(count))}
        self.names = sorted(self.secrets)
        self.calls: collections.Counter[str] = collections.Counter()
        self.last: dict[str, float] = {}
        self._operations: dict[str, Callable[[Json], Json]] = {
            "DescribeSecret": lambda body: self._find(body["SecretId"]).entry("VersionIdsToStages"),
            "GetSecretValue": lambda body: self._find(body["SecretId"]).value(),
            "BatchGetSecretValue": lambda body: {"SecretValues": [self._find(each).value() for each in body["SecretIdList"]], "Errors": []},
            "ListSecrets": self._list,
        }

    def _find(self, secret_id: str) -> Secret:
        name = secret_id.split(":secret:")[1].removesuffix(SUFFIX) if secret_id.startswith("arn:") else secret_id
        if name not in self.secrets:
            raise NotFound(name)
        return self.secrets[name]

    def _list(self, body: Json) -> Json:
        start, size = int(body.get("NextToken") or 0), int(body.get("MaxResults") or PAGE)
        page = {"SecretList": [self.secrets[name].entry("SecretVersionsToStages") for name in self.names[start : start + size]]}
        return page | ({"NextToken": str(start + size)} if start + size < len(self.names) else {})

    async def call(self, request: web.Request) -> web.Response:
        """One call of either service."""
        operation = request.headers.get("X-Amz-Target", "").split(".")[-1]
        if not operation:
            self.calls["GetCallerIdentity"] += 1
            return web.Response(text=IDENTITY, content_type="text/xml")
        self.calls[operation] += 1
        try:
            answer = self._operations[operation](json.loads(await request.read() or b"{}"))
        except (NotFound, KeyError):
            code = "ResourceNotFoundException" if operation in self._operations else "InvalidRequestException"
            return web.json_response({"__type": code, "message": "not here"}, status=400, headers={"x-amzn-errortype": code})
        self.last[operation] = time.time()
        return web.json_response(answer, content_type="application/x-amz-json-1.1")

    async def stats(self, _: web.Request) -> web.Response:
        """Calls since the start, and when each operation was last answered."""
        return web.json_response({"calls": dict(self.calls), "last": self.last})

    async def rotate(self, request: web.Request) -> web.Response:
        """Move AWSCURRENT of the first n secrets to a new version."""
        for name in self.names[: int(request.query["n"])]:
            secret = self.secrets[name]
            secret.previous, secret.version, secret.created = secret.version, str(uuid.uuid4()), time.time()
        return web.json_response({"at": time.time()})


def main() -> None:
    """Serve until the process is ended."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    state, app = FastAws(count), web.Application()
    app.router.add_post("/", state.call)
    app.router.add_get("/stats", state.stats)
    app.router.add_post("/rotate", state.rotate)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
