"""The lab's node runs what the control plane schedules: rollouts, Jobs, init containers, probes, restarts and endings."""

from __future__ import annotations

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object, condition
from tests.support.pods import ATTENTIVE, FOREVER, deployment, has_ended, is_running, main_container, pod

from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node

pytestmark = pytest.mark.usefixtures("node")


def log_of(plane: ControlPlane, kube: Kube, *args: str) -> str:
    return plane.kubectl("-n", kube.namespace, "logs", *args).stdout


def test_a_deployment_becomes_available_and_each_pod_has_an_address_of_its_own(kube: Kube) -> None:
    kube.apply(deployment("web", FOREVER, replicas=3))
    kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 3)
    addresses = {item["status"]["podIP"] for item in kube.list("Pod", labels="app=web")}
    assert len(addresses) == 3
    assert all(address.startswith("127.") for address in addresses)


def test_a_rollout_replaces_every_pod(kube: Kube) -> None:
    kube.apply(deployment("web", FOREVER, replicas=2))
    kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 2)
    before = {item["metadata"]["uid"] for item in kube.list("Pod")}
    kube.patch("Deployment", "web", {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}})

    def over(seen: Object) -> bool:
        status = seen["status"]
        current = status["observedGeneration"] == seen["metadata"]["generation"]
        return bool(current and status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 2)

    kube.wait_for("Deployment", "web", over)
    wait_until(lambda: len(kube.list("Pod")) == 2, what="the old pods to be gone")
    assert before.isdisjoint(item["metadata"]["uid"] for item in kube.list("Pod"))


def test_a_rollout_whose_pods_never_get_ready_keeps_the_old_ones(kube: Kube) -> None:
    probe = {"readinessProbe": {"exec": {"command": ["sh", "-c", 'test "$VERSION" = good']}, "periodSeconds": 1}}
    good = {**probe, "env": [{"name": "VERSION", "value": "good"}]}
    kube.apply(deployment("web", FOREVER, replicas=1, container=good))
    kube.wait_for("Deployment", "web", lambda seen: seen["status"]["availableReplicas"] == 1)
    kube.apply(deployment("web", FOREVER, replicas=1, container={**probe, "env": [{"name": "VERSION", "value": "bad"}]}))
    wait_until(lambda: len([item for item in kube.list("Pod") if item["status"].get("phase") == "Running"]) == 2, what="the new pod")
    assert sorted(condition(item, "Ready")["status"] for item in kube.list("Pod")) == ["False", "True"]


def test_jobs_succeed_and_fail_by_the_exit_code_of_their_pods(kube: Kube) -> None:
    for name, code in (("good", 0), ("bad", 3)):
        template = {"spec": {"restartPolicy": "Never", **pod(name, f"exit {code}")["spec"]}}
        spec = {"backoffLimit": 0, "template": template}
        kube.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})
    kube.wait_for("Job", "good", lambda seen: condition(seen, "Complete")["status"] == "True")
    kube.wait_for("Job", "bad", lambda seen: condition(seen, "Failed")["status"] == "True")
    failed = kube.list("Pod", labels="job-name=bad")
    assert [main_container(item)["state"]["terminated"]["exitCode"] for item in failed] == [3]


def test_init_containers_run_one_after_the_other_before_the_container(control_plane: ControlPlane, kube: Kube) -> None:
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    kube.apply(
        pod(
            "staged",
            "cat /shared/steps",
            container=mount,
            restartPolicy="Never",
            volumes=[{"name": "shared", "emptyDir": {}}],
            initContainers=[{"name": f"step{i}", "image": "sh", "args": [f"echo step {i} >> /shared/steps"], **mount} for i in (1, 2)],
        )
    )
    kube.wait_for("Pod", "staged", has_ended)
    assert log_of(control_plane, kube, "staged", "-c", "main") == "step 1\nstep 2\n"


