"""The order of restarts: a wave begins when the one before it is adopted and has soaked, and one that fails holds all that follow."""

from __future__ import annotations

from typing import Any

from tests.support.kube import Object, condition
from tests.support.rollouts import adoption, begin, change, ended, pods, state_is
from tests.support.shop import Shop, steps
from tests.support.workloads import ENV_FROM, app, mark, pod_spec, row

SOUND = 'test "$EDITED" != broken'
FRAGILE = pod_spec(
    f"{SOUND} && exec sleep 300; exit 3",
    container={**ENV_FROM, "readinessProbe": {"exec": {"command": ["sh", "-c", SOUND]}, "periodSeconds": 1}},
)
"""Crashes on the content `broken`, and is never ready on it; without the probe it would count as ready until its crash."""

STURDY = pod_spec("exec sleep 301")


def in_waves(**rollout: Any) -> Object:
    """`web` first, then `api`."""
    return {"workloads": [{"kind": "Deployment", "name": "api", "wave": 1}], **rollout}


def test_a_later_wave_is_not_touched_before_the_one_before_it_is_adopted_and_has_soaked(shop: Shop) -> None:
    begin(shop, app("Deployment", "web"), app("Deployment", "api"))
    before = pods(shop, "api")
    run = change(shop, rollout=in_waves(soak="3s"))
    shop.step_is(run, "Rollout", "Running", saying="wave 0 is ready, and must stay so")
    assert mark(shop.kube.get("Deployment", "web"))
    assert (mark(shop.kube.get("Deployment", "api")), pods(shop, "api")) == (None, before)
    state_is(shop, run, "Deployment", "api", "Adopted")
    seen = shop.over(run)
    assert ended(seen) == "Adopted"
    assert [(one["name"], one["wave"]) for one in seen["status"]["workloads"]] == [("web", 0), ("api", 1)]


def held(shop: Shop) -> Object:
    """A run whose first wave crashes on the new content, once it is over."""
    begin(shop, app("Deployment", "web", pod=FRAGILE), app("Deployment", "api"), rollout=in_waves())
    return shop.over(change(shop, rollout=in_waves(timeout="4s"), edited="broken"))


def test_a_wave_that_crashes_is_held_and_names_the_pod_and_why(shop: Shop) -> None:
    run = held(shop)
    assert ended(run) == "Held"
    message = condition(run, "Failed")["message"]
    assert any(f"Deployment web: {name}: container main: " in message for name in pods(shop, "web"))
    assert "exit code 3" in message
    assert steps(run)["Rollout"]["state"] == "Failed"


def test_a_held_run_leaves_later_waves_alone_and_the_old_pods_up_and_the_secret_keeps_the_new_content(shop: Shop) -> None:
    begin(shop, app("Deployment", "web", pod=FRAGILE), app("Deployment", "api"), rollout=in_waves())
    before, later = pods(shop, "web"), pods(shop, "api")
    run = shop.over(change(shop, rollout=in_waves(timeout="4s"), edited="broken"))
    assert ended(run) == "Held"
    assert (mark(shop.kube.get("Deployment", "api")), pods(shop, "api")) == (None, later)
    assert set(before) <= set(pods(shop, "web"))
    assert shop.data()["EDITED"] == "broken"
    assert condition(shop.ready(), "Stalled") == {}
    shop.says("Adopted", "False", "OldPods")


def test_after_a_held_run_the_next_change_starts_anew(shop: Shop) -> None:
    held(shop)
    run = shop.over(change(shop, rollout=in_waves()))
    assert ended(run) == "Adopted"
    assert [one["state"] for one in run["status"]["workloads"]] == ["Adopted", "Adopted"]
    shop.adopted("db")


def test_once_the_workload_is_mended_a_run_with_the_action_rollout_brings_the_rest(shop: Shop) -> None:
    held(shop)
    later = pods(shop, "api")
    shop.kube.apply(app("Deployment", "web", pod=STURDY))
    shop.kube.wait_for("Deployment", "web", lambda seen: seen["status"]["observedGeneration"] == seen["metadata"]["generation"])
    shop.rotating_secret("db", rollout=in_waves(timeout="40s"), target={"template": {"EDITED": "broken"}})
    shop.run("rest", action="Rollout", reason="the start script is mended")
    run = shop.over("rest")
    assert (ended(run), steps(run)["Rotate"]["state"]) == ("Adopted", "Skipped")
    assert not set(later) & set(pods(shop, "api"))
    assert row(run, "Deployment", "web")["restarts"] == 0
    shop.adopted("db")


def test_an_image_that_cannot_be_had_holds_the_wave_and_is_named(shop: Shop) -> None:
    begin(shop, app("Deployment", "web"), app("Deployment", "api"), rollout=in_waves())
    broken = pod_spec()
    broken["containers"][0]["image"] = "nowhere.invalid/web:2"
    shop.kube.apply(app("Deployment", "web", pod=broken))
    run = shop.over(change(shop, rollout=in_waves(timeout="4s")))
    assert ended(run) == "Held"
    waiting = [pod["status"]["containerStatuses"][0]["state"].get("waiting") for pod in shop.kube.list("Pod", labels="app=web")]
    (reason,) = [state["reason"] for state in waiting if state]  # the lab's node has another one than kubelet's ErrImagePull
    assert f"container main: {reason}" in condition(run, "Failed")["message"]
    assert mark(shop.kube.get("Deployment", "api")) is None


def test_of_more_workloads_than_a_record_has_rows_all_are_restarted_and_counted(shop: Shop) -> None:
    names = [f"w{number:03}" for number in range(130)]
    begin(shop, *(app("Deployment", name, replicas=0) for name in names))
    run = shop.over(change(shop), timeout=90)
    assert ended(run) == "Adopted"
    status = run["status"]
    assert (len(status["workloads"]), status["moreWorkloads"], status["adoption"]["workloads"]) == (100, 30, 130)
    assert {mark(one) for one in shop.kube.list("Deployment")} == {f"{shop.current()}.2"}
    assert adoption(shop.adopted("db")) == (0, 0, 130)


def test_a_workload_that_carries_the_mark_before_its_time_is_restarted_by_another_mark(shop: Shop) -> None:
    begin(shop, app("Deployment", "web"))
    annotations = {"keyturn.dev/db": f"{shop.current()}.2"}  # as a restored or copied template might
    shop.kube.patch("Deployment", "web", {"spec": {"template": {"metadata": {"annotations": annotations}}}})
    shop.kube.wait_for(
        "Deployment",
        "web",
        lambda seen: (
            seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
            and (seen["status"]["updatedReplicas"], seen["status"]["replicas"], seen["status"]["availableReplicas"]) == (1, 1, 1)
        ),
    )
    before = pods(shop)
    run = shop.over(change(shop))
    assert (ended(run), row(run, "Deployment", "web")["restarts"]) == ("Adopted", 1)
    assert mark(shop.kube.get("Deployment", "web")) == f"{shop.current()}.2.1"
    assert not set(before) & set(pods(shop))
