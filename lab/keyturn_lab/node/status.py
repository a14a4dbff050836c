"""What a pod's status says, computed from the state of its containers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn_lab.node.api import Json
from keyturn_lab.node.container import Container

REPLACE = {"$patch": "replace"}
"""A strategic merge patch would add a new address to an old one, and two are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One pod, seen from its node."""

    pod: Json
    phase: str
    init: Sequence[Container]
    main: Sequence[Container]
    address: str
    node_address: str
    started: str
    conditions: list[Json]
    """As they were reported last."""


def pod_status(seen: Observed, *, now: str) -> Json:
    """The whole status; a condition keeps the time of its last change."""
    return {
        "phase": seen.phase,
        "podIP": seen.address,
        "podIPs": [REPLACE, {"ip": seen.address}],
        "hostIP": seen.node_address,
        "hostIPs": [REPLACE, {"ip": seen.node_address}],
        "startTime": seen.started,
        "observedGeneration": seen.pod["metadata"].get("generation", 1),
        "conditions": _conditions(seen, now),
        "initContainerStatuses": [container.status() for container in seen.init],
        "containerStatuses": [container.status() for container in seen.main],
    }


def outcome(containers: Sequence[Container]) -> str:
    """The phase of a pod whose containers have all ended for good."""
    return "Succeeded" if all(container.exit_code == 0 for container in containers) else "Failed"


def _conditions(seen: Observed, now: str) -> list[Json]:
    ready = seen.phase == "Running" and all(container.ready for container in seen.main)
    of_others = {entry["type"]: entry["status"] for entry in (seen.pod.get("status") or {}).get("conditions") or []}
    gates = (entry["conditionType"] for entry in seen.pod["spec"].get("readinessGates") or [])
    open_gates = all(of_others.get(gate) == "True" for gate in gates)
    before = {entry["type"]: entry for entry in seen.conditions}
    values = {
        "PodReadyToStartContainers": seen.phase in ("Pending", "Running"),
        "Initialized": seen.phase != "Pending",
        "ContainersReady": ready,
        "Ready": ready and open_gates,
    }
    return [
        {
            "type": kind,
            "status": str(value),
            "lastTransitionTime": before[kind].get("lastTransitionTime") if before.get(kind, {}).get("status") == str(value) else now,
            "observedGeneration": seen.pod["metadata"].get("generation", 1),
        }
        for kind, value in values.items()
    ]
