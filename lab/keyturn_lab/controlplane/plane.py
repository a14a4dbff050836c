"""A real Kubernetes control plane for one lab: etcd, kube-apiserver, kube-controller-manager and kube-scheduler on free loopback ports."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_lab.controlplane import binaries, build, components, kubeconfig
from keyturn_lab.controlplane.binaries import Log
from keyturn_lab.controlplane.certificates import Authority, KeyPair, write_signing_key
from keyturn_lab.controlplane.cluster import Cluster, ExistingCluster, admin_client
from keyturn_lab.ports import free_ports
from keyturn_lab.processes import ChildProcess, wait_until

READY_SECONDS = 90.0
APISERVER_GRACE_SECONDS = 1.0
"""It would wait for its watches to end by themselves, which those of the other parts do not."""
CONTROLLER_MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"


class ControlPlane(Cluster):
    """Start on entering, stop on leaving; every lab has its own ports, certificates and tokens.

    `workdir` holds logs and generated files and is kept; without one, a temporary directory is used, and kept only when the body fails.
    """

    def __init__(self, workdir: Path | None = None, *, log: Log = print) -> None:
        self._workdir, self._log = workdir, log
        self._parts: dict[str, ChildProcess] = {}

    @staticmethod
    def existing(path: Path) -> Cluster:
        """The same interface to a cluster of the user's own, whose kubeconfig this is."""
        own = shutil.which("kubectl")
        kubectl = Path(own) if own else binaries.find(build=build.build) / "kubectl"
        return ExistingCluster(path, directory=Path(tempfile.mkdtemp(prefix="keyturn-lab-")), kubectl=kubectl)

    def __enter__(self) -> Self:
        programs = binaries.find(build=build.build, log=self._log)
        self.directory = (self._workdir or Path(tempfile.mkdtemp(prefix="keyturn-lab-"))).resolve()
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._prepare(programs)
            self._start()
        except BaseException:
            self._stop(keep_logs=True)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop(keep_logs=error is not None)

    def stop_apiserver(self) -> None:
        """The other parts keep running, and keep trying to reach it."""
        self._parts["kube-apiserver"].stop(grace=APISERVER_GRACE_SECONDS)

    def start_apiserver(self) -> None:
        """On the same port and data as before."""
        self._parts["kube-apiserver"].start()
        self._await_apiserver()

    def restart_apiserver(self) -> None:
        """Stop and start; returns when it is ready again."""
        self.stop_apiserver()
        self.start_apiserver()

    def issue_certificate(self, file: str, *, common_name: str, organization: str | None = None, hosts: Sequence[str] = ()) -> KeyPair:
        """A certificate that this control plane trusts, e.g. a node's."""
        return self._authority.issue(file, common_name=common_name, organization=organization, hosts=hosts)

    def _prepare(self, programs: Path) -> None:
        names = ("etcd", "etcd_peer", "apiserver", "controller_manager", "scheduler")
        ports = components.Ports(**dict(zip(names, free_ports(len(names)), strict=True)))
        pki = self.directory / "pki"
        pki.mkdir(exist_ok=True, mode=0o700)
        self._authority = Authority(pki)
        self._admin_token = secrets.token_urlsafe(24)
        self._kubectl = programs / "kubectl"
        self.ca, self.url = self._authority.certificate, f"https://127.0.0.1:{ports.apiserver}"
        self.kubeconfig = self._write_kubeconfig("kubeconfig", "admin", self._admin_token)
        self.client = admin_client(self.url, self.ca, self._admin_token)
        files = self._write_files(pki)
        environment = {"PATH": os.defpath, "HOME": str(self.directory)}  # etcd would take its settings from ours
        self._parts = {
            name: ChildProcess(
                name, [str(programs / name), *flags], log=self.directory / f"{name}.log", cwd=self.directory, env=environment
            )
            for name, flags in (
                ("etcd", components.etcd(ports, files)),
                ("kube-apiserver", components.apiserver(ports, files)),
                ("kube-controller-manager", components.controller_manager(ports, files)),
                ("kube-scheduler", components.scheduler(ports, files)),
            )
        }

    def _write_files(self, pki: Path) -> components.Files:
        controller_manager, scheduler = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        tokens = pki / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(
            f"{self._admin_token},admin,admin,system:masters\n"
            f"{controller_manager},{CONTROLLER_MANAGER},{CONTROLLER_MANAGER}\n"
            f"{scheduler},{SCHEDULER},{SCHEDULER}\n"
        )
        hosts = ["127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"]
        return components.Files(
            directory=self.directory,
            ca=self.ca,
            serving=self._authority.issue("apiserver", common_name="kube-apiserver", hosts=hosts),
            node_client=self._authority.issue("apiserver-to-node", common_name="kube-apiserver", organization="system:masters"),
            service_accounts=write_signing_key(pki, "service-accounts"),
            tokens=tokens,
            controller_manager_kubeconfig=self._write_kubeconfig("pki/controller-manager", CONTROLLER_MANAGER, controller_manager),
            scheduler_kubeconfig=self._write_kubeconfig("pki/scheduler", SCHEDULER, scheduler),
        )

    def _write_kubeconfig(self, file: str, user: str, token: str) -> Path:
        return kubeconfig.write(self.directory / file, url=self.url, ca=self.ca, token=token, user=user)

    def _start(self) -> None:
        started = time.monotonic()
        controller_manager = self._parts["kube-controller-manager"]
        for part in self._parts.values():
            if part is not controller_manager:
                part.start()
        self._await_apiserver()
        controller_manager.start()  # not before: it gives the API server 20 seconds to be healthy, and ends
        wait_until(
            lambda: self.client.answers("/api/v1/namespaces/default/serviceaccounts/default"),
            timeout=READY_SECONDS,
            waiting_for=controller_manager,
            others=self._parts.values(),
        )
        self._log(f"control plane ready in {time.monotonic() - started:.1f} s at {self.url}")

    def _await_apiserver(self) -> None:
        wait_until(
            lambda: self.client.answers("/readyz"),
            timeout=READY_SECONDS,
            waiting_for=self._parts["kube-apiserver"],
            others=self._parts.values(),
        )

    def _stop(self, *, keep_logs: bool) -> None:
        if self._parts:
            self.client.close()
        for part in reversed(self._parts.values()):
            if part.name != "etcd":  # the others talk to it until they end
                part.ask_to_stop()
        for part in reversed(self._parts.values()):
            part.stop(grace=APISERVER_GRACE_SECONDS)
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)
        shutil.rmtree(self.directory / "pki", ignore_errors=True)
        if keep_logs:
            self._log(f"the control plane's logs are in {self.directory}")
        elif self._workdir is None:
            shutil.rmtree(self.directory, ignore_errors=True)
