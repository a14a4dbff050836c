"""What can be seen at one moment: the staging labels, the Secret, the run, the pods and their logins. Never a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn_lab.controlplane import ApiError
from keyturn_lab.demo.stage import NAMESPACE, SECRET, SECRET_ID, Stage

Json = dict[str, Any]
SHORT = 8
RUN_LABEL = "pod-template-hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of a workload."""

    workload: str
    name: str
    created: str
    ready: bool
    terminating: bool
    successes: int = 0
    failures: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look."""

    labels: Mapping[str, str] = field(default_factory=dict)  # staging label -> version, shortened
    mirrored: str = ""
    since: str = ""  # when the Secret got its content
    steps: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # step -> state, message
    workloads: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)  # name -> on the version, pods, state
    end: str = ""
    message: str = ""
    pods: tuple[Pod, ...] = ()
    successes: int = 0
    failures: int = 0

    def on_version(self, pod: Pod) -> bool:
        """Whether the pod was created after the Secret got its content."""
        return bool(self.since) and pod.created > self.since


def look(stage: Stage, run: str | None) -> Snapshot:
    """Read everything once."""
    labels = stage.aws.client("secretsmanager").describe_secret(SecretId=SECRET_ID)["VersionIdsToStages"]
    status = _find(stage, "rotatingsecrets", SECRET).get("status", {})
    record = _find(stage, "rotationruns", run).get("status", {}) if run else {}
    mirror = record.get("mirror") or status.get("mirror") or {}
    scores = stage.board.totals()
    end: Json = next((found for found in record.get("conditions", []) if found["type"] in {"Complete", "Failed"}), {})
    return Snapshot(
        labels={label: version[:SHORT] for version, found in labels.items() for label in found},
        mirrored=mirror.get("versionId", "")[:SHORT],
        since=mirror.get("time", ""),
        steps={step["name"]: (step["state"], step.get("message", "")) for step in record.get("steps", [])},
        workloads={item["name"]: (item["podsOnVersion"], item["pods"], item["state"]) for item in record.get("workloads", [])},
        end=f"{end['type']}: {end['reason']}" if end else "",
        message=end.get("message", ""),
        pods=tuple(_pods(stage, scores)),
        successes=sum(score["successes"] for score in scores.values()),
        failures=sum(score["failures"] for score in scores.values()),
    )


def _find(stage: Stage, plural: str, name: str) -> Json:
    try:
        return stage.get(f"/apis/keyturn.dev/v1alpha1/namespaces/{NAMESPACE}/{plural}/{name}")
    except ApiError:
        return {}


def _pods(stage: Stage, scores: Mapping[str, Any]) -> Iterator[Pod]:
    items = stage.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    for raw in sorted(items, key=lambda item: (item["metadata"]["labels"].get("app", ""), item["metadata"]["creationTimestamp"])):
        meta, conditions = raw["metadata"], raw.get("status", {}).get("conditions", [])
        score = scores.get(meta["name"], {})
        yield Pod(
            workload=meta["labels"].get("app", ""),
            name=meta["name"],
            created=meta["creationTimestamp"],
            ready=any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions),
            terminating="deletionTimestamp" in meta,
            successes=score.get("successes", 0),
            failures=score.get("failures", 0),
            user=score.get("user", ""),
        )


def changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """What has happened between two looks, a line each."""
    for label in ("AWSPENDING", "AWSCURRENT", "AWSPREVIOUS"):
        if before.labels.get(label) != after.labels.get(label):
            yield f"AWS        {label} {f'is on {after.labels[label]}' if label in after.labels else 'is gone'}"
    for step, (state, message) in after.steps.items():
        if before.steps.get(step, ("",))[0] != state:
            yield f"run        {step}: {state}{f' ({message})' if message else ''}"
    if before.mirrored != after.mirrored and after.mirrored:
        yield f"Secret     {SECRET} holds {after.mirrored}"
    for name, (on, pods, state) in after.workloads.items():
        if before.workloads.get(name) != (on, pods, state):
            yield f"workload   {name}: {state}, {on} of {pods} pods on {after.mirrored}"
    if after.failures > before.failures:
        yield f"logins     {after.failures - before.failures} failed"
