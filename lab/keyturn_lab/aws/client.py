"""The lab's AWS as its users see it: a context manager with an address, an environment, boto3 clients and the control path."""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import boto3
from botocore.config import Config

from keyturn_lab.patience import Patience

from .faults import Fault, FaultKind
from .records import FunctionCall, Invocation
from .settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sts.client import STSClient

ACCOUNT = "123456789012"
CLIENT_KEY = "lab-client"
"""The access key id in `Aws.environment`."""
TEST_KEY = "lab-test"
"""The access key id of `Aws.client`."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LabError(RuntimeError):
    """The lab's AWS did not start, or refused a control verb."""


class Wire:
    """The control path."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, verb: str, **params: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/lab/{verb}", data=json.dumps(params).encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with OPENER.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise LabError(f"{verb}: {json.load(error).get('error')}") from error


class FaultSwitches:
    """`aws.faults`: what the lab's AWS does wrong on purpose. See `faults.Fault` for the options."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def set(self, kind: FaultKind, **options: Any) -> str:
        """Switch a fault on; the answer is its id.

        `throttle`, `error`, `latency`, `hang`, `deny`: with action=, secret=, caller=, calls=, probability=, seconds=, code=, message=,
        status=.
        `stale-list`: ListSecrets answers what was true when it was set. `stale-read`: GetSecretValue and BatchGetSecretValue still see the
        labels of then; with secret=, calls=, probability=. `kms-disabled`: with secret=.
        `lambda-fail`, `lambda-hang`: with action= (the function's name), step=, after=, calls=.
        """
        return str(self._wire("set-fault", kind=kind, **options)["id"])

    def clear(self, fault_id: str | None = None) -> None:
        """Switch one off, or all."""
        self._wire("clear-faults", id=fault_id)

    @contextmanager
    def on(self, kind: FaultKind, **options: Any) -> Iterator[str]:
        """On for the length of a with block."""
        fault_id = self.set(kind, **options)
        try:
            yield fault_id
        finally:
            self.clear(fault_id)

    def listed(self) -> list[Fault]:
        """Those that are on."""
        return [Fault(**fault) for fault in self._wire("faults")]


