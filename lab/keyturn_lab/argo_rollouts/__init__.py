"""Argo Rollouts on the lab's control plane: its real CRDs and its real controller, built once per user from its pinned Go module.

`with ArgoRollouts(cluster):` installs the kinds and runs the controller until the end. An operator that is to see Rollouts starts after it.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_lab.controlplane.binaries import Module, cache_root, complete, digest
from keyturn_lab.controlplane.build import build
from keyturn_lab.controlplane.cluster import Cluster
from keyturn_lab.controlplane.golang import find_go
from keyturn_lab.ports import free_ports
from keyturn_lab.processes import ChildProcess, wait_until

PROGRAM = "rollouts-controller"
SOURCE = "github.com/argoproj/argo-rollouts"
MODULE = Module(
    directory=Path(__file__).parent / "modules" / "argo_rollouts",
    flags=("-ldflags=-s -w",),
    packages={PROGRAM: f"{SOURCE}/cmd/rollouts-controller"},
)
READY_WITHIN = 60.0  # seconds; on a quiet machine it takes five


class ArgoRollouts:
    """The kinds and the controller of Argo Rollouts on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        controller = program()
        crds = [argument for path in crd_files() for argument in ("-f", str(path))]
        self._cluster.kubectl("apply", "--server-side", *crds)
        self._cluster.kubectl("wait", "--for=condition=Established", *crds)
        health, metrics = free_ports(2)
        arguments = [
            f"--kubeconfig={self._cluster.kubeconfig}",
            "--leader-elect=false",
            f"--healthzPort={health}",
            f"--metricsPort={metrics}",
        ]
        process = ChildProcess(PROGRAM, [str(controller), *arguments], log=self._cluster.directory / f"{PROGRAM}.log")
        self._cleanup.callback(process.stop)
        process.start()
        wait_until(lambda: _answers(health), timeout=READY_WITHIN, waiting_for=process)


def program() -> Path:
    """The controller's program; built where the user's cache does not have it, which takes minutes."""
    directory = cache_root() / digest([MODULE])
    if not complete(directory, [MODULE]):
        build(directory, [MODULE])
    return directory / PROGRAM


def crd_files() -> list[Path]:
    """The CRDs as the pinned module brings them."""
    command = [str(find_go(cache_root())), "mod", "download", "-json", SOURCE]
    environment = os.environ | {"GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        command, cwd=MODULE.directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    found = sorted(Path(json.loads(answer.stdout)["Dir"], "manifests", "crds").glob("*-crd.yaml"))
    if not found:
        raise LookupError(f"{SOURCE} holds no manifests/crds")
    return found


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
