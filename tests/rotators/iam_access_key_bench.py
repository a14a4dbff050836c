"""IAM by moto, with an STS in front of it that is as strict as AWS's.

moto answers GetCallerIdentity to any key. The STS here stands at botocore's boundary: it knows a key only while IAM has it as active,
checks the request's signature against the key's secret, and learns of a change only after as many calls as it is told to lag.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Self
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from moto import mock_aws
from moto.core.botocore_stubber import MockRawResponse
from moto.iam.models import AccessKey, AccessKeyLastUsed, IAMBackend, iam_backends
from tests.rotators.bench import APP, Bench
from tests.unit.rotators.stores import Life

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.iam_access_key import Overlap

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's
CODE = "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>refused</Message></Error></ErrorResponse>"


class Impatient(Overlap):
    """Does not wait: time passes as calls."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls(user_field=environ.get("KEYTURN_USER_FIELD"), settle=0, sleep=lambda seconds: None)


class StrictSts:
    """Refuses what AWS would."""

    def __init__(self, iam: IAMBackend) -> None:
        self._iam = iam
        self.lag = 0  # calls about a key until a change of it is known
        self._known: dict[str, bool] = {}
        self._late: dict[str, int] = defaultdict(int)

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        """None: moto answers."""
        authorization = str(_text(request.headers["Authorization"]))
        key_id = authorization.partition("Credential=")[2].partition("/")[0]
        key = self._iam.access_keys.get(key_id)
        if not self._knows(key_id, key is not None and key.status == "Active") or key is None:
            return refusal(request, "InvalidClientTokenId")
        if authorization.partition("Signature=")[2] != _signature(request, authorization, key):
            return refusal(request, "SignatureDoesNotMatch")
        return None

    def _knows(self, key_id: str, active: bool) -> bool:
        before = self._known.get(key_id, False)
        if before != active and self._late[key_id] < self.lag:
            self._late[key_id] += 1
            return before
        self._late[key_id] = 0
        self._known[key_id] = active
        return active


class IamBench(Bench):
    """A user of its own with one key that was made by hand."""

    credential_field = "SecretAccessKey"

    def __init__(self, life: Life, iam: IAMBackend, sts: StrictSts) -> None:
        self.iam, self.sts, self.user = iam, sts, f"app-{uuid.uuid4().hex[:8]}"
        iam.create_user(REGION, self.user)
        first = self.made_by_hand()
        value = {
            "engine": "iam-access-key",
            "UserName": self.user,
            "AccessKeyId": first.access_key_id,
            "SecretAccessKey": first.secret_access_key,
        }
        super().__init__(life, value)
        self.environ = {"KEYTURN_ENGINE": f"{__name__}:Impatient"}
        self._handlers: list[tuple[str, Callable[..., Any]]] = []

    def can_login(self, credential: Credential) -> bool:
        key = self.iam.access_keys.get(credential.text("AccessKeyId"))
        return key is not None and key.status == "Active" and key.secret_access_key == credential.text("SecretAccessKey")

    def made_by_hand(self, *, user: str | None = None, age: timedelta = timedelta(days=30)) -> AccessKey:
        """A key that somebody made a while ago."""
        key = self.iam.create_access_key(user or self.user)
        key.create_date -= age
        return key

    def use(self, credential: Credential, service: str) -> None:
        """Somebody uses the key for a service, now."""
        key = self.iam.access_keys[credential.text("AccessKeyId")]
        key.last_used = AccessKeyLastUsed(timestamp=key.create_date, service=service, region=REGION)

    @property
    def keys(self) -> dict[str, str]:
        """The user's keys and their states."""
        return {key.access_key_id: key.status for key in self.iam.list_access_keys(self.user)}

    def context(self) -> Context:
        return Context(self.store, APP, Deadline.after(60))

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Have botocore call this at every such event, before anything that was registered earlier."""
        session().events.register_first(event, handler)
        self._handlers.append((event, handler))

    def off(self, event: str, handler: Callable[..., Any]) -> None:
        session().events.unregister(event, handler)
        self._handlers.remove((event, handler))

    def close(self) -> None:
        for event, handler in list(self._handlers):
            self.off(event, handler)


@cache
def session() -> boto3.Session:
    """Of all benches: one that is made anew reads the descriptions of all services again."""
    return boto3.Session(aws_access_key_id="of-the-function", aws_secret_access_key="of-the-function", region_name=REGION)


@contextmanager
def iam_bench() -> Iterator[IamBench]:
    """The calls of boto3's default session count as requests of the bench's life."""
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", session())
        iam = iam_backends[ACCOUNT]["aws"]
        bench = IamBench(Life(), iam, StrictSts(iam))
        bench.on("before-send.sts", bench.sts)
        bench.on("before-send", lambda **_: bench.life.request())
        try:
            yield bench
        finally:
            bench.close()


def _signature(request: AWSPreparedRequest, authorization: str, key: AccessKey) -> str:
    """What the request's signature would be with the key."""
    _, _, region, service, _ = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() in signed}
    copy = AWSRequest(method=request.method, url=request.url, data=request.body, headers=headers)
    copy.headers["Host"] = urlsplit(request.url).netloc
    copy.context["timestamp"] = _text(request.headers["X-Amz-Date"])
    auth = SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), service, region)
    signature: str = auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy)
    return signature


def refusal(request: AWSPreparedRequest, code: str, *, status: int = 403) -> AWSResponse:
    """An answer of AWS's in place of moto's; `code` may be a whole one."""
    content = code if code.startswith("<") else CODE.format(code=code)
    return AWSResponse(request.url, status, HTTPHeaders.from_dict({"Content-Type": "text/xml"}), MockRawResponse(content.encode()))


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