class Aws:
    """One lab's AWS. As a context manager it is started and ended; `Aws.attach` talks to one that somebody else runs."""

    def __init__(
        self, region: str = "eu-west-1", *, settings: Settings | None = None, directory: Path | None = None, port: int = 0
    ) -> None:
        self.region = region
        self._settings, self._given_directory, self._port = settings or Settings(), directory, port
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._url: str | None = None
        self._clients: dict[str, Any] = {}

    @classmethod
    def attach(cls, url: str, region: str = "eu-west-1") -> Self:
        """The lab at `url`, which may run in another process; leaving it does not end it."""
        aws = cls(region)
        aws._url = url.rstrip("/")
        return aws

    def __enter__(self) -> Self:
        if self._url is None:
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        if self._given_directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="keyturn-lab-aws-")
        directory = self.directory
        directory.mkdir(parents=True, exist_ok=True)
        log = directory / "aws.log"
        command = [sys.executable, "-m", "keyturn_lab.aws", "--directory", str(directory), "--port", str(self._port)]
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*command, "--settings", json.dumps(asdict(self._settings))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                env=_without_proxies_and_credentials(),
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            said = log.read_text()[-2000:]
            self.close()
            raise LabError(f"the lab's AWS did not start; its log says:\n{said}")
        self._url = json.loads(line)["url"]

    def close(self) -> None:
        """End the lab that this object started, and remove its directory."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
            self._url = None
            self._clients.clear()
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    @property
    def directory(self) -> Path:
        """Where the lab keeps its log and its functions; gone with the lab unless it was given."""
        known = Path(self._temporary.name) if self._temporary else self._given_directory
        if known is None:
            raise LabError("the lab's AWS is not running here, so it has no directory here")
        return known

    @property
    def url(self) -> str:
        """The endpoint of every service."""
        if self._url is None:
            raise LabError("the lab's AWS is not running: use it as a context manager")
        return self._url

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs to talk to this AWS and to no other."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": CLIENT_KEY,
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["events"]) -> "EventBridgeClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["sts"]) -> "STSClient": ...
    @overload
    def client(self, service: str) -> Any: ...
    def client(self, service: str) -> Any:
        """A boto3 client, made once per service. It does not retry: a fault shows at the first call."""
        if service not in self._clients:
            session = boto3.session.Session(aws_access_key_id=TEST_KEY, aws_secret_access_key="lab", region_name=self.region)
            make: Callable[..., Any] = session.client
            config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50, proxies={})
            self._clients[service] = make(service, endpoint_url=self.url, config=config)
        return self._clients[service]

    @property
    def faults(self) -> FaultSwitches:
        """The switches."""
        return FaultSwitches(self._wire)

    @property
    def _wire(self) -> Wire:
        return Wire(self.url)

    def now(self) -> datetime:
        """The lab's clock."""
        return datetime.fromtimestamp(self._wire("now")["now"], UTC)

    def advance(self, step: timedelta) -> list[str]:
        """Move the clock on; answers with the ARNs of the secrets whose own schedule thereby began a rotation."""
        return list(self._wire("advance", seconds=step.total_seconds())["started"])

    def backdate(self, secret_id: str, **ago: float) -> None:
        """Make a secret and its versions older: `backdate("orders", days=40)`, with timedelta's units."""
        self._wire("backdate", secret=secret_id, seconds=timedelta(**ago).total_seconds())

    def configure(self, **settings: Any) -> Settings:
        """Change settings of a running lab (not lambda_concurrency, which is fixed at the start)."""
        return Settings(**self._wire("configure", **settings))

    def calls(self, *, of: str | None = None, by_lambdas: bool = False) -> Counter[str]:
        """Calls since the last reset: `GetSecretValue` for Secrets Manager, `sts:GetCallerIdentity` for others.

        `of` is an access key id: CLIENT_KEY counts only those who have `environment`, and not `client`. Calls that the lab's Lambda
        functions make are counted apart.
        """
        return Counter(self._wire("calls", key=of, lambdas=by_lambdas))

    def function_calls(self) -> list[FunctionCall]:
        """Every call that Lambda functions made since the last reset, with what it was about; oldest first."""
        return [FunctionCall(**entry) for entry in self._wire("function-calls")]

    def reset_calls(self) -> None:
        """Count from zero."""
        self._wire("reset-calls")

    def invocations(self, function: str | None = None) -> list[Invocation]:
        """The log of Lambda calls, oldest first."""
        entries = self._wire("invocations", function=function)
        return [Invocation(**entry | {"at": datetime.fromtimestamp(entry["at"], UTC)}) for entry in entries]

    def reset(self) -> None:
        """Forget everything: secrets, functions, queues, faults, counts, the clock's lead."""
        self._wire("reset")

    def register_function(
        self, name: str, code: Path, *, handler: str, timeout: int = 30, environment: Mapping[str, str] | None = None, trusted: bool = True
    ) -> str:
        """Create a role and a function from a zip or a directory, by Lambda's own API; answers with the function's ARN.

        `trusted` lets Secrets Manager invoke it.
        """
        role = self._role(f"{name}-role")
        functions = self.client("lambda")
        made = functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=role,
            Handler=handler,
            Timeout=timeout,
            Code={"ZipFile": _zipped(code)},
            Environment={"Variables": dict(environment or {})},
        )
        if trusted:
            functions.add_permission(
                FunctionName=name,
                StatementId="secretsmanager",
                Action="lambda:InvokeFunction",
                Principal="secretsmanager.amazonaws.com",
                SourceAccount=ACCOUNT,
            )
        return str(made["FunctionArn"])

    def _role(self, name: str) -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        }
        made = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        return str(made["Role"]["Arn"])

    def wait_for_rotation(self, secret_id: str, version_id: str, *, timeout: float = 30) -> None:
        """Until the version is AWSCURRENT; LabError with the labels and the functions' last errors if it does not become so."""
        patience = Patience(timeout)
        stages: dict[str, list[str]] = {}
        while not patience.over:
            stages = self._wire("labels", secret=secret_id)
            if "AWSCURRENT" in stages.get(version_id, ()):
                return
            time.sleep(0.02)
        errors = [f"{entry.function} {entry.step}: {entry.error}" for entry in self.invocations() if entry.failed]
        raise LabError(f"{secret_id}: {version_id} is not current after {timeout:g} s; labels {stages}; failed calls {errors[-4:]}")


def _zipped(code: Path) -> bytes:
    if code.is_file():
        return code.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(code.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(code))
    return packed.getvalue()


def _without_proxies_and_credentials() -> dict[str, str]:
    """The lab's process talks to nobody, so nothing of the user's AWS or network settings is its business."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
