"""The process of the lab's node: it takes its pods with it, lives beside others, and survives an API server that does not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object, condition
from tests.support.lab import running_node
from tests.support.pods import ATTENTIVE, FOREVER, has_ended, is_running, pod

from keyturn_lab.controlplane import ApiError, Client, ControlPlane
from keyturn_lab.controlplane.certificates import KeyPair
from keyturn_lab.controlplane.client import Credentials
from keyturn_lab.node import Mode, Node
from keyturn_lab.node.node import processes_marked
from keyturn_lab.node.settings import Tunables, image_name


@pytest.fixture(scope="module")
def own_plane() -> Iterator[ControlPlane]:
    """A control plane whose nodes come and go."""
    with ControlPlane() as plane:
        yield plane


def on(node: Node, item: Object) -> Object:
    """The pod bound to that node, past the scheduler."""
    item["spec"]["nodeName"] = node.name
    return item


def sleepers(mark: str) -> list[int]:
    """The processes that run `sleep` for that unusual number of seconds."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{mark}\0".encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_of_a_pod_outlives_its_node_however_that_ends(own_plane: ControlPlane, number: signal.Signals) -> None:
    kube, mark = Kube(own_plane.client), f"{time.time_ns() % 10**7 + 10**7}.{number.value}"
    with Node(own_plane, name=f"doomed-{number.value}", images={"sh": ["/bin/sh", "-c"]}) as node:
        script = f"setsid sleep {mark} & sleep {mark} & trap '' TERM; {ATTENTIVE}"
        kube.apply(on(node, pod("escapist", script, terminationGracePeriodSeconds=60)))
        kube.wait_for("Pod", "escapist", is_running)
        wait_until(lambda: len(sleepers(mark)) == 2, what="what it starts")
        os.kill(node.pid, number)
    assert sleepers(mark) == []
    kube.delete("Pod", "escapist", grace=0)


def test_what_a_container_leaves_behind_ends_with_it(kube: Kube, node: Node) -> None:
    mark = f"{time.time_ns() % 10**7 + 10**7}.0"
    kube.apply(pod("litter", f"sleep {mark} & echo $!", restartPolicy="Never"))
    kube.wait_for("Pod", "litter", has_ended)
    assert [file.read_text() for file in node.logs.glob(f"{kube.namespace}_litter_*.log")] != [""]
    assert sleepers(mark) == []


def test_a_node_that_is_started_again_runs_its_pods_again_at_their_addresses(own_plane: ControlPlane) -> None:
    kube = Kube(own_plane.client)
    with Node(own_plane, name="phoenix", images={"sh": ["/bin/sh", "-c"]}) as node:
        kube.apply(on(node, pod("again", FOREVER)))
        before = kube.wait_for("Pod", "again", is_running)["status"]
    with Node(own_plane, name="phoenix", images={"sh": ["/bin/sh", "-c"]}):
        after = kube.wait_for("Pod", "again", lambda seen: seen["status"]["containerStatuses"][0]["restartCount"] == 1)["status"]
        kube.wait_for("Pod", "again", is_running)
        assert after["podIP"] == before["podIP"]
        kube.delete("Pod", "again")
        kube.wait_gone("Pod", "again")


def test_pods_run_on_while_the_api_server_is_away_and_what_happened_is_told_later(own_plane: ControlPlane) -> None:
    kube = Kube(own_plane.client)
    with Node(own_plane, name="patient", images={"sh": ["/bin/sh", "-c"]}) as node:
        kube.apply([on(node, pod("steady", FOREVER)), on(node, pod("ends", "sleep 1; echo done", restartPolicy="Never"))])
        kube.wait_for("Pod", "steady", is_running)
        kube.wait_for("Pod", "ends", is_running)
        own_plane.stop_apiserver()
        wait_until(lambda: any("done" in file.read_text() for file in node.logs.glob("*_ends_*.log")), what="the end of a pod")
        own_plane.start_apiserver()
        assert kube.wait_for("Pod", "ends", has_ended)["status"]["phase"] == "Succeeded"
        steady = kube.get("Pod", "steady")["status"]["containerStatuses"][0]
        assert (steady["restartCount"], "running" in steady["state"]) == (0, True)
        kube.delete("Pod", "steady")
        kube.wait_gone("Pod", "steady")
        kube.delete("Pod", "ends")


