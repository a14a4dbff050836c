"""What a change means for each kind of consumer: the table of the API's documentation, row by row, with real controllers and pods."""

from __future__ import annotations

import pytest
from tests.support.kube import Object
from tests.support.pods import is_running
from tests.support.rollouts import PATIENT, adoption, begin, change, ended, pods, state_is
from tests.support.shop import Shop
from tests.support.workloads import APPS, app, bare_pod, cron_job, job, job_of, mark, pod_spec, row

MOUNTED = pod_spec(
    container={"volumeMounts": [{"name": "db", "mountPath": "/run/db"}]}, volumes=[{"name": "db", "secret": {"secretName": "db"}}]
)


def owned(shop: Shop, kind: str) -> Object:
    return app(kind, replicas=2) if kind != "DaemonSet" else app(kind)


# --- restarted by us --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", APPS)
def test_a_rolling_update_replaces_every_pod_and_the_run_proves_it(shop: Shop, kind: str) -> None:
    begin(shop, owned(shop, kind))
    before = pods(shop)
    run = shop.over(change(shop))
    after = pods(shop)
    assert ended(run) == "Adopted"
    assert not set(before.values()) & set(after.values())
    found = row(run, kind, "web")
    assert (found["state"], found["restarts"], found["pods"], found["podsOnVersion"]) == ("Adopted", 1, len(after), len(after))
    mirror = shop.kube.get("RotatingSecret", "db")["status"]["mirror"]
    assert mark(shop.kube.get(kind, "web")) == f"{mirror['versionId']}.{mirror['epoch']}"


def test_only_the_one_annotation_of_a_workload_is_touched(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    before = shop.kube.get("Deployment", "web")
    shop.over(change(shop))
    after = shop.kube.get("Deployment", "web")
    assert list(after["spec"]["template"]["metadata"].pop("annotations")) == ["keyturn.dev/db"]
    assert after["spec"] == before["spec"]


# --- replaced by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_on_delete_waits_for_a_person_and_completes_once_the_pods_are_deleted(shop: Shop, kind: str) -> None:
    begin(shop, app(kind, updateStrategy={"type": "OnDelete"}))
    (old,) = pods(shop)
    run = change(shop)
    state_is(shop, run, kind, "web", "Waiting", saying=f"OnDelete: somebody must delete {old}")
    shop.kube.delete("Pod", old)
    assert ended(shop.over(run)) == "Adopted"


def counted(run: Object) -> tuple[int, int]:
    """Pods on the version and all pods of the StatefulSet, as the run says."""
    found = row(run, "StatefulSet", "web")
    return found["podsOnVersion"], found["pods"]


def test_below_a_partition_only_the_pods_that_the_controller_leaves_alone_wait_for_a_person(shop: Shop) -> None:
    begin(shop, app("StatefulSet", replicas=2, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}))
    before = pods(shop)
    run = change(shop)
    found = state_is(shop, run, "StatefulSet", "web", "Waiting", saying="partition is 1")
    assert found["message"].endswith("somebody must delete web-0")
    shop.wait("RotationRun", run, lambda seen: counted(seen) == (1, 2))  # web-1, which its controller replaces, is back
    assert pods(shop)["web-0"] == before["web-0"]
    shop.kube.delete("Pod", "web-0")
    assert ended(shop.over(run)) == "Adopted"


def test_a_paused_deployment_waits_saying_so_and_restarts_when_it_is_resumed(shop: Shop) -> None:
    begin(shop, app("Deployment"))
    shop.kube.patch("Deployment", "web", {"spec": {"paused": True}})
    before = pods(shop)
    run = change(shop)
    state_is(shop, run, "Deployment", "web", "Waiting", saying="is paused")
    assert pods(shop) == before
    shop.kube.patch("Deployment", "web", {"spec": {"paused": False}})
    assert ended(shop.over(run)) == "Adopted"
    assert not set(before) & set(pods(shop))


# --- nothing is done --------------------------------------------------------------------------------------------------


def test_a_cron_job_is_left_alone_and_its_next_job_reads_the_new_content(shop: Shop) -> None:
    script = 'test -n "$EDITED"'
    begin(shop, cron_job(pod=pod_spec(script)))
    before = shop.kube.get("CronJob", "nightly")
    run = shop.over(change(shop))
    assert (ended(run), row(run, "CronJob", "nightly")["state"]) == ("Adopted", "Adopted")
    assert shop.kube.get("CronJob", "nightly")["metadata"]["generation"] == before["metadata"]["generation"]
    shop.kube.create(job_of(before, "next"))
    shop.kube.wait_for("Job", "next", lambda seen: seen["status"]["succeeded"] == 1)


