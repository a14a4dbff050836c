"""Pods and Deployments of shell scripts for the lab's node, and what their status says."""

from __future__ import annotations

from tests.support.kube import Object, condition

FOREVER = "while :; do sleep 1; done"
ATTENTIVE = "while :; do sleep 0.1; done"
"""As FOREVER; the shell runs a trap between two sleeps."""


def pod(name: str, script: str, *, container: Object | None = None, **spec: object) -> Object:
    """A pod with one container `main` that runs a shell script."""
    main = {"name": "main", "image": "sh", "args": [script], **(container or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [main], **spec},
    }


def deployment(name: str, script: str, *, replicas: int, container: Object | None = None, **spec: object) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod(name, script, container=container, **spec)["spec"]}
    selector = {"matchLabels": {"app": name}}
    body = {"replicas": replicas, "selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def is_running(seen: Object) -> bool:
    return bool(condition(seen, "Ready").get("status") == "True")


def has_ended(seen: Object) -> bool:
    return seen["status"]["phase"] in ("Succeeded", "Failed")


def main_container(seen: Object) -> Object:
    status: Object = seen["status"]["containerStatuses"][0]
    return status
