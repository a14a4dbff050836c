"""Restarts amid what others do: GitOps tools, people with kubectl, two RotatingSecrets, and workloads that change midway."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from tests.support.eventually import wait_until
from tests.support.kube import Object, moment
from tests.support.pods import is_running
from tests.support.rollouts import adoption, begin, change, ended, pods, state_is
from tests.support.shop import Shop, steps
from tests.support.workloads import app, mark, pod_spec, row

from keyturn_lab.controlplane import ApiError

GITOPS = "gitops-controller"
MARGIN = timedelta(seconds=1)  # of the tests' operator
SLOW: dict[str, Any] = {"minReadySeconds": 4}
"""Old pods stand long enough for somebody to interfere."""


def path_of(shop: Shop, name: str = "web") -> str:
    return f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/{name}"


def put(shop: Shop, manifest: Object) -> Object:
    """Replace the whole object, as a tool that knows nothing of other writers; again where it had moved on."""
    while True:
        version = shop.kube.get("Deployment", "web")["metadata"]["resourceVersion"]
        body = manifest | {"metadata": manifest["metadata"] | {"resourceVersion": version}}
        try:
            return shop.kube.client.request("PUT", f"{path_of(shop)}?fieldManager={GITOPS}", body)
        except ApiError as error:
            if error.status != 409:
                raise


def revert(shop: Shop, manifest: Object) -> None:
    """What such a tool does as soon as it finds the annotation."""
    wait_until(lambda: mark(shop.kube.get("Deployment", "web")), what="the annotation")
    put(shop, manifest)


def deployed(shop: Shop, **spec: Any) -> Object:
    """A Deployment that the tool has created, adopted."""
    manifest = app("Deployment", **spec)
    shop.kube.client.request("POST", f"{path_of(shop, '').rstrip('/')}?fieldManager={GITOPS}", manifest)
    begin(shop)
    return manifest


# --- GitOps -----------------------------------------------------------------------------------------------------------


def test_a_server_side_apply_of_the_same_manifest_by_somebody_else_leaves_the_annotation_and_the_pods_alone(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    shop.over(change(shop))
    before = shop.kube.get("Deployment", "web")
    query = f"?fieldManager={GITOPS}&force=true"
    after = shop.kube.client.request("PATCH", path_of(shop) + query, app("Deployment"), content_type="application/apply-patch+yaml")
    assert (mark(after), after["metadata"]["generation"]) == (mark(before), before["metadata"]["generation"])


def test_an_annotation_that_is_reverted_once_is_set_again_and_the_run_completes(shop: Shop) -> None:
    manifest = deployed(shop, **SLOW)
    name = change(shop)
    revert(shop, manifest)
    run = shop.over(name)
    found = row(run, "Deployment", "web")
    assert (ended(run), found["state"], found["restarts"]) == ("Adopted", "Adopted", 2)
    assert mark(shop.kube.get("Deployment", "web"))


def test_an_annotation_that_is_reverted_again_is_given_up_and_the_run_names_who_owns_the_field(shop: Shop) -> None:
    manifest = deployed(shop, minReadySeconds=60)
    run = change(shop, rollout={"timeout": "8s"})
    revert(shop, manifest)
    revert(shop, manifest)
    found = state_is(shop, run, "Deployment", "web", "Reverted", saying=f"by {GITOPS}")
    assert found["restarts"] == 2
    seen = shop.over(run)
    assert ended(seen) == "Held"
    assert GITOPS in steps(seen)["Rollout"]["message"]
    assert [event["reason"] for event in shop.events(run)].count("RestartReverted") == 1


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_rollout_that_a_person_undoes_midway_is_begun_again(shop: Shop) -> None:
    begin(shop, app("Deployment", **SLOW))
    before = pods(shop)
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Restarting")
    shop.plane.kubectl("rollout", "undo", "deployment/web", "-n", shop.namespace)
    assert ended(shop.over(run)) == "Adopted"
    assert not set(before) & set(pods(shop))


def test_a_restart_by_a_person_midway_is_as_good_as_ours(shop: Shop) -> None:
    begin(shop, app("Deployment", **SLOW))
    before = pods(shop)
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Restarting")
    shop.plane.kubectl("rollout", "restart", "deployment/web", "-n", shop.namespace)
    seen = shop.over(run)
    assert (ended(seen), row(seen, "Deployment", "web")["restarts"]) == ("Adopted", 1)
    assert not set(before) & set(pods(shop))


# --- two at once ------------------------------------------------------------------------------------------------------


def test_two_rotating_secrets_that_change_at_once_leave_both_annotations_and_both_are_adopted(shop: Shop) -> None:
    two = pod_spec(container={"envFrom": [{"secretRef": {"name": "db"}}, {"secretRef": {"name": "cache"}}]})
    shop.put("cache", rotation=False)
    shop.rotating_secret("cache")
    shop.ready("cache")
    begin(shop, app("Deployment", pod=two))
    shop.adopted("cache")
    runs = [change(shop, "db"), change(shop, "cache")]
    for name in runs:
        assert ended(shop.over(name)) == "Adopted"
    marked = shop.kube.get("Deployment", "web")
    for name in ("db", "cache"):
        mirror = shop.adopted(name)["status"]["mirror"]
        assert mark(marked, name) == f"{mirror['versionId']}.{mirror['epoch']}"


# --- midway -----------------------------------------------------------------------------------------------------------


def test_a_workload_that_is_created_midway_counts_without_a_restart(shop: Shop) -> None:
    begin(shop, app("Deployment", **SLOW))
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Restarting")
    shop.kube.apply(app("Deployment", "late"))
    seen = shop.over(run)
    found = row(seen, "Deployment", "late")
    assert (ended(seen), found["state"], found["restarts"]) == ("Adopted", "Adopted", 0)
    assert mark(shop.kube.get("Deployment", "late")) is None


def test_a_workload_that_is_deleted_midway_is_no_longer_waited_for(shop: Shop) -> None:
    begin(shop, app("Deployment"), app("Deployment", "stays"))
    shop.kube.patch("Deployment", "web", {"spec": {"paused": True}})
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Waiting")
    shop.kube.delete("Deployment", "web")
    seen = shop.over(run)
    assert (ended(seen), [one["name"] for one in seen["status"]["workloads"]]) == ("Adopted", ["stays"])


def test_a_workload_that_is_scaled_midway_is_adopted_with_all_its_pods(shop: Shop) -> None:
    begin(shop, app("Deployment", **SLOW))
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Restarting")
    shop.kube.patch("Deployment", "web", {"spec": {"replicas": 3}})
    seen = shop.over(run)
    found = row(seen, "Deployment", "web")
    assert (ended(seen), found["podsOnVersion"], found["pods"]) == ("Adopted", 3, 3)


def test_a_workload_whose_template_is_edited_midway_is_adopted_on_the_edit(shop: Shop) -> None:
    begin(shop, app("Deployment", **SLOW))
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Restarting")
    shop.kube.apply(app("Deployment", pod=pod_spec("exec sleep 301"), **SLOW))
    seen = shop.over(run)
    assert (ended(seen), row(seen, "Deployment", "web")["restarts"]) == ("Adopted", 1)
    assert mark(shop.kube.get("Deployment", "web"))


# --- pods -------------------------------------------------------------------------------------------------------------


def test_a_pod_that_starts_between_the_write_and_the_restart_does_not_count_as_new(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    run = change(shop)
    shop.wait("RotationRun", run, lambda seen: steps(seen)["Mirror"]["state"] == "Succeeded")
    shop.kube.apply(app("Deployment", "between"))
    seen = shop.over(run)
    assert ended(seen) == "Adopted"
    written = moment(seen["status"]["mirror"]["time"])
    created = [moment(pod["metadata"]["creationTimestamp"]) for pod in shop.kube.list("Pod", labels="app=between")]
    # A pod that a slow machine starts later than the margin needs no restart; one that starts before it must have had one.
    assert created
    assert all(each - written >= MARGIN for each in created)


def test_a_container_that_restarts_does_not_make_its_pod_new(shop: Shop) -> None:
    again = pod_spec('test -n "$EDITED" && exec sleep 300; while test ! -e "$FLAG"; do sleep 0.05; done; exit 1')
    again["containers"][0]["env"] = [{"name": "FLAG", "value": f"/tmp/{shop.namespace}"}]
    begin(shop, app("StatefulSet", pod=again, updateStrategy={"type": "OnDelete"}))
    before = shop.kube.wait_for("Pod", "web-0", is_running)
    run = change(shop)
    state_is(shop, run, "StatefulSet", "web", "Waiting")
    shop.plane.kubectl("exec", "web-0", "-n", shop.namespace, "--", "sh", "-c", f"touch /tmp/{shop.namespace}")
    shop.kube.wait_for("Pod", "web-0", lambda seen: is_running(seen) and seen["status"]["containerStatuses"][0]["restartCount"] > 0)
    started = time.monotonic()
    wait_until(lambda: time.monotonic() > started + 2.5, what="two counts of the pods")
    found = row(shop.kube.get("RotationRun", run), "StatefulSet", "web")
    assert (found["state"], found["podsOnVersion"], found["pods"]) == ("Waiting", 0, 1)
    shop.kube.delete("Pod", "web-0")
    assert ended(shop.over(run)) == "Adopted"
    assert shop.kube.get("Pod", "web-0")["metadata"]["uid"] != before["metadata"]["uid"]


def test_a_pod_that_waited_for_the_first_creation_of_its_secret_counts(shop: Shop) -> None:
    shop.kube.apply(app("Deployment"))
    wait_until(lambda: pods(shop), what="the pod")
    (name,) = pods(shop)
    shop.kube.wait_for("Pod", name, lambda seen: "waiting" in seen["status"]["containerStatuses"][0]["state"])
    shop.put("db", rotation=False)
    shop.rotating_secret("db")
    assert adoption(shop.adopted("db")) == (1, 1, 1)
    assert list(pods(shop)) == [name]
    assert shop.runs() == []
