"""Child processes that never outlive us, and whose failure names their log.

The kernel ends a child when the *thread* that started it ends (PR_SET_PDEATHSIG), so all are started from one thread that lives as long as
this process. Each child leads a session of its own: a Ctrl-C in the terminal reaches only us, and we stop the children in order.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

from keyturn_lab.patience import Patience

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keyturn-lab-spawner")
POLL_SECONDS = 0.03


class ProcessFailed(RuntimeError):
    """A part of the lab died or did not get ready; the message has the place of the log and its last lines."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(f"{reason}{details}")
        self.reason = reason


class ChildProcess:
    """A program of the lab, with its output in a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
        death_signal: Literal["KILL", "TERM"] = "KILL",
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """`death_signal` ends it when we die, `stop_signal` when it is stopped."""
        self.name, self.log = name, log
        self._argv = [*dying_with_parent(death_signal), *argv]
        self._env, self._cwd, self._pass_fds = env, cwd, tuple(pass_fds)
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id. Raises ProcessFailed before the start."""
        if self._popen is None:
            raise ProcessFailed(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Started, and not ended yet."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it; output is appended to the log."""
        self._popen = _SPAWNER.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                cwd=self._cwd,
                pass_fds=self._pass_fds,
                start_new_session=True,
            )

    def ask_to_stop(self) -> None:
        """Its stop signal, without waiting for its end."""
        if self._popen is not None and self.running:
            self._popen.send_signal(self._stop_signal)

    def stop(self, *, grace: float = 5.0) -> None:
        """Its stop signal, and SIGKILL after `grace` seconds; also ends what is left of its process group."""
        if self._popen is None:
            return
        self.ask_to_stop()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def check(self) -> None:
        """Raises ProcessFailed if it has ended."""
        if self._popen is not None and self._popen.poll() is not None:
            raise self.failure(f"{self.name} ended with exit code {self._popen.returncode}")

    def failure(self, reason: str, *, lines: int = 15) -> ProcessFailed:
        """An error with the place of the log and its last lines."""
        return ProcessFailed(reason, f"\nlogs: {self.log.parent}\nlast lines of {self.log.name}:\n{last_lines(self.log, lines)}")


def wait_until(condition: Callable[[], bool], *, timeout: float, waiting_for: ChildProcess, others: Iterable[ChildProcess] = ()) -> None:
    """Poll until `condition` holds. Raises ProcessFailed when a child ends meanwhile, or after `timeout` seconds."""
    patience = Patience(timeout)
    children = [waiting_for, *others]
    while not condition():
        for child in children:
            child.check()
        if patience.over:
            raise waiting_for.failure(f"{waiting_for.name} was not ready after {timeout:.0f} s")
        time.sleep(POLL_SECONDS)


def dying_with_parent(death_signal: str = "KILL") -> list[str]:
    """The words before a command line that tie its life to the thread that starts it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", death_signal, "--"] if setpriv else []


def last_lines(log: Path, count: int) -> str:
    """The end of a log, or a note that there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in lines[-count:]) or "  (empty)"
