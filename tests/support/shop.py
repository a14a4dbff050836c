"""A tenant of the operator for one test: a namespace, its secrets in the lab's AWS, its RotatingSecrets and its workloads."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.eventually import wait_until
from tests.support.kstatus import check_conditions
from tests.support.kube import POLL_SECONDS, Kube, Object, condition

from keyturn_lab.aws import Aws
from keyturn_lab.aws.client import CLIENT_KEY
from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.patience import Patience

SLEEPER = "exec sleep 300"  # a pod that only stands there


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One namespace. AWS secrets are called `<namespace>/<name>`, as the default connection's rule wants it."""

    plane: ControlPlane
    kube: Kube
    aws: Aws
    namespace: str
    function: str  # ARN of the rotation function

    # AWS

    def secret_id(self, name: str = "db") -> str:
        """The name in AWS."""
        return f"{self.namespace}/{name}"

    def put(self, name: str = "db", *, rotation: bool = True, value: str | bytes | None = None, **fields: object) -> str:
        """Create the AWS secret, with a random password unless `fields` or `value` say otherwise; answers its version's id."""
        content = value if value is not None else json.dumps({"username": "app", "password": secrets.token_hex(12)} | fields)
        form: dict[str, Any] = {"SecretBinary": content} if isinstance(content, bytes) else {"SecretString": content}
        client = self.aws.client("secretsmanager")
        version = client.create_secret(Name=self.secret_id(name), **form)["VersionId"]
        if rotation:
            client.rotate_secret(
                SecretId=self.secret_id(name),
                RotationLambdaARN=self.function,
                RotationRules={"AutomaticallyAfterDays": 900},
                RotateImmediately=False,
            )
            wait_until(lambda: "AWSPENDING" not in self.stages(name), what="AWS's test of the rotation function")
        return version

    def promote(self, name: str = "db", **fields: object) -> str:
        """Somebody else's hand: a new AWSCURRENT with a new random password; answers its version's id."""
        content = json.dumps({"username": "app", "password": secrets.token_hex(12)} | fields)
        return self.aws.client("secretsmanager").put_secret_value(SecretId=self.secret_id(name), SecretString=content)["VersionId"]

    def rotate(self, name: str = "db") -> str:
        """Somebody else's hand: RotateSecret; answers the id of the version that it leads to."""
        return self.aws.client("secretsmanager").rotate_secret(SecretId=self.secret_id(name))["VersionId"]

    def put_long_ago(self, name: str = "db", *, days: float, rotation: bool = True) -> None:
        """As `put`, so many days ago. No sweep of the operator may see the secret while it is still young."""
        with self.aws.faults.on("hang", action="ListSecrets", caller=CLIENT_KEY):
            self.put(name, rotation=rotation)
            self.aws.backdate(self.secret_id(name), days=days)

    def stages(self, name: str = "db") -> dict[str, str]:
        """Which version carries which staging label."""
        stages = self.aws.client("secretsmanager").describe_secret(SecretId=self.secret_id(name))["VersionIdsToStages"]
        return {label: version for version, labels in stages.items() for label in labels}

    def current(self, name: str = "db") -> str:
        """The id of the version that is AWSCURRENT."""
        return self.stages(name)["AWSCURRENT"]

    def value(self, name: str = "db") -> Any:
        """The fields of AWSCURRENT."""
        answer = self.aws.client("secretsmanager").get_secret_value(SecretId=self.secret_id(name), VersionStage="AWSCURRENT")
        return json.loads(answer["SecretString"])

    # objects

    def rotating_secret(self, name: str = "db", *, secret: str | None = None, **spec: Any) -> Object:
        """Apply a RotatingSecret; `spec` in the API's own words."""
        body = {"secretId": self.secret_id(secret or name)} | spec
        return self.kube.apply({"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotatingSecret", "metadata": {"name": name}, "spec": body})[
            0
        ]

    def run(self, name: str, *, of: str = "db", **spec: Any) -> Object:
        """Create a RotationRun, as a person would."""
        body = {"secretRef": {"name": of}} | spec
        return self.kube.create({"apiVersion": "keyturn.dev/v1alpha1", "kind": "RotationRun", "metadata": {"name": name}, "spec": body})

    def deployment(self, name: str = "web", *, secret: str = "db", replicas: int = 1, script: str = SLEEPER, **template: Any) -> Object:
        """A Deployment whose pods read the Secret's keys as environment variables; `template` is merged into its pod spec."""
        container = {"name": "main", "image": "sh", "args": [script], "envFrom": [{"secretRef": {"name": secret}}]}
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]} | template
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        }
        return self.kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})[0]

    def begin(self, **spec: Any) -> str:
        """The secret `db`, its mirror, and a Deployment that runs on it. Returns the version."""
        version = self.put()
        self.rotating_secret(**spec)
        self.deployment()
        self.adopted()
        return version

    def data(self, name: str = "db") -> dict[str, str]:
        """The Secret's data, decoded."""
        raw = self.kube.get("Secret", name).get("data") or {}
        return {key: base64.b64decode(text).decode() for key, text in raw.items()}

    # waiting

    def wait(self, kind: str, name: str, holds: Callable[[Object], object], *, timeout: float = 60) -> Object:
        """The object once it is as `holds` wants it; every status on the way must satisfy kstatus and Flux.

        But for the moment between an edit and the look at it, in which the status is about what was before.
        """

        def checked(seen: Object) -> object:
            found = check_conditions(seen) if _is_about_this_generation(seen) else []
            assert not found, f"{kind} {name}: {found}"
            return holds(seen)

        return self.kube.wait_for(kind, name, checked, timeout=timeout)

    def ready(self, name: str = "db", *, version: str | None = None, timeout: float = 60) -> Object:
        """The RotatingSecret, once it is Ready (on that version)."""
        return self.wait(
            "RotatingSecret",
            name,
            lambda seen: (
                condition(seen, "Ready")["status"] == "True"
                and seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
                and version in (None, seen["status"]["mirror"]["versionId"])
            ),
            timeout=timeout,
        )

    def settled(self, name: str = "db", *, version: str, timeout: float = 90) -> Object:
        """The RotatingSecret, once the run that brought that version is over."""
        return self.wait(
            "RotatingSecret",
            name,
            lambda seen: seen["status"]["settled"]["versionId"] == version and "activeRun" not in seen["status"],
            timeout=timeout,
        )

    def stalled(self, reason: str, name: str = "db", *, timeout: float = 60) -> str:
        """The message, once the RotatingSecret is Stalled for that reason."""
        return self.says("Stalled", "True", reason, name, timeout=timeout)

    def says(self, type_: str, status: str, reason: str, name: str = "db", *, timeout: float = 60) -> str:
        """The message, once a condition of the RotatingSecret has that status for that reason."""
        seen = self.wait(
            "RotatingSecret",
            name,
            lambda seen: (condition(seen, type_)["status"], condition(seen, type_)["reason"]) == (status, reason),
            timeout=timeout,
        )
        return str(condition(seen, type_)["message"])

    def adopted(self, name: str = "db", *, version: str | None = None, timeout: float = 90) -> Object:
        """The RotatingSecret, once every pod runs on what it mirrors."""
        return self.wait(
            "RotatingSecret",
            name,
            lambda seen: condition(seen, "Adopted")["status"] == "True" and version in (None, seen["status"]["settled"]["versionId"]),
            timeout=timeout,
        )

    def over(self, name: str, *, timeout: float = 120) -> Object:
        """The RotationRun, once it is over."""
        return self.wait("RotationRun", name, lambda seen: seen["status"]["completionTime"], timeout=timeout)

    def step_is(self, run: str, step: str, state: str, *, saying: str = "", timeout: float = 60) -> Object:
        """The RotationRun, once that step is in that state and says so."""
        return self.wait(
            "RotationRun",
            run,
            lambda seen: steps(seen)[step]["state"] == state and saying in steps(seen)[step]["message"],
            timeout=timeout,
        )

    def first_run(self, trigger: str, *, of: str = "db", timeout: float = 60) -> Object:
        """The first run of that trigger, once there is one."""
        wait_until(lambda: self._of_trigger(of, trigger), timeout=timeout, what=f"a run of trigger {trigger}")
        return self._of_trigger(of, trigger)[0]

    def _of_trigger(self, of: str, trigger: str) -> list[Object]:
        return [run for run in self.runs(of) if run["spec"]["trigger"] == trigger]

    def runs(self, of: str = "db") -> list[Object]:
        """The runs of a RotatingSecret, oldest first."""
        found = self.kube.list("RotationRun", fields=f"spec.secretRef.name={of}")
        return sorted(found, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))

    def events(self, name: str) -> list[Object]:
        """The events about an object of that name, oldest first."""
        found = self.kube.list("Event", fields=f"involvedObject.name={name}")
        return sorted(found, key=lambda event: str(event.get("eventTime")))

    # the oracle

    def complaints(self) -> list[str]:
        """What kstatus and Flux would say against any status, once the operator had time for the last change of a test."""
        patience = Patience(30)
        while (found := self._complaints()) and not patience.over:
            time.sleep(POLL_SECONDS)
        return found

    def _complaints(self) -> list[str]:
        objects = [*self.kube.list("RotatingSecret"), *self.kube.list("RotationRun")]
        return [f"{item['metadata']['name']}: {text}" for item in objects if item.get("status") for text in check_conditions(item)]


def _is_about_this_generation(seen: Object) -> bool:
    return bool(seen.get("status", {}).get("observedGeneration") == seen["metadata"]["generation"])


def steps(run: Object) -> dict[str, Object]:
    """The steps of a RotationRun by their names."""
    return {step["name"]: step for step in run["status"]["steps"]}