def test_two_nodes_share_nothing(own_plane: ControlPlane) -> None:
    kube = Kube(own_plane.client)
    with running_node(own_plane) as one, Node(own_plane, name="other", images={"sh": ["/bin/sh", "-c"]}) as two:
        for node in (one, two):
            kube.apply(on(node, pod(f"on-{node.name}", FOREVER)))
        addresses = [kube.wait_for("Pod", f"on-{node.name}", is_running)["status"]["podIP"] for node in (one, two)]
        assert len({address.split(".")[1] for address in addresses}) == 2
        assert own_plane.kubectl("exec", f"on-{two.name}", "--", "echo", "there").stdout == "there\n"
        for node in (one, two):
            kube.delete("Pod", f"on-{node.name}", grace=0)


READ = """
import os
from kubernetes import client, config
config.load_config()
try:
    client.CoreV1Api().list_namespaced_secret("default")
except client.ApiException as error:
    print(open("/etc/keyturn-test/colour").read(), error.status)
"""


@pytest.mark.parametrize("mode", [Mode.USER_NAMESPACE, Mode.REWRITE])
def test_a_pod_has_its_files_and_its_identity_in_the_lesser_modes_too(own_plane: ControlPlane, mode: Mode) -> None:
    kube, name = Kube(own_plane.client), f"reader-{mode.value}"
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "blue"}})
    kube.wait_for("ServiceAccount", "default", lambda seen: True)
    with Node(own_plane, name=f"node-{mode.value}", images={"python": [sys.executable]}, mounts=mode) as node:
        assert node.mode is mode
        mount = {"volumeMounts": [{"name": "settings", "mountPath": "/etc/keyturn-test"}]}
        container = {"image": "python", "args": ["-c", READ], **mount}
        volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
        kube.apply(on(node, pod(name, "", container=container, volumes=volumes, restartPolicy="Never")))
        kube.wait_for("Pod", name, has_ended)
        assert own_plane.kubectl("logs", name).stdout.splitlines()[-1] == "blue 403"
        kube.delete("Pod", name, grace=0)


def test_the_node_may_not_read_what_none_of_its_pods_refers_to(own_plane: ControlPlane) -> None:
    kube = Kube(own_plane.client)
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "strange"}})
    with Node(own_plane, name="curious"):
        pair = KeyPair(own_plane.directory / "pki" / "node-curious.crt", own_plane.directory / "pki" / "node-curious.key")
        client = Client(own_plane.url, ca=own_plane.ca, credentials=Credentials(certificate=pair))
        with pytest.raises(ApiError, match=r"403.*system:node:curious"):
            client.request("GET", "/api/v1/namespaces/default/secrets/strange")
        client.close()


def test_images_are_found_by_their_full_name_or_its_last_part_whatever_tag_or_digest() -> None:
    tunables = Tunables().changed(images={"python": ["py"], "registry:5000/team/python": ["special"]})
    assert image_name("registry:5000/team/app:1.2@sha256:abc") == "registry:5000/team/app"
    assert tunables.entrypoint("python:3.11") == ["py"]
    assert tunables.entrypoint("docker.example/library/python@sha256:abc") == ["py"]
    assert tunables.entrypoint("registry:5000/team/python:2") == ["special"]
    assert tunables.entrypoint("registry:5000/team/other:2") is None


def test_an_image_that_is_added_later_starts_the_pod_that_waits_for_it(kube: Kube, node: Node) -> None:
    kube.apply(pod("later", FOREVER, container={"image": f"{kube.namespace}:1"}))
    kube.wait_for(
        "Pod", "later", lambda seen: "stands for no program" in seen["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    )
    node.change(images={kube.namespace: ["/bin/sh", "-c"]})
    kube.wait_for("Pod", "later", is_running)


def test_a_node_says_that_it_is_ready_and_renews_its_lease(node: Node, kube: Kube) -> None:
    assert condition(kube.get("Node", node.name), "Ready")["status"] == "True"
    lease = kube.get("Lease", node.name, namespace="kube-node-lease")["spec"]
    kube.wait_for("Lease", node.name, lambda seen: seen["spec"]["renewTime"] > lease["renewTime"], namespace="kube-node-lease")


def test_processes_are_found_by_their_mark_alone() -> None:
    assert processes_marked("nobody-has-this") == []
