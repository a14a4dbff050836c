"""The operator as a process of its own, the way a user runs it outside a cluster: `keyturn run` with a kubeconfig."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.eventually import wait_until
from tests.support.kube import Kube, condition

from keyturn_lab.controlplane import ControlPlane
from keyturn_lab.ports import free_ports

STOP_TIMEOUT = 60.0
LEASE_LOST = "leadership is lost: leaving at once"
CRDS = Path(__file__).parents[2] / "crds"
CONNECTION = {
    "apiVersion": "keyturn.dev/v1alpha1",
    "kind": "ClusterAWSConnection",
    "metadata": {"name": "default"},
    "spec": {
        "region": "eu-west-1",
        "pollInterval": "10s",
        "allow": [{"namespaces": {"all": True}, "secrets": ["{namespace}/**"], "verbs": ["Mirror", "Rotate"]}],
    },
}


@dataclass(kw_only=True)
class Operator:
    """`keyturn run` as a child process. Started and killed as often as a test likes; its log is kept.

    A process that loses its lease ends, as it must; like a kubelet, this starts it again. Any other end of its own is kept in `crashes`.
    """

    kubeconfig: Path
    log: Path
    environment: Mapping[str, str]
    port: int
    crashes: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _changing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def url(self) -> str:
        """Where /healthz, /readyz and /metrics are."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it leads once the lease of a killed predecessor has run out."""
        assert self._process is None
        self._spawn()

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        process = self._taken()
        process.send_signal(signal.SIGKILL)
        process.wait(STOP_TIMEOUT)

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        process = self._taken()
        process.terminate()
        return process.wait(STOP_TIMEOUT)

    @property
    def started(self) -> bool:
        """It is meant to run."""
        return self._process is not None

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "keyturn", "run"],
                env={**os.environ, **self.environment, "KUBECONFIG": str(self.kubeconfig), "PYTHONSAFEPATH": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        threading.Thread(target=self._watch, args=(self._process, begin), daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes], begin: int) -> None:
        code = process.wait()
        with self._changing:
            if self._process is not process:  # a test ended it
                return
            said = self.log.read_bytes()[begin:].decode(errors="replace")
            if LEASE_LOST not in said:
                self.crashes.append(f"exit code {code}: {said[-2000:]}")
            self._spawn()

    def _taken(self) -> subprocess.Popen[bytes]:
        """The process, which from now on is not started again."""
        with self._changing:
            process, self._process = self._process, None
        assert process is not None
        return process

    def ready(self) -> bool:
        """/readyz says so."""
        return self.probe("readyz")[0] == 200

    def probe(self, path: str) -> tuple[int, str]:
        """The code and the text of a probe; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        return self.probe("metrics")[1]

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")


def install(plane: ControlPlane) -> None:
    """Our kinds, and the connection `default` with the chart's own rule: each namespace its own prefix."""
    kube = Kube(plane.client)
    for path in sorted(CRDS.glob("*.yaml")):
        for crd in kube.apply(path.read_text()):
            name = crd["metadata"]["name"]
            kube.wait_for("CustomResourceDefinition", name, lambda seen: condition(seen, "Established")["status"] == "True")
    kube.apply(CONNECTION)


@contextmanager
def running_operator(
    plane: ControlPlane,
    aws_environment: Mapping[str, str],
    *,
    name: str = "keyturn",
    kubeconfig: Path | None = None,
    until: str = "readyz",
    **settings: Any,
) -> Iterator[Operator]:
    """An operator that answers `until`; quick in all that only waits. `settings` are its KEYTURN_… variables, in lower case."""
    (port,) = free_ports(1)
    quick = {
        "lease_seconds": 8,
        "lease_name": name,
        "margin_seconds": 1,
        "stuck_grace_seconds": 1,
        "log_level": "INFO",
        "log_format": "text",
    }
    variables = {f"KEYTURN_{key.upper()}": str(value) for key, value in (quick | settings).items()}
    operator = Operator(
        kubeconfig=kubeconfig or plane.kubeconfig,
        log=plane.directory / f"operator-{name}-{port}.log",
        environment={**aws_environment, **variables, "KEYTURN_LISTEN": f"127.0.0.1:{port}"},
        port=port,
    )
    operator.start()
    try:
        wait_until(lambda: operator.probe(until)[0] == 200, timeout=90, what=f"the operator's /{until}; its log is {operator.log}")
        yield operator
    finally:
        if operator.started:
            operator.stop()
        assert operator.crashes == []
