"""Raw workload and pod bodies as views: references to Secrets, progress as the controllers report it, why a pod is not ready. Pure.

Only names of Secrets are read, never an environment variable's value, a command or a message that a container left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from keyturn.adapters.kube.metadata import PREFIX, moment
from keyturn.domain.observed import PodView, SecretUse, WorkloadKind, WorkloadView

Json = Mapping[str, Any]

_TEMPLATES = {
    WorkloadKind.CRON_JOB: ("jobTemplate", "spec", "template"),
    WorkloadKind.POD: None,
}
_COUNTS = {  # our field: the status field of the kinds that have replicas, and of DaemonSets
    "status_replicas": ("replicas", "currentNumberScheduled"),
    "updated": ("updatedReplicas", "updatedNumberScheduled"),
    "ready": ("readyReplicas", "numberReady"),
    "available": ("availableReplicas", "numberAvailable"),
}


def workload_view(kind: WorkloadKind, raw: Json) -> WorkloadView:
    """One workload, as the API server holds it."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    template = _template(kind, raw)
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    daemon = kind is WorkloadKind.DAEMON_SET
    return WorkloadView(
        kind=kind,
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=_int(meta.get("generation")),
        created=moment(meta["creationTimestamp"]),
        uses=secret_uses(template.get("spec") or {}),
        selector=None if kind in (WorkloadKind.CRON_JOB, WorkloadKind.POD) else selector_string(spec.get("selector")),
        template_annotations={key: value for key, value in annotations.items() if key.startswith(PREFIX)},
        replicas=_wanted(kind, spec, status),
        strategy=_strategy(kind, spec),
        partition=_partition(spec),
        paused=bool(
            spec.get("suspend" if kind in (WorkloadKind.CRON_JOB, WorkloadKind.JOB) else "paused") or status.get("pauseConditions")
        ),
        aborted=bool(status.get("abort")),
        finished=_finished(kind, status),
        owner_uid=_controller(meta),
        observed_generation=_int(status.get("observedGeneration")),
        current_revision=status.get("currentRevision") or status.get("stableRS"),
        update_revision=status.get("updateRevision") or status.get("currentPodHash"),
        **{field: _int(status.get(names[daemon])) for field, names in _COUNTS.items()},
    )


def pod_view(raw: Json) -> PodView:
    """One pod; its problem comes from waiting reasons, exit codes and conditions."""
    meta, status = raw["metadata"], raw.get("status") or {}
    ended = status.get("phase") in ("Succeeded", "Failed")
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        created=moment(meta["creationTimestamp"]),
        ready=ready,
        terminating="deletionTimestamp" in meta,
        ended=ended,
        first_started=min(_starts(status), default=None),
        last_started=max(_starts(status), default=None),
        problem=None if ready or status.get("phase") == "Succeeded" else _problem(status),
        owner_uid=_controller(meta),
        uses=secret_uses(raw.get("spec") or {}),
    )


def secret_uses(pod_spec: Json) -> tuple[SecretUse, ...]:
    """Each Secret that the pod spec refers to, by which ways, ordered by name. imagePullSecrets are kubelet's, not the pod's."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for name, way, optional in _references(pod_spec):
        if name:
            found.setdefault(name, []).append((way, optional))
    return tuple(
        SecretUse(secret=name, by=frozenset(way for way, _ in ways), optional=all(optional for _, optional in ways))
        for name, ways in sorted(found.items())
    )


def _references(pod_spec: Json) -> Iterator[tuple[str | None, str, bool]]:
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod_spec.get(group) or ():
            for variable in container.get("env") or ():
                if ref := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                    yield ref.get("name"), "env", bool(ref.get("optional"))
            for source in container.get("envFrom") or ():
                if ref := source.get("secretRef"):
                    yield ref.get("name"), "envFrom", bool(ref.get("optional"))
    parts = set(_mounted_by_sub_path(pod_spec))
    for volume in pod_spec.get("volumes") or ():
        if secret := volume.get("secret"):
            yield secret.get("secretName"), "subPath" if volume["name"] in parts else "volume", bool(secret.get("optional"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            if secret := source.get("secret"):
                yield secret.get("name"), "subPath" if volume["name"] in parts else "projected", bool(secret.get("optional"))


def _mounted_by_sub_path(pod_spec: Json) -> Iterator[str]:
    """Volumes of which a container mounts a part: that mount is never updated. https://kubernetes.io/docs/concepts/storage/volumes/#secret"""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod_spec.get(group) or ():
            for mount in container.get("volumeMounts") or ():
                if mount.get("subPath") or mount.get("subPathExpr"):
                    yield mount["name"]


