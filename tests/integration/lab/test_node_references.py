"""What a pod on the lab's node sees of Secrets, ConfigMaps, its own fields and its service account, at the start and later."""

from __future__ import annotations

import base64
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.eventually import wait_until
from tests.support.kube import Kube, Object
from tests.support.pods import FOREVER, deployment, has_ended, is_running, main_container, pod

from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.node import Node

pytestmark = pytest.mark.usefixtures("node")


def secret(name: str, **data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}  # an apply never removes what was stringData
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def mounting(path: str, **source: object) -> Object:
    """Keyword arguments of `pod` that mount one volume."""
    return {
        "container": {"volumeMounts": [{"name": "volume", "mountPath": path}]},
        "volumes": [{"name": "volume", **source}],
    }


def inside(plane: ControlPlane, kube: Kube, name: str, script: str) -> str:
    return plane.kubectl("-n", kube.namespace, "exec", name, "--", "sh", "-c", script).stdout


def output_of(plane: ControlPlane, kube: Kube, name: str) -> list[str]:
    kube.wait_for("Pod", name, has_ended)
    return plane.kubectl("-n", kube.namespace, "logs", name).stdout.splitlines()


def test_a_changed_secret_reaches_the_mounted_files_by_one_swap_of_a_symlink(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(secret("db", user="one", word="first"))
    kube.apply(pod("reader", FOREVER, **mounting("/etc/db", secret={"secretName": "db"})))
    kube.wait_for("Pod", "reader", is_running)
    script = "readlink /etc/db/..data; readlink /etc/db/user; cat /etc/db/user /etc/db/word"
    before = inside(control_plane, kube, "reader", script).splitlines()
    assert before[1:] == ["..data/user", "onefirst"]
    kube.apply(secret("db", user="two", word="second"))
    wait_until(lambda: inside(control_plane, kube, "reader", "cat /etc/db/user /etc/db/word") == "twosecond", what="the new files")
    assert inside(control_plane, kube, "reader", "readlink /etc/db/..data").strip() != before[0]


def test_a_key_that_goes_takes_its_file_with_it(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(config("settings", kept="1", dropped="2"))
    kube.apply(pod("reader", FOREVER, **mounting("/etc/settings", configMap={"name": "settings"})))
    kube.wait_for("Pod", "reader", is_running)
    assert inside(control_plane, kube, "reader", "ls /etc/settings").split() == ["dropped", "kept"]
    kube.apply(config("settings", kept="1"))
    wait_until(lambda: inside(control_plane, kube, "reader", "ls /etc/settings").split() == ["kept"], what="the file to go")


def test_mounted_files_wait_for_the_delay_that_the_node_is_told(control_plane: ControlPlane, kube: Kube, node: Node) -> None:
    kube.apply(secret("db", user="one"))
    kube.apply(pod("reader", FOREVER, **mounting("/etc/db", secret={"secretName": "db"})))
    kube.wait_for("Pod", "reader", is_running)
    node.change(secret_delay=1.0)
    try:
        changed = time.monotonic()
        kube.apply(secret("db", user="two"))
        wait_until(lambda: inside(control_plane, kube, "reader", "cat /etc/db/user") == "two", what="the new file")
        assert time.monotonic() - changed >= 1.0
    finally:
        node.change(secret_delay=0.07)


def test_environment_variables_are_those_of_the_start(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(secret("db", user="one"))
    container = {"env": [{"name": "DB_USER", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}]}
    both = mounting("/etc/db", secret={"secretName": "db"})
    kube.apply(deployment("app", FOREVER, replicas=1, container={**container, **both.pop("container")}, **both))
    kube.wait_for("Deployment", "app", lambda seen: seen["status"]["availableReplicas"] == 1)
    old = kube.list("Pod")[0]["metadata"]["name"]
    kube.apply(secret("db", user="two"))
    wait_until(lambda: inside(control_plane, kube, old, "cat /etc/db/user") == "two", what="the new file")
    assert inside(control_plane, kube, old, "echo $DB_USER").strip() == "one"
    kube.delete("Pod", old)
    wait_until(lambda: [item for item in kube.list("Pod") if item["metadata"]["name"] != old and is_running(item)], what="a new pod")
    new = next(item["metadata"]["name"] for item in kube.list("Pod") if item["metadata"]["name"] != old)
    assert inside(control_plane, kube, new, "echo $DB_USER").strip() == "two"


def test_env_from_prefixes_expansion_and_arguments(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply([secret("db", user="alice"), config("settings", colour="blue")])
    container = {
        "command": ["sh", "-c", "echo $DB_user $colour $URL $MISSING. $0", "$(URL)"],
        "args": [],
        "envFrom": [
            {"prefix": "DB_", "secretRef": {"name": "db"}},
            {"configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "absent", "optional": True}},
        ],
        "env": [
            {"name": "URL", "value": "db://$(DB_user)/$$(DB_user)/$(UNKNOWN)"},
            {"name": "MISSING", "valueFrom": {"secretKeyRef": {"name": "db", "key": "absent", "optional": True}}},
        ],
    }
    kube.apply(pod("env", "", container=container, restartPolicy="Never"))
    url = "db://alice/$(DB_user)/$(UNKNOWN)"
    assert output_of(control_plane, kube, "env") == [f"alice blue {url} . {url}"]


def test_a_pod_waits_for_a_missing_secret_and_starts_when_it_comes(kube: Kube) -> None:
    kube.apply(pod("early", FOREVER, **mounting("/etc/db", secret={"secretName": "late", "items": [{"key": "user", "path": "who"}]})))
    waiting = kube.wait_for("Pod", "early", lambda seen: 'secret "late" not found' in main_container(seen)["state"]["waiting"]["message"])
    assert waiting["status"]["phase"] == "Pending"
    kube.apply(secret("late", other="x"))
    kube.wait_for("Pod", "early", lambda seen: "non-existent key: user" in main_container(seen)["state"]["waiting"]["message"])
    kube.apply(secret("late", user="alice"))
    kube.wait_for("Pod", "early", is_running)


def test_projected_volumes_bring_items_modes_and_the_downward_api_together(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply([secret("db", user="alice", other="x"), config("settings", colour="blue")])
    sources = [
        {"secret": {"name": "db", "items": [{"key": "user", "path": "deep/er/who", "mode": 0o400}]}},
        {"configMap": {"name": "settings"}},
        {"configMap": {"name": "absent", "optional": True}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    script = "cd /all; find -L . -type f -not -path '*/..*' | sort; stat -L -c %a deep/er/who colour; cat deep/er/who; cat labels"
    item = pod("all", script, restartPolicy="Never", **mounting("/all", projected={"sources": sources, "defaultMode": 0o640}))
    item["metadata"]["labels"] = {"tier": "db"}
    kube.apply(item)
    expected = ["./colour", "./deep/er/who", "./labels", "400", "640", 'alicetier="db"']
    assert output_of(control_plane, kube, "all") == expected


def test_a_sub_path_is_one_file_that_never_changes(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(secret("db", user="one"))
    mounts = [
        {"name": "volume", "mountPath": "/etc/keyturn-test/user.txt", "subPath": "user"},
        {"name": "volume", "mountPath": "/etc/whole"},
    ]
    kube.apply(pod("part", FOREVER, container={"volumeMounts": mounts}, volumes=[{"name": "volume", "secret": {"secretName": "db"}}]))
    kube.wait_for("Pod", "part", is_running)
    kube.apply(secret("db", user="two"))
    wait_until(lambda: inside(control_plane, kube, "part", "cat /etc/whole/user") == "two", what="the whole volume to change")
    assert inside(control_plane, kube, "part", "cat /etc/keyturn-test/user.txt") == "one"


def test_labels_in_a_volume_follow_the_pod(control_plane: ControlPlane, kube: Kube) -> None:
    items = [{"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}}]
    kube.apply(pod("noted", FOREVER, **mounting("/info", downwardAPI={"items": items})))
    kube.wait_for("Pod", "noted", is_running)
    kube.patch("Pod", "noted", {"metadata": {"annotations": {"note": "changed"}}})
    wait_until(lambda: inside(control_plane, kube, "noted", "cat /info/note") == "changed", what="the annotation")


def test_volumes_of_secrets_cannot_be_written_and_empty_ones_can(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(secret("db", user="one"))
    mounts = [{"name": "db", "mountPath": "/etc/db"}, {"name": "scratch", "mountPath": "/tmp"}]
    volumes = [{"name": "db", "secret": {"secretName": "db"}}, {"name": "scratch", "emptyDir": {}}]
    strict = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"volumeMounts": mounts, "securityContext": strict}
    script = "touch /etc/db/new || echo refused; touch /tmp/new && echo written"
    kube.apply(pod("writer", script, container=container, restartPolicy="Never", volumes=volumes))
    assert output_of(control_plane, kube, "writer")[-2:] == ["refused", "written"]


def test_no_pod_ever_writes_to_the_machine(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(config("settings", colour="blue"))
    parts = mounting("/keyturn-test/a", configMap={"name": "settings"})
    kube.apply(pod("mounter", "cat /keyturn-test/a/colour", restartPolicy="Never", **parts))
    assert output_of(control_plane, kube, "mounter") == ["blue"]
    assert not Path("/keyturn-test").exists()


IN_CLUSTER = """
import sys
from kubernetes import client, config
config.load_incluster_config()
api = client.CoreV1Api()
namespace = open("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read()
print(len(api.list_namespaced_config_map(namespace).items))
try:
    api.list_namespaced_secret(namespace)
except client.ApiException as error:
    print(error.status)
"""

KOPF = """
import kopf
@kopf.on.event("configmaps")
def seen(name, **_):
    print("seen", name, flush=True)
"""


@pytest.fixture
def reader(kube: Kube) -> Iterator[None]:
    """The default service account may list and watch what kopf looks at; not Secrets."""
    name = kube.namespace
    kube.apply(f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules:
- {{apiGroups: [""], resources: [configmaps, namespaces], verbs: [list, watch]}}
- {{apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}
subjects: [{{kind: ServiceAccount, name: default, namespace: {name}}}]
""")
    yield
    kube.delete("ClusterRoleBinding", name)
    kube.delete("ClusterRole", name)


@pytest.mark.usefixtures("reader")
def test_a_client_in_a_pod_may_what_rbac_gives_its_service_account(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(pod("client", "", container={"image": "python", "args": ["-c", IN_CLUSTER]}, restartPolicy="Never"))
    assert output_of(control_plane, kube, "client") == ["1", "403"]


@pytest.mark.usefixtures("reader")
def test_kopf_logs_in_by_itself_in_a_pod(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply(config("program", **{"handlers.py": textwrap.dedent(KOPF)}))
    command = ["python", "-m", "kopf", "run", "--namespace", kube.namespace, "--standalone", "/program/handlers.py"]
    parts = mounting("/program", configMap={"name": "program"})
    kube.apply(pod("kopf", "", container={"image": "python", "command": command, "args": [], **parts.pop("container")}, **parts))

    def said() -> str:
        return control_plane.kubectl("-n", kube.namespace, "logs", "kopf", check=False).stdout

    wait_until(lambda: "seen program" in said(), what="kopf to see an event")


def test_a_pod_without_its_service_accounts_token_is_anonymous(control_plane: ControlPlane, kube: Kube) -> None:
    script = "ls /var/run/secrets/kubernetes.io 2>/dev/null || echo none; echo ${KUBECONFIG:-none}"
    kube.apply(pod("bare", script, restartPolicy="Never", automountServiceAccountToken=False))
    assert output_of(control_plane, kube, "bare") == ["none", "none"]


def test_values_stay_out_of_statuses_events_and_the_nodes_own_log(kube: Kube, node: Node) -> None:
    canary = base64.b32encode(kube.namespace.encode()).decode()
    kube.apply(secret("db", user=canary))
    container = {"env": [{"name": "DB", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}], "args": ["exit 1"]}
    parts = mounting("/etc/db", secret={"secretName": "db"})
    kube.apply(pod("quiet", "", container={**container, **parts.pop("container")}, **parts))
    kube.wait_for("Pod", "quiet", lambda seen: main_container(seen)["restartCount"] >= 1)
    kube.apply(secret("db", other=canary))
    kube.wait_for("Pod", "quiet", lambda seen: "couldn't find key" in main_container(seen)["state"]["waiting"]["message"])
    written = [kube.get("Pod", "quiet"), kube.list("Event"), (node.directory / "node.log").read_text()]
    assert canary not in str(written)
