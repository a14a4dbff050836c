"""AWS's users of ElastiCache and MemoryDB, in front of a real Redis that takes the passwords which AWS calls active.

A stand-in for AWS's APIs at botocore's boundary, by the same hooks as botocore's Stubber: requests and answers are held to AWS's own models
of the services, and the passwords to what AWS documents. A change takes a few looks until the user is active; until then no other is taken.
"""

import string
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import create_loader
from botocore.session import get_session
from botocore.validate import validate_parameters
from tests.rotators.bench import Bench, Capability
from tests.rotators.proxies import MortalProxy
from tests.support.iam import Call
from tests.unit.rotators.stores import Life

from keyturn_lab.backends.redis import Redis
from keyturn_rotators.credential import Credential

PASSWORD = "first-password-of-the-app"
REGION = "eu-west-1"
ALLOWED = set(string.printable.strip()) - set('/@",')
LOOKS = 2  # until a change is active
LOADER = create_loader()  # the models of a service are read once
COMMON = frozenset({Capability.PASSWORD, Capability.OVERLAP, Capability.RETIRE, Capability.RESTORE})
ARNS = {"elasticache": "arn:aws:elasticache:{}:123456789012:user:{}", "memorydb": "arn:aws:memorydb:{}:123456789012:user/{}"}


class AwsUsers:
    """One user and its API."""

    def __init__(self, server: Redis, life: Life, *, service: str, user: str) -> None:
        self._server, self._life = server, life
        self.service, self.user = service, user
        self.arn = ARNS[service].format(REGION, user)
        self.authentication = "password"
        self.passwords: list[str] = []
        self.refusal: str | None = None  # the code of every answer
        self.calls: list[str] = []
        self.asked_for: list[Call] = []  # the same calls, as IAM sees them
        self._looks = 0
        self._params: dict[str, Any] = {}
        self.activate([PASSWORD])

    def session(self) -> boto3.Session:
        """A session whose clients reach this and nothing else."""
        core = get_session()
        core.register_component("data_loader", LOADER)
        session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION, botocore_session=core)
        session.events.register(f"before-parameter-build.{self.service}", self._asked)
        answer = cast("Callable[..., None]", self._answer)  # what botocore's stubs say of all hooks; it takes the answer of this one
        session.events.register(f"before-call.{self.service}", answer)
        return session

    def activate(self, passwords: list[str]) -> None:
        """The clusters take these passwords, and no others."""
        self.passwords = passwords
        self._server.run(
            "ACL", "SETUSER", self.user, "on", "resetpass", "~*", "+@read", "+@connection", *(f">{password}" for password in passwords)
        )

    def _asked(self, params: dict[str, Any], **_: object) -> None:
        self._params = dict(params)

    def _answer(self, model: Any, **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        self._life.request()
        self.calls.append(model.name)
        named = self._params.get({"elasticache": "UserId", "memorydb": "UserName"}[self.service], "*")
        self.asked_for.append(Call(action=f"{self.service}:{model.name}", resource=ARNS[self.service].format(REGION, named)))
        if self.refusal:
            return self._refused(self.refusal)
        if self._params[{"elasticache": "UserId", "memorydb": "UserName"}[self.service]] != self.user:
            return self._refused("UserNotFound" if self.service == "elasticache" else "UserNotFoundFault")
        if model.name == "DescribeUsers":
            self._looks = max(0, self._looks - 1)
            if not self._looks:
                self.activate(self.passwords)
            answer: dict[str, Any] = {"Users": [self._described()]}
        else:
            passwords = self._params["Passwords"] if self.service == "elasticache" else self._params["AuthenticationMode"]["Passwords"]
            if self._looks:
                return self._refused("InvalidUserState" if self.service == "elasticache" else "InvalidUserStateFault")
            if not 1 <= len(passwords) <= 2 or len(set(passwords)) < len(passwords) or not all(map(_is_allowed, passwords)):
                return self._refused("InvalidParameterValue")
            self.passwords, self._looks = list(passwords), LOOKS
            answer = self._described() if self.service == "elasticache" else {"User": self._described()}
        validate_parameters(answer, model.output_shape)
        return AWSResponse("", 200, HTTPHeaders(), None), answer | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def _described(self) -> dict[str, Any]:
        name = {"UserId": self.user, "UserName": self.user} if self.service == "elasticache" else {"Name": self.user}
        authentication: dict[str, Any] = {"Type": self.authentication, "PasswordCount": len(self.passwords)}
        return name | {"Status": "modifying" if self._looks else "active", "Authentication": authentication, "ARN": self.arn}

    def _refused(self, code: str) -> tuple[AWSResponse, dict[str, Any]]:
        error = {"Code": code, "Message": f"refused: {self._params}"}  # AWS's words may quote what was sent
        return AWSResponse("", 400, HTTPHeaders(), None), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}


class ElastiCacheBench(Bench):
    """With a host in the secret, or as AWS documents it, without."""

    longest_password = 128
    forbidden = '/@",'

    def __init__(self, server: Redis, life: Life, *, service: str, port: int | None) -> None:
        self.user = f"app-{uuid.uuid4().hex[:8]}"
        self.server = server
        self.aws = AwsUsers(server, life, service=service, user=self.user)
        place = {"host": server.host, "port": port, "ssl": False} if port else {}
        super().__init__(life, {"user_arn": self.aws.arn, "username": self.user, "password": PASSWORD} | place)
        self.environ = {"KEYTURN_ENGINE": service, "WAITING_RETRY_INTERVAL_IN_SECONDS": "0.001"}

    def can_login(self, credential: Credential) -> bool:
        return self.server.accepts(credential.username, credential.password)


@contextmanager
def elasticache_bench(
    server: Redis, monkeypatch: pytest.MonkeyPatch, *, service: str = "elasticache", host: bool
) -> Iterator[ElastiCacheBench]:
    life = Life()
    with MortalProxy(server.host, server.port, life=life) as proxy:
        bench = ElastiCacheBench(server, life, service=service, port=proxy.port if host else None)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", bench.aws.session())
        yield bench


def _is_allowed(password: str) -> bool:
    return 16 <= len(password) <= 128 and set(password) <= ALLOWED
