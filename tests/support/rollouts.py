"""What the tests of restarts have in common: a Secret with adopted consumers, and a change of its content that needs no wait for AWS."""

from __future__ import annotations

import secrets

from tests.support.eventually import wait_until
from tests.support.kube import Object, condition
from tests.support.shop import Shop
from tests.support.workloads import row

PATIENT: Object = {"timeout": "40s"}


def begin(shop: Shop, *consumers: Object, rollout: Object | None = None) -> None:
    """A mirrored Secret and its consumers, adopted."""
    shop.put("db", rotation=False)
    shop.rotating_secret("db", rollout=PATIENT | (rollout or {}))
    shop.ready("db")
    for manifest in consumers:
        shop.kube.apply(manifest)
    shop.adopted("db")


def change(shop: Shop, name: str = "db", *, rollout: Object | None = None, edited: str | None = None) -> str:
    """Another content, by an edit of spec.target.template: the key EDITED has another value; answers the name of its run."""
    before = {run["metadata"]["name"] for run in shop.runs(name)}
    shop.rotating_secret(name, rollout=PATIENT | (rollout or {}), target={"template": {"EDITED": edited or secrets.token_hex(4)}})
    wait_until(lambda: {run["metadata"]["name"] for run in shop.runs(name)} - before, what="the run")
    (run,) = {run["metadata"]["name"] for run in shop.runs(name)} - before
    return str(run)


def state_is(shop: Shop, run: str, kind: str, name: str, state: str, *, saying: str = "", timeout: float = 60) -> Object:
    """What the run says of the workload, once it is in that state and says so."""

    def holds(seen: Object) -> bool:
        found = row(seen, kind, name)
        return bool(found["state"] == state and saying in found["message"])

    return row(shop.wait("RotationRun", run, holds, timeout=timeout), kind, name)


def pods(shop: Shop, name: str = "web") -> dict[str, str]:
    """The uid of each pod of a workload that is not terminating, by name."""
    found = shop.kube.list("Pod", labels=f"app={name}")
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


def ended(run: Object) -> str:
    """The reason of its end."""
    return str((condition(run, "Complete") or condition(run, "Failed"))["reason"])


def adoption(seen: Object) -> tuple[int, int, int]:
    """Pods on the version, all pods, and workloads, as the RotatingSecret counts them."""
    found = seen["status"]["adoption"]
    return found["podsOnVersion"], found["pods"], found["workloads"]