def test_a_running_job_of_a_cron_job_that_is_older_is_reported_with_it_and_adopted_once_it_has_ended(shop: Shop) -> None:
    begin(shop, cron_job())
    shop.kube.create(job_of(shop.kube.get("CronJob", "nightly"), "running"))
    shop.wait("RotatingSecret", "db", lambda seen: adoption(seen) == (1, 1, 1))
    run = shop.over(change(shop))
    found = row(run, "CronJob", "nightly")
    assert (found["state"], found["podsOnVersion"], found["pods"]) == ("Waiting", 0, 1)
    assert "must end by itself" in found["message"]
    assert row(run, "Job", "running") == {}
    shop.says("Adopted", "False", "OldPods")
    shop.kube.delete("Job", "running")
    shop.adopted("db")


def test_a_job_is_left_alone_reported_and_adopted_once_it_has_ended(shop: Shop) -> None:
    begin(shop, app("Deployment"), job("report"))
    run = shop.over(change(shop))
    found = row(run, "Job", "report")
    assert (ended(run), found["state"], found["podsOnVersion"], found["pods"]) == ("Adopted", "Waiting", 0, 1)
    assert shop.kube.get("Job", "report")["status"]["active"] == 1
    assert "1 of 2 pods" in shop.says("Adopted", "False", "OldPods")
    shop.kube.patch("Job", "report", {"spec": {"activeDeadlineSeconds": 1}})
    shop.adopted("db")


def test_a_pod_without_a_controller_is_left_alone_reported_and_adopted_once_it_is_gone(shop: Shop) -> None:
    shop.put("db", rotation=False)
    shop.rotating_secret("db", rollout=PATIENT)
    shop.ready("db")
    shop.kube.apply(bare_pod("alone"))
    before = shop.kube.wait_for("Pod", "alone", is_running)
    run = shop.over(change(shop))
    found = row(run, "Pod", "alone")
    assert (ended(run), found["state"], found["message"]) == ("Adopted", "Waiting", "alone must end by itself")
    assert shop.kube.get("Pod", "alone")["metadata"]["uid"] == before["metadata"]["uid"]
    assert "0 of 1 pods" in shop.says("Adopted", "False", "OldPods")
    shop.kube.apply(app("Deployment"))
    shop.kube.delete("Pod", "alone", grace=0)
    assert adoption(shop.adopted("db", timeout=60)) == (1, 1, 1)


def test_a_workload_without_replicas_is_annotated_and_adopted_at_once(shop: Shop) -> None:
    begin(shop, app("Deployment", replicas=0))
    run = shop.over(change(shop))
    assert (ended(run), row(run, "Deployment", "web")["state"]) == ("Adopted", "Adopted")
    assert mark(shop.kube.get("Deployment", "web"))


def test_a_workload_that_reloads_keeps_its_pods_and_counts_after_the_declared_time(shop: Shop) -> None:
    rollout = {"workloads": [{"kind": "Deployment", "name": "web", "onChange": "Reloads", "after": "4s"}]}
    begin(shop, app("Deployment", pod=MOUNTED), rollout=rollout)
    before = pods(shop)
    run = change(shop, rollout=rollout)
    state_is(shop, run, "Deployment", "web", "Reloading")
    seen = shop.over(run)
    assert (ended(seen), row(seen, "Deployment", "web")["message"]) == ("Adopted", "reloads by itself")
    assert pods(shop) == before
    assert mark(shop.kube.get("Deployment", "web")) is None


def test_environment_variables_cannot_be_reloaded_and_the_run_says_so(shop: Shop) -> None:
    rollout = {"timeout": "4s", "workloads": [{"kind": "Deployment", "name": "web", "onChange": "Reloads", "after": "0s"}]}
    begin(shop, app("Deployment"), rollout=rollout)
    run = shop.over(change(shop, rollout=rollout))
    assert ended(run) == "Held"
    assert "cannot reload environment variables" in row(run, "Deployment", "web")["message"]


def test_a_workload_that_somebody_else_restarts_is_waited_for(shop: Shop) -> None:
    rollout = {"workloads": [{"kind": "Deployment", "name": "web", "onChange": "External"}]}
    begin(shop, app("Deployment"), rollout=rollout)
    before = pods(shop)
    run = change(shop, rollout=rollout)
    state_is(shop, run, "Deployment", "web", "Waiting", saying="somebody else restarts it")
    assert pods(shop) == before
    shop.plane.kubectl("rollout", "restart", "deployment/web", "-n", shop.namespace)
    assert ended(shop.over(run)) == "Adopted"
    assert mark(shop.kube.get("Deployment", "web")) is None