def test_a_failed_init_container_of_a_pod_that_never_restarts_fails_the_pod(kube: Kube) -> None:
    kube.apply(pod("doomed", FOREVER, restartPolicy="Never", initContainers=[{"name": "first", "image": "sh", "args": ["exit 1"]}]))
    seen = kube.wait_for("Pod", "doomed", has_ended)
    assert seen["status"]["phase"] == "Failed"
    assert "waiting" in main_container(seen)["state"]


def test_a_container_that_ends_is_restarted_with_back_off_and_its_previous_log_kept(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(pod("crash", "echo said before; exit 7"))
    seen = kube.wait_for("Pod", "crash", lambda seen: main_container(seen)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert main_container(seen)["lastState"]["terminated"]["exitCode"] == 7
    kube.wait_for("Pod", "crash", lambda seen: main_container(seen)["restartCount"] >= 2)
    assert log_of(control_plane, kube, "crash", "--previous") == "said before\n"


def test_a_pod_that_restarts_on_failure_ends_when_a_run_succeeds(kube: Kube) -> None:
    script = "test -e /seen/before || { touch /seen/before; exit 1; }"
    mount = {"volumeMounts": [{"name": "seen", "mountPath": "/seen"}]}
    kube.apply(pod("second", script, container=mount, restartPolicy="OnFailure", volumes=[{"name": "seen", "emptyDir": {}}]))
    seen = kube.wait_for("Pod", "second", has_ended)
    assert (seen["status"]["phase"], main_container(seen)["restartCount"]) == ("Succeeded", 1)


def test_deletion_asks_with_sigterm_and_waits_for_the_answer(control_plane: ControlPlane, kube: Kube, node: Node) -> None:
    kube.apply(pod("polite", f"trap 'echo asked; exit 0' TERM; echo up; {ATTENTIVE}", terminationGracePeriodSeconds=30))
    kube.wait_for("Pod", "polite", is_running)
    wait_until(lambda: log_of(control_plane, kube, "polite") == "up\n", what="the trap to be set")
    kube.delete("Pod", "polite")
    kube.wait_gone("Pod", "polite")
    assert [file.read_text() for file in node.logs.glob(f"{kube.namespace}_polite_*.log")] == ["up\nasked\n"]


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(pod("stubborn", f"trap '' TERM; echo up; {ATTENTIVE}"))
    wait_until(lambda: kube.find("Pod", "stubborn") and is_running(kube.get("Pod", "stubborn")), what="the pod")
    wait_until(lambda: log_of(control_plane, kube, "stubborn") == "up\n", what="the trap to be set")
    kube.delete("Pod", "stubborn")
    assert kube.get("Pod", "stubborn")["metadata"]["deletionTimestamp"]
    kube.wait_gone("Pod", "stubborn")


def test_a_tcp_or_http_readiness_probe_asks_at_the_address_of_the_pod(kube: Kube) -> None:
    serve = "import http.server as h, os; h.HTTPServer((os.environ['IP'], 8080), h.SimpleHTTPRequestHandler).serve_forever()"
    for name, probe in (("http", {"httpGet": {"path": "/", "port": "web"}}), ("tcp", {"tcpSocket": {"port": 8080}})):
        container = {
            "image": "python",
            "args": ["-c", serve],
            "ports": [{"name": "web", "containerPort": 8080}],
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "readinessProbe": probe,
        }
        kube.apply(pod(name, "", container=container))
    for name in ("http", "tcp"):
        kube.wait_for("Pod", name, is_running)


def test_readiness_comes_and_goes_with_its_probe(control_plane: ControlPlane, kube: Kube) -> None:
    probe = {"exec": {"command": ["test", "-e", "/state/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"readinessProbe": probe, "volumeMounts": [{"name": "state", "mountPath": "/state"}]}
    kube.apply(pod("moody", FOREVER, container=container, volumes=[{"name": "state", "emptyDir": {}}]))
    kube.wait_for("Pod", "moody", lambda seen: main_container(seen)["started"] and condition(seen, "Ready")["status"] == "False")
    control_plane.kubectl("-n", kube.namespace, "exec", "moody", "--", "touch", "/state/ready")
    kube.wait_for("Pod", "moody", is_running)
    control_plane.kubectl("-n", kube.namespace, "exec", "moody", "--", "rm", "/state/ready")
    kube.wait_for("Pod", "moody", lambda seen: condition(seen, "Ready")["status"] == "False")


def test_a_failed_liveness_probe_restarts_the_container(kube: Kube) -> None:
    probe = {"livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}}
    kube.apply(pod("sick", f"trap 'exit 0' TERM; {ATTENTIVE}", container=probe))
    kube.wait_for("Pod", "sick", lambda seen: main_container(seen)["restartCount"] >= 1)


def test_a_container_is_not_ready_before_its_startup_probe_passes(control_plane: ControlPlane, kube: Kube) -> None:
    probe = {"exec": {"command": ["test", "-e", "/state/started"]}, "periodSeconds": 1, "failureThreshold": 60}
    container = {"startupProbe": probe, "volumeMounts": [{"name": "state", "mountPath": "/state"}]}
    kube.apply(pod("slow", FOREVER, container=container, volumes=[{"name": "state", "emptyDir": {}}]))
    seen = kube.wait_for("Pod", "slow", lambda seen: seen["status"]["phase"] == "Running")
    assert (main_container(seen)["started"], main_container(seen)["ready"]) == (False, False)
    control_plane.kubectl("-n", kube.namespace, "exec", "slow", "--", "touch", "/state/started")
    kube.wait_for("Pod", "slow", is_running)


def test_a_readiness_gate_holds_the_pod_back(kube: Kube) -> None:
    kube.apply(pod("gated", FOREVER, readinessGates=[{"conditionType": "example.org/checked"}]))
    kube.wait_for("Pod", "gated", lambda seen: condition(seen, "ContainersReady")["status"] == "True")
    assert not is_running(kube.get("Pod", "gated"))
    conditions = [*kube.get("Pod", "gated")["status"]["conditions"], {"type": "example.org/checked", "status": "True"}]
    kube.patch("Pod", "gated", {"status": {"conditions": conditions}}, subresource="status")
    kube.wait_for("Pod", "gated", is_running)


def test_logs_follow_until_the_container_ends(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(pod("talker", "echo one; sleep 0.5; echo two", restartPolicy="Never"))
    kube.wait_for("Pod", "talker", lambda seen: seen["status"]["phase"] != "Pending")
    assert log_of(control_plane, kube, "-f", "talker") == "one\ntwo\n"
    assert log_of(control_plane, kube, "talker", "--tail=1") == "two\n"


def test_exec_carries_input_output_and_the_exit_code(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(pod("shell", FOREVER))
    kube.wait_for("Pod", "shell", is_running)
    command = ("-n", kube.namespace, "exec", "-i", "shell", "--", "sh", "-c", "cat; echo problem >&2; exit 7")
    done = control_plane.kubectl(*command, input="hello", check=False)
    assert (done.returncode, done.stdout) == (7, "hello")
    assert "problem" in done.stderr


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}, "lifecycle preStop"),
        ({"image": "registry.example:5000/unknown/thing:1"}, "stands for no program"),
        ({"envFrom": [{"secretRef": {"name": "later"}}]}, 'secret "later" not found'),
    ],
)
def test_a_pod_that_cannot_start_stays_pending_with_a_reason_and_one_event(container: Object, reason: str, kube: Kube) -> None:
    kube.apply(pod("stuck", FOREVER, container=container))
    seen = kube.wait_for("Pod", "stuck", lambda seen: reason in main_container(seen)["state"]["waiting"]["message"])
    assert seen["status"]["phase"] == "Pending"
    assert main_container(seen)["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    wait_until(lambda: kube.list("Event", fields="involvedObject.name=stuck,type=Warning"), what="the event")
    assert len(kube.list("Event", fields="involvedObject.name=stuck,type=Warning")) == 1
