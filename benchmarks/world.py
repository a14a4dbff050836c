"""What every measurement stands on: a control plane, the stand-in of AWS, and the operator as a process that is watched from outside."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.patience import Patience
from keyturn_lab.ports import free_ports

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
NAMESPACE = "bench"
PATIENCE = 600.0
RSEC = f"/apis/keyturn.dev/v1alpha1/namespaces/{NAMESPACE}/rotatingsecrets"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process has used so far."""

    cpu: float  # seconds
    peak: float  # MB of resident memory
    resident: float  # MB


@dataclass(kw_only=True)
class Process:
    """The operator."""

    port: int
    popen: subprocess.Popen[bytes]
    started: float

    def usage(self) -> Usage:
        """From /proc."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        sizes = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmHWM", "VmRSS"))}
        return Usage(cpu=(int(fields[11]) + int(fields[12])) / TICKS, peak=int(sizes["VmHWM"]) / 1000, resident=int(sizes["VmRSS"]) / 1000)

    def mirrored(self) -> int:
        """How many RotatingSecrets are Ready as the operator itself counts them: asking the API server would slow it down."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                families = text_string_to_metric_families(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return 0
        wanted = {"kind": "RotatingSecret", "condition": "Ready", "status": "True"}
        samples = (sample for family in families if family.name == "keyturn_resources" for sample in family.samples)
        return next((int(sample.value) for sample in samples if sample.labels == wanted), 0)

    def leads(self) -> bool:
        """It holds the lease, and /readyz says that its caches are filled. (A standby is ready before that.)"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=1) as answer:
                leading = "keyturn_leader 1.0" in answer.read().decode()
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return leading and answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@dataclass(kw_only=True)
class World:
    """A control plane with our kinds, and the stand-in."""

    plane: ControlPlane
    aws_url: str
    settings: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def operator(self, **settings: object) -> Iterator[Process]:
        """The operator, from the moment at which it is started."""
        aws = {"AWS_ENDPOINT_URL": self.aws_url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "eu-west-1"}
        with running_operator(self.plane, aws, **settings) as process:
            yield process

    def aws(self, path: str, *, post: bool = False) -> Json:
        """The stand-in's own figures and switch."""
        request = urllib.request.Request(f"{self.aws_url}{path}", method="POST" if post else "GET")
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: Json = json.load(answer)
            return found

    def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request of an admin."""
        return self.plane.client.request(method, path, body)

    def create(self, path: str, bodies: list[Json]) -> None:
        """Many objects, with eight clients at once."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda body: self.request("POST", path, body), bodies))

    def rotating_secrets(self, count: int, first: int = 0) -> None:
        """RotatingSecrets secret-00000 and so on, each with its namesake in AWS."""
        numbers = range(first, first + count)
        self.create(
            RSEC,
            [
                {
                    "apiVersion": "keyturn.dev/v1alpha1",
                    "kind": "RotatingSecret",
                    "metadata": {"name": f"secret-{number:05d}"},
                    "spec": {"secretId": f"bench/secret-{number:05d}"},
                }
                for number in numbers
            ],
        )

    def deployments(self, count: int) -> None:
        """Deployments without pods, each of which uses one of the Secrets: what is measured is ours, not the controllers' work."""
        self.create(DEPLOYMENTS, [_deployment(number) for number in range(count)])

    def data(self, secret: str) -> Json:
        """The data of a Secret; empty while it is not there."""
        try:
            found: Json = self.request("GET", secret)["data"]
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return found

    def edit(self, secret: str, data: Json) -> None:
        """What somebody with kubectl does to a Secret."""
        self.plane.client.request("PATCH", secret, {"data": data}, content_type="application/merge-patch+json")

    def mirrored(self) -> int:
        """How many RotatingSecrets are Ready."""
        return sum(
            any(
                condition["type"] == "Ready" and condition["status"] == "True" for condition in item.get("status", {}).get("conditions", [])
            )
            for item in self.items(RSEC)
        )

    def items(self, path: str) -> Iterator[Json]:
        """A whole list, in pages."""
        more = ""
        while True:
            page = self.request("GET", f"{path}?limit=500{more}")
            yield from page["items"]
            if not (token := page["metadata"].get("continue")):
                return
            more = f"&continue={token}"

    def writes(self) -> Mapping[str, float]:
        """Writes at the API server so far, by resource; leases and the controllers' own objects are told apart by their name."""
        with urllib.request.urlopen(self._metrics_request(), timeout=30, context=self._tls()) as answer:
            text = answer.read().decode()
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "apiserver_request_total" and sample.labels["verb"] in {"POST", "PUT", "PATCH", "APPLY", "DELETE"}:
                    name = f"{sample.labels['resource']}/{sample.labels['subresource']}".rstrip("/")
                    totals[name] = totals.get(name, 0) + sample.value
        return totals

    def _metrics_request(self) -> urllib.request.Request:
        user = yaml.safe_load(self.plane.kubeconfig.read_text())["users"][0]["user"]
        return urllib.request.Request(f"{self.plane.url}/metrics", headers={"Authorization": f"Bearer {user['token']}"})

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.plane.ca))


