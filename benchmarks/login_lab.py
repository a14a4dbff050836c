"""Where pods log in while their credential is rotated: a cluster with a node, AWS with the rotation function, and the operator."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.login_cases import CASES, Case, Given
from benchmarks.world import Process, install, running_operator
from keyturn_lab.apps.client import FIELDS, NEEDED
from keyturn_lab.apps.scoreboard import Score, Scoreboard
from keyturn_lab.aws import Aws
from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.node import Node
from keyturn_rotators.package import HANDLER

Json = dict[str, Any]
NAME = "app"
PODS = 8
FRESH, POOLED = "fresh", "pooled"
# The fresh ones take all that the processor has to give, but not from what the measurement stands on.
OPTIONS = {FRESH: ["--pause=0", "--nice=10"], POOLED: ["--pause=0.05", "--pooled"]}
LEASE = 60  # seconds; the API server of a machine that is busy with logins may not answer for some
PATIENCE = 180.0  # seconds for each thing that must come to pass


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One case's namespace."""

    plane: ControlPlane
    board: Scoreboard
    case: Case
    operator: Process
    pods: int  # of each Deployment

    def scores(self) -> dict[str, list[Score]]:
        """What the pods of each Deployment have counted, those that have ended too."""
        totals = self.board.totals()
        return {name: [score for pod, score in totals.items() if pod.startswith(f"{self.case.name}/{name}-")] for name in OPTIONS}

    def rotate(self) -> float:
        """One RotationRun, until it is over; the seconds that it took. Raises if it did not complete."""
        started = time.monotonic()
        body = {"metadata": {"generateName": f"{NAME}-"}, "spec": {"secretRef": {"name": NAME}}}
        run = self._create("RotationRun", "keyturn.dev/v1alpha1", "rotationruns", body)["metadata"]["name"]
        path = f"/apis/keyturn.dev/v1alpha1/namespaces/{self.case.name}/rotationruns/{run}"
        until(lambda: self._left() or bool(_ended(self.plane.client.request("GET", path))), f"the end of {run}")
        ended = _ended(self.plane.client.request("GET", path))
        if ended["type"] != "Complete":
            raise RuntimeError(f"{run} of {self.case.name}: {ended['reason']}: {ended.get('message', '')}")
        return time.monotonic() - started

    def set_up(self) -> None:
        """The namespace, the RotatingSecret, and the two Deployments with all their pods logged in."""
        client, namespace = self.plane.client, self.case.name
        client.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        until(lambda: bool(client.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")), "the service account")
        spec = {"secretId": f"{namespace}/{NAME}", "rotation": {"strategy": self.case.strategy}}
        self._create("RotatingSecret", "keyturn.dev/v1alpha1", "rotatingsecrets", {"metadata": {"name": NAME}, "spec": spec})
        for name in OPTIONS:
            self._create("Deployment", "apps/v1", "deployments", self._deployment(name))
        until(lambda: all(self._ready(name) for name in OPTIONS), "the readiness of all pods")

    def tear_down(self) -> None:
        """End the pods, so that the next case has the machine for itself."""
        path = f"/apis/apps/v1/namespaces/{self.case.name}/deployments"
        for name in OPTIONS:
            self.plane.client.request("DELETE", f"{path}/{name}")
        pods = f"/api/v1/namespaces/{self.case.name}/pods"
        until(lambda: not self.plane.client.request("GET", pods)["items"], "the end of the pods")

    def _left(self) -> bool:
        """False. Raises where the operator has left, as it does when it loses its lease: nobody restarts it here."""
        if self.operator.popen.poll() is not None:
            raise RuntimeError(f"the operator has ended; the end of its log: {(self.plane.directory / 'operator.log').read_text()[-500:]}")
        return False

    def _ready(self, name: str) -> bool:
        path = f"/apis/apps/v1/namespaces/{self.case.name}/deployments/{name}"
        return bool(self.plane.client.request("GET", path).get("status", {}).get("readyReplicas", 0) == self.pods)

    def _create(self, kind: str, version: str, plural: str, body: Json) -> Json:
        path = f"/apis/{version}/namespaces/{self.case.name}/{plural}"
        return self.plane.client.request("POST", path, {"apiVersion": version, "kind": kind} | body)

    def _deployment(self, name: str) -> Json:
        fields = {usual: self.case.fields.get(usual, usual) for usual in FIELDS}
        env: list[Json] = [
            {"name": FIELDS[usual], "valueFrom": {"secretKeyRef": {"name": NAME, "key": key, "optional": usual not in NEEDED}}}
            for usual, key in fields.items()
        ]
        env.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
        env.append({"name": "_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
        env.append({"name": "POD_NAME", "value": f"{self.case.name}/$(_POD)"})
        container = {
            "name": NAME,
            "image": f"keyturn-lab/{self.case.client.replace('_', '-')}",
            "args": OPTIONS[name],
            "env": env,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 5},
        }
        labels = {"app": name}
        return {
            "metadata": {"name": name},
            "spec": {
                "replicas": self.pods,
                "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": self.pods}},
                "template": {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 20, "containers": [container]}},
            },
        }


