"""One container of a pod: a process group of its own, its output in one file per run, and its state as the API tells it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from keyturn_lab.node.api import Json
from keyturn_lab.node.mounts import Command

ENTER_POLL_SECONDS = 0.01
STEADY_SECONDS = 600.0
"""A run of ten minutes makes the back-off begin anew."""


class MountFailed(RuntimeError):
    """The program was never reached; the message is what the mount commands said."""


class Container:
    """State and process of one container."""

    def __init__(self, spec: Json, *, logs: Path, restarts: int) -> None:
        self.spec, self.name = spec, str(spec["name"])
        self.restarts = restarts
        self.state: Json = {"waiting": {"reason": "PodInitializing"}}
        self.last_state: Json = {}
        self.started = self.ready = False
        self.environment: dict[str, str] = {}
        self._logs = logs
        self._process: asyncio.subprocess.Process | None = None
        self._command: Command | None = None
        self._begun = 0.0
        self._backoff = 0.0

    @property
    def pid(self) -> int | None:
        """Of the running process; None where none runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def exit_code(self) -> int | None:
        """Of its last run, once that is over."""
        code: int | None = self.state.get("terminated", {}).get("exitCode")
        return code

    def log_file(self, *, previous: bool = False) -> Path:
        """Where the output of this run, or of the one before, is."""
        return self._logs.with_name(f"{self._logs.name}_{self.name}.{self.restarts - previous}.log")

    async def start(self, command: Command) -> None:
        """Start the process; returns when its mounts are done, or it is over. Raises OSError where it cannot be started."""
        self._command, self.environment = command, command.environment
        self._begun = time.monotonic()
        with self.log_file().open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command.argv,
                env=command.environment,
                cwd=command.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await self._enter(command)
        self.state = {"running": {"startedAt": now()}}
        self.started = "startupProbe" not in self.spec
        self.ready = self.started and "readinessProbe" not in self.spec

    async def _enter(self, command: Command) -> None:
        while command.entered is not None and self.pid is not None:
            if command.entered.exists():
                return
            await asyncio.sleep(ENTER_POLL_SECONDS)

    async def wait(self) -> int:
        """Its exit code, as a shell tells it. Raises MountFailed where the program was never reached."""
        if self._process is None or self._command is None:
            raise RuntimeError(f"container {self.name} has not been started")
        code = await self._process.wait()
        self.kill(signal.SIGKILL)
        self.started = self.ready = False
        entered = self._command.entered
        if code > 0 and entered is not None and not entered.exists():
            raise MountFailed(self.log_file().read_text(errors="replace").strip()[-500:])
        code = 128 - code if code < 0 else code
        begun = self.state.get("running", {}).get("startedAt")
        reason = "Completed" if code == 0 else "Error"
        self.state = {"terminated": {"exitCode": code, "reason": reason, "startedAt": begun, "finishedAt": now()}}
        return code

    def ask_to_stop(self) -> None:
        """SIGTERM to the main process, as a container runtime does."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """A signal to whatever is left of the process group."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def back_off(self, initial: float, longest: float) -> float:
        """Seconds to wait before the next run: none at first, then `initial`, doubled each time."""
        if time.monotonic() - self._begun > STEADY_SECONDS:
            self._backoff = 0.0
        wait = self._backoff
        self._backoff = min(longest, wait * 2 or initial)
        return wait

    def begin_next_run(self) -> None:
        """One more restart."""
        self.restarts += 1

    def wait_in_back_off(self, seconds: float) -> None:
        """Say that it waits, and why the last run ended."""
        self.last_state = self.state
        message = f"back-off {seconds:g}s restarting failed container {self.name}"
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}

    def status(self) -> Json:
        """Its part of the pod's status."""
        image = self.spec.get("image", "")
        return {
            "name": self.name,
            "image": image,
            "imageID": f"local://{image}",
            "containerID": f"process://{self._process.pid}" if self._process else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
