"""Start and stop of a node, from the process that uses the lab."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_lab.controlplane import ApiError, ControlPlane
from keyturn_lab.node.addresses import PORT, reserve
from keyturn_lab.node.mounts import Mode
from keyturn_lab.node.settings import DEFAULT_RESTART_BACKOFF, DEFAULT_SECRET_DELAY, Settings, Tunables
from keyturn_lab.processes import ChildProcess, wait_until

READY_SECONDS = 30.0
STOP_SECONDS = 8.0


class Node:
    """A node of a control plane, whose pods are processes on this machine. They end when the block is left.

    `images` names the program that stands for each image; `env` is given to every container; `keep` are further directories that programs
    need even where a pod mounts something over their parents (the Python installation and everything on its path are kept anyway).
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        images: Mapping[str, Sequence[str]] | None = None,
        name: str = "lab-node",
        secret_delay: float = DEFAULT_SECRET_DELAY,
        restart_backoff: float = DEFAULT_RESTART_BACKOFF,
        env: Mapping[str, str] | None = None,
        keep: Sequence[Path] = (),
        mounts: Mode | None = None,
    ) -> None:
        self.name = name
        self._plane, self._env, self._keep, self._wanted_mode = plane, dict(env or {}), [str(path) for path in keep], mounts
        self._tunables = Tunables().changed(images=images, secret_delay=secret_delay, restart_backoff=restart_backoff)
        self._run_id = secrets.token_hex(8)
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self.directory = self._plane.directory / self.name
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tunables.write(self._tunables_file)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    @property
    def logs(self) -> Path:
        """The output of all containers that ever ran here, in files `<namespace>_<pod>_<start of uid>_<container>.<run>.log`."""
        return self.directory / "logs"

    @property
    def pid(self) -> int:
        """Of the node's process."""
        if self._process is None:
            raise RuntimeError("the node has not been started")
        return self._process.pid

    def change(
        self,
        *,
        images: Mapping[str, Sequence[str]] | None = None,
        secret_delay: float | None = None,
        restart_backoff: float | None = None,
    ) -> None:
        """Change settings of the running node; images are added to those that are there."""
        self._tunables = self._tunables.changed(images=images, secret_delay=secret_delay, restart_backoff=restart_backoff)
        self._tunables.write(self._tunables_file)

    @property
    def mode(self) -> Mode:
        """How volumes get to their mount paths here."""
        node = self._plane.client.request("GET", f"/api/v1/nodes/{self.name}")
        return Mode(node["metadata"]["labels"]["lab.keyturn.dev/mounts"])

    @property
    def _tunables_file(self) -> Path:
        return self.directory / "tunables.json"

    def _start(self) -> None:
        with reserve() as listener:
            address: str = listener.getsockname()[0]
            settings_file = self.directory / "settings.json"
            self._settings(address, listener.fileno()).write(settings_file)
            self._process = ChildProcess(
                f"node {self.name}",
                [sys.executable, "-m", "keyturn_lab.node", str(settings_file)],
                log=self.directory / "node.log",
                cwd=self.directory,
                env={name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "HOME", "LD_LIBRARY_PATH")},
                pass_fds=[listener.fileno()],
                death_signal="TERM",
            )
            self._process.start()
        wait_until(self._is_ready, timeout=READY_SECONDS, waiting_for=self._process)

    def _settings(self, address: str, listener: int) -> Settings:
        name = f"system:node:{self.name}"
        pair = self._plane.issue_certificate(f"node-{self.name}", common_name=name, organization="system:nodes", hosts=[address])
        python = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *(path for path in sys.path if path)]
        programs = [os.path.dirname(word) for argv in self._tunables.images.values() for word in argv if word.startswith("/")]
        return Settings(
            name=self.name,
            run_id=self._run_id,
            url=self._plane.url,
            ca=str(self._plane.ca),
            certificate=str(pair.certificate),
            key=str(pair.key),
            directory=str(self.directory),
            address=address,
            port=PORT,
            listener=listener,
            environment=self._env,
            mounts=self._wanted_mode.value if self._wanted_mode else "",
            keep=[str(self.directory), *python, *programs, *self._keep],
        )

    def _is_ready(self) -> bool:
        with suppress(ApiError):
            node = self._plane.client.request("GET", f"/api/v1/nodes/{self.name}")
            conditions = node.get("status", {}).get("conditions", [])
            ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
            return ready and not node["spec"].get("taints")
        return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop(grace=STOP_SECONDS)
        for pid in processes_marked(self._run_id):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.directory / "pods", ignore_errors=True)
        with suppress(ApiError, OSError, HTTPException):  # the control plane may be gone already
            self._plane.client.request("DELETE", f"/api/v1/nodes/{self.name}", timeout=2)


def processes_marked(run_id: str) -> list[int]:
    """The processes whose environment says that they belong to that node, whatever group they moved to."""
    mark = f"KEYTURN_LAB_NODE={run_id}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or another user's
            if mark in path.read_bytes() + b"\0":
                found.append(int(path.parent.name))
    return found