@dataclass(frozen=True, kw_only=True)
class LoginLab:
    """The world, in which one case after the other is set up."""

    plane: ControlPlane
    aws: Aws
    board: Scoreboard
    operator: Process
    pods: int

    @contextmanager
    def tenant(self, case: Case) -> Iterator[Tenant]:
        """A case with its back end, its secret, and all of its pods logged in."""
        with case.backend() as given:
            self._make_secret(case, given)
            made = Tenant(plane=self.plane, board=self.board, case=case, operator=self.operator, pods=self.pods)
            made.set_up()
            yield made

    def _make_secret(self, case: Case, given: Given) -> None:
        manager = self.aws.client("secretsmanager")
        content = dict(given.secret)
        if case.by_superuser and given.superuser:
            superuser = manager.create_secret(Name=f"dba/{case.name}", SecretString=json.dumps(given.superuser))
            content["masterarn"] = superuser["ARN"]
        secret = f"{case.name}/{NAME}"
        manager.create_secret(Name=secret, SecretString=json.dumps(content))
        with tempfile.TemporaryDirectory() as directory:
            code = Path(directory) / "rotator.zip"
            case.zip(code)
            environment = case.environment | dict(given.environment)
            function = self.aws.register_function(case.name, code, handler=HANDLER, timeout=60, environment=environment)
        manager.rotate_secret(
            SecretId=secret, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 365}, RotateImmediately=False
        )


def _ended(run: Json) -> Json:
    """The condition that says that a run is over, or has stopped for a person to look."""
    conditions: list[Json] = run.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] in {"Complete", "Failed", "Held"} and each["status"] == "True"), {})


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for it; what is not there yet is waited for too."""
    deadline = time.monotonic() + PATIENCE
    while not _holds(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {PATIENCE:.0f} s")
        time.sleep(0.1)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (ApiError, KeyError):
        return False


@contextmanager
def login_lab(*, pods: int = PODS) -> Iterator[LoginLab]:
    """Everything ends when the block is left."""
    images = {case.client.replace("_", "-"): [sys.executable, "-m", f"keyturn_lab.apps.{case.client}"] for case in CASES}
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(log=lambda _: None))
        aws = stack.enter_context(Aws(region="eu-west-1"))
        board = stack.enter_context(Scoreboard())
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        stack.enter_context(Node(plane, images=images, env={"SCOREBOARD_URL": board.url, "PATH": path, "PYTHONSAFEPATH": "1"}))
        install(plane)
        operator = stack.enter_context(running_operator(plane, aws.environment, margin_seconds=1, lease_seconds=LEASE))
        until(operator.leads, "the operator's readiness")
        yield LoginLab(plane=plane, aws=aws, board=board, operator=operator, pods=pods)