def selector_string(selector: Json | None) -> str | None:
    """A LabelSelector in the form of the query parameter; None where there is none, or it is empty and would match everything."""
    parts = [f"{key}={value}" for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    for rule in (selector or {}).get("matchExpressions") or ():
        key, values = rule["key"], ",".join(rule.get("values") or ())
        match rule["operator"]:
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts) or None


def _template(kind: WorkloadKind, raw: Json) -> Json:
    path = _TEMPLATES.get(kind, ("template",))
    if path is None:
        return {"spec": raw.get("spec"), "metadata": raw["metadata"]}
    node: Json = raw.get("spec") or {}
    for name in path:
        node = node.get(name) or {}
    return node


def _wanted(kind: WorkloadKind, spec: Json, status: Json) -> int:
    if kind is WorkloadKind.DAEMON_SET:
        return _int(status.get("desiredNumberScheduled"))
    return int(spec.get("parallelism" if kind is WorkloadKind.JOB else "replicas", 1))


def _strategy(kind: WorkloadKind, spec: Json) -> str:
    if kind is WorkloadKind.ROLLOUT:
        return "RollingUpdate"  # canary or blueGreen: either way its controller replaces the pods
    strategy = spec.get("strategy" if kind is WorkloadKind.DEPLOYMENT else "updateStrategy") or {}
    return str(strategy.get("type") or "RollingUpdate")


def _partition(spec: Json) -> int:
    return _int(((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition"))


def _finished(kind: WorkloadKind, status: Json) -> bool:
    if kind is WorkloadKind.POD:
        return status.get("phase") in ("Succeeded", "Failed")
    conditions = status.get("conditions") or () if kind is WorkloadKind.JOB else ()
    return any(c.get("type") in ("Complete", "Failed") and c.get("status") == "True" for c in conditions)


def _controller(meta: Json) -> str | None:
    return next((owner["uid"] for owner in meta.get("ownerReferences") or () if owner.get("controller")), None)


def _int(value: Any) -> int:
    """Absent is 0; Argo Rollouts writes observedGeneration as a string."""
    return int(value) if value is not None and str(value).isdecimal() else 0


def _containers(status: Json) -> Iterable[Json]:
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _starts(status: Json) -> Iterator[datetime]:
    for container in _containers(status):
        for state in ("state", "lastState"):
            for phase in ("running", "terminated"):
                if started := ((container.get(state) or {}).get(phase) or {}).get("startedAt"):
                    yield moment(started)


def _problem(status: Json) -> str | None:
    """One short reason. Messages of containers are left out: a program may have written anything into them."""
    for container in _containers(status):
        if reason := _container_problem(container):
            return f"container {container['name']}: {reason}"
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {condition.get('reason', 'Unknown')}"
    return status.get("reason")


def _container_problem(container: Json) -> str | None:
    state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated") or {}
    after = f" after exit code {last['exitCode']}" if "exitCode" in last else ""
    if (reason := (state.get("waiting") or {}).get("reason")) and reason not in ("ContainerCreating", "PodInitializing"):
        return f"{reason}{after}"
    if (ended := state.get("terminated")) and ended.get("exitCode"):
        return f"{ended.get('reason', 'Error')}, exit code {ended['exitCode']}"
    if "running" in state and not container.get("ready") and not container.get("started", True):
        return f"running, not started yet{after}"
    if "running" in state and container.get("ready") is False and after:
        return f"running, not ready{after}"
    return None
