"""The command lines of the control plane's parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keyturn_lab.controlplane.certificates import KeyPair

UNROUTABLE = "192.0.2.2"
"""An address of TEST-NET-1: the API server refuses to advertise a loopback one, and nothing ever connects to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One loopback port for each part, etcd's two."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The generated files that the parts read."""

    directory: Path
    ca: Path
    serving: KeyPair
    node_client: KeyPair
    service_accounts: KeyPair
    tokens: Path
    controller_manager_kubeconfig: Path
    scheduler_kubeconfig: Path


def etcd(ports: Ports, files: Files) -> list[str]:
    """Without fsync: the data is thrown away with the lab."""
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={files.directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def apiserver(ports: Ports, files: Files) -> list[str]:
    """RBAC and Node authorisation; calls to the node verified in both directions."""
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--advertise-address={UNROUTABLE}",
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports.apiserver}",
        f"--tls-cert-file={files.serving.certificate}",
        f"--tls-private-key-file={files.serving.key}",
        f"--client-ca-file={files.ca}",
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={files.node_client.certificate}",
        f"--kubelet-client-key={files.node_client.key}",
        f"--kubelet-certificate-authority={files.ca}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.service_accounts.certificate}",
        f"--service-account-signing-key-file={files.service_accounts.key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def controller_manager(ports: Ports, files: Files) -> list[str]:
    """Its own rate limit of 20 calls a second would make every test that deletes many pods wait."""
    return [
        f"--kubeconfig={files.controller_manager_kubeconfig}",
        f"--service-account-private-key-file={files.service_accounts.key}",
        f"--root-ca-file={files.ca}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.controller_manager}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]


def scheduler(ports: Ports, files: Files) -> list[str]:
    """The stock profile."""
    return [
        f"--kubeconfig={files.scheduler_kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.scheduler}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]