@contextmanager
def running_operator(plane: ControlPlane, aws: Mapping[str, str], **settings: object) -> Iterator[Process]:
    """The operator as a process; `settings` are its KEYTURN_... variables, in lower case."""
    (port,) = free_ports(1)
    variables = {f"KEYTURN_{name.upper()}": str(value) for name, value in settings.items()}
    more = {"KUBECONFIG": str(plane.kubeconfig), "KEYTURN_LISTEN": f"127.0.0.1:{port}", "KEYTURN_LOG_LEVEL": "WARNING"}
    with (plane.directory / "operator.log").open("ab") as log:
        started = time.time()
        popen = subprocess.Popen(
            [sys.executable, "-m", "keyturn", "run"],
            env={**_environment(), **aws, **more, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Process(port=port, popen=popen, started=started)
    finally:
        popen.terminate()
        popen.wait(30)


def compiled() -> None:
    """The operator's bytecode is there, as it is in the image: compiling it takes seconds that would be counted."""
    subprocess.run([sys.executable, "-c", "import keyturn.app"], env=_environment(), stdin=subprocess.DEVNULL, check=True)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def install(plane: ControlPlane) -> None:
    """Our kinds, and the connection `default`: each namespace its own prefix."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        plane.kubectl("apply", "--server-side", "-f", str(path))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    connection = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ClusterAWSConnection",
        "metadata": {"name": "default"},
        "spec": {
            "region": "eu-west-1",
            "allow": [{"namespaces": {"all": True}, "secrets": ["{namespace}/**"], "verbs": ["Mirror", "Rotate"]}],
        },
    }
    plane.client.request("POST", "/apis/keyturn.dev/v1alpha1/clusterawsconnections", connection)


def _deployment(number: int) -> Json:
    name = f"app-{number:05d}"
    container = {"name": "main", "image": "none", "envFrom": [{"secretRef": {"name": f"secret-{number:05d}"}}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def until(condition: Callable[[], bool], what: str, *, every: float = 0.25) -> None:
    """Wait; a measurement that does not come to an end is an error."""
    patience = Patience(PATIENCE)
    while not condition():
        if patience.over:
            raise TimeoutError(f"{what} took more than {PATIENCE:.0f} s")
        time.sleep(every)


@contextmanager
def world(secrets: int) -> Iterator[World]:
    """A fresh one for each measurement."""
    compiled()
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(log=lambda _: None))
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "benchmarks.fast_aws", str(port), str(secrets)]
        server = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL))
        stack.callback(server.terminate)
        made = World(plane=plane, aws_url=f"http://127.0.0.1:{port}")
        install(plane)
        plane.kubectl("create", "namespace", NAMESPACE)
        yield made
