"""Argo Rollouts on the lab's control plane: its real CRDs and its real controller, built once per user from its pinned Go module.

`with ArgoRollouts(cluster):` installs the kinds and runs the controller until the end. An operator that is to see Rollouts starts after it.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from keyturn_lab.controlplane.binaries import Module, cache_root
from keyturn_lab.controlplane.cluster import Cluster
from keyturn_lab.controlplane.golang import find_go
from keyturn_lab.go_programs import program
from keyturn_lab.parts import Part
from keyturn_lab.ports import free_ports
from keyturn_lab.processes import ChildProcess
from keyturn_lab.serving import serving

PROGRAM = "rollouts-controller"
SOURCE = "github.com/argoproj/argo-rollouts"
MODULE = Module(
    directory=Path(__file__).parent / "modules" / "argo_rollouts",
    flags=("-ldflags=-s -w",),
    packages={PROGRAM: f"{SOURCE}/cmd/rollouts-controller"},
)


class ArgoRollouts(Part):
    """The kinds and the controller of Argo Rollouts on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._health = 0

    def _start(self) -> None:
        self._program = program(MODULE)
        crds = [argument for path in crd_files() for argument in ("-f", str(path))]
        self._cluster.kubectl("apply", "--server-side", *crds)
        self._cluster.kubectl("wait", "--for=condition=Established", *crds)
        self._cleanup.enter_context(serving(self._launch, answers=self._answers))

    def _launch(self) -> ChildProcess:
        self._health, metrics = free_ports(2)
        arguments = [
            f"--kubeconfig={self._cluster.kubeconfig}",
            "--leader-elect=false",
            f"--healthzPort={self._health}",
            f"--metricsPort={metrics}",
        ]
        return ChildProcess(PROGRAM, [str(self._program), *arguments], log=self._cluster.directory / f"{PROGRAM}.log")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


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
