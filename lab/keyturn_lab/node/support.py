"""What the node cannot do, told before anything is started.

Such a pod stays Pending with a reason: a pod that the node failed would be replaced by its ReplicaSet at once, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from keyturn_lab.node.api import Json

VOLUMES = {"name", "secret", "configMap", "projected", "emptyDir", "downwardAPI", "hostPath"}
PROJECTIONS = {"secret", "configMap", "downwardAPI", "serviceAccountToken"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def unsupported(spec: Json) -> list[str]:
    """Everything in a pod's spec that the node cannot do, in words."""
    return [*_of_pod(spec), *(reason for container in containers(spec) for reason in _of_container(container))]


def containers(spec: Json) -> list[Json]:
    """Init containers and containers."""
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _of_pod(spec: Json) -> Iterator[str]:
    if "activeDeadlineSeconds" in spec:
        yield "activeDeadlineSeconds of a pod"
    if spec.get("ephemeralContainers"):
        yield "ephemeral containers"
    for volume in spec.get("volumes") or []:
        for kind in volume.keys() - VOLUMES:
            yield f"volume {volume['name']}: {kind}"
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind in source.keys() - PROJECTIONS:
                yield f"volume {volume['name']}: projected {kind}"
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for item in (item for source in sources for item in (source.get("downwardAPI") or {}).get("items") or []):
            if "fieldRef" not in item:
                yield f"volume {volume['name']}: resourceFieldRef"
    for container in spec.get("initContainers") or []:
        if "restartPolicy" in container:
            yield f"container {container['name']}: sidecar (restartPolicy of an init container)"


def _of_container(container: Json) -> Iterator[str]:
    name = container["name"]
    for hook in container.get("lifecycle") or {}:
        yield f"container {name}: lifecycle {hook}"
    if container.get("volumeDevices"):
        yield f"container {name}: volumeDevices"
    for probe in PROBES:
        if "grpc" in container.get(probe, {}):
            yield f"container {name}: {probe} grpc"
    for variable in container.get("env") or []:
        for kind in (variable.get("valueFrom") or {}).keys() - {"fieldRef", "secretKeyRef", "configMapKeyRef"}:
            yield f"container {name}: env {variable['name']}: {kind}"
    for mount in container.get("volumeMounts") or []:
        if "subPathExpr" in mount:
            yield f"container {name}: subPathExpr"
