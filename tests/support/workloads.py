"""Manifests of consumers of every kind, and what a run says of them."""

from __future__ import annotations

from typing import Any

from tests.support.kube import Object
from tests.support.shop import SLEEPER

ENV_FROM = {"envFrom": [{"secretRef": {"name": "db"}}]}
"""How a container refers to the Secret `db`, unless a test says otherwise."""

APPS = ("Deployment", "StatefulSet", "DaemonSet")


def pod_spec(script: str = SLEEPER, *, container: Object | None = None, **spec: Any) -> Object:
    """One container `main`, with the Secret's keys as its environment unless `container` says otherwise."""
    main = {"name": "main", "image": "sh", "args": [script], **(ENV_FROM if container is None else container)}
    return {"terminationGracePeriodSeconds": 1, "containers": [main]} | spec


def template(name: str, spec: Object | None = None) -> Object:
    """A pod template whose pods are labelled `app=<name>`."""
    return {"metadata": {"labels": {"app": name}}, "spec": spec or pod_spec()}


def app(kind: str, name: str = "web", *, pod: Object | None = None, **spec: Any) -> Object:
    """A Deployment, StatefulSet or DaemonSet; `spec` is merged into its own."""
    body = {"selector": {"matchLabels": {"app": name}}, "template": template(name, pod)} | spec
    if kind == "StatefulSet":
        body |= {"serviceName": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body}


def job(name: str = "job", *, pod: Object | None = None, **metadata: Any) -> Object:
    """A Job of one pod that is not tried again."""
    spec = {"backoffLimit": 0, "template": {"spec": (pod or pod_spec()) | {"restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name} | metadata, "spec": spec}


def cron_job(name: str = "nightly", *, pod: Object | None = None) -> Object:
    """A CronJob that starts nothing by itself while a test runs."""
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job(pod=pod)["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": spec}


def job_of(cron: Object, name: str, **changed: Any) -> Object:
    """A Job as its CronJob would start it, or as `kubectl create job --from` does."""
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": cron["metadata"]["name"], "uid": cron["metadata"]["uid"]}
    metadata = {"name": name, "ownerReferences": [owner | {"controller": True}]}
    spec = cron["spec"]["jobTemplate"]["spec"] | changed
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def bare_pod(name: str = "alone", *, pod: Object | None = None) -> Object:
    """A pod that no controller made."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": (pod or pod_spec()) | {"restartPolicy": "Never"}}


def row(run: Object, kind: str, name: str) -> Object:
    """What the run says of a workload; `{}` where it does not mention it."""
    found = [one for one in run["status"].get("workloads", []) if (one["kind"], one["name"]) == (kind, name)]
    return found[0] if found else {}


def mark(workload: Object, of: str = "db") -> str | None:
    """The restart annotation on its pod template."""
    value: str | None = (workload["spec"]["template"]["metadata"].get("annotations") or {}).get(f"keyturn.dev/{of}")
    return value
