"""Builds the lab's programs from their pinned Go modules, once per user: the control plane's take about five minutes on two cores.

The programs appear under their final name only when all of them are there, and a file lock keeps two labs from building at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from keyturn_lab.controlplane.binaries import Log, Module, complete
from keyturn_lab.controlplane.golang import find_go
from keyturn_lab.processes import dying_with_parent

REPORT_SECONDS = 15.0


def build(directory: Path, modules: Sequence[Module], log: Log = print) -> None:
    """Make `directory` hold the programs of all modules; another process that builds them already is waited for."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(directory.with_suffix(".lock"), log):
        if complete(directory, modules):
            return
        go = find_go(directory.parent)
        programs = [program for module in modules for program in module.packages]
        scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
        try:
            log(f"building {', '.join(programs)} from pinned Go modules; this is done once and takes minutes")
            for module in modules:
                _build_module(go, module, scratch, log)
            shutil.rmtree(directory, ignore_errors=True)
            (scratch / "bin").rename(directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _build_module(go: Path, module: Module, scratch: Path, log: Log) -> None:
    source = scratch / module.directory.name
    shutil.copytree(module.directory, source)
    output = scratch / "bin"
    output.mkdir(exist_ok=True)
    progress = Progress(module.directory.name, log)
    for program, package in module.packages.items():
        command = [*dying_with_parent(), str(go), "build", "-v", *module.flags, "-o", str(output / program), package]
        last = deque[str](maxlen=20)
        with subprocess.Popen(
            command, cwd=source, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                last.append(line)
                progress.line(line)
        if process.returncode:
            raise RuntimeError(f"building {program} failed ({' '.join(command)}):\n{''.join(last)}")
    progress.done()


def _environment() -> dict[str, str]:
    """Ours, without what could change what is built; no C compiler is needed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GO111", "GOOS", "GOARCH", "GOEXPERIMENT"))}
    return own | {"GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


class Progress:
    """Says how long a build has taken and what it is at: one moving line on a terminal, a line now and then elsewhere."""

    def __init__(self, name: str, log: Log) -> None:
        self._name, self._log = name, log
        self._started = self._reported = time.monotonic()
        self._lines = 0
        self._terminal = log is print and sys.stdout.isatty()

    def line(self, line: str) -> None:
        """Count one line of the compiler's output, i.e. a package or a download."""
        self._lines += 1
        now = time.monotonic()
        if self._terminal:
            sys.stdout.write(f"\r\x1b[K{self._summary(now)}: {line.strip()[:70]}")
            sys.stdout.flush()
        elif now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._log(f"{self._summary(now)}: {line.strip()}")

    def done(self) -> None:
        """The last word about this module."""
        if self._terminal:
            sys.stdout.write("\r\x1b[K")
        self._log(f"{self._summary(time.monotonic())}, built")

    def _summary(self, now: float) -> str:
        minutes, seconds = divmod(int(now - self._started), 60)
        return f"{self._name}: {minutes}m{seconds:02d}s, {self._lines} packages"


@contextmanager
def _exclusive(lock: Path, log: Log) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"another lab is building the same programs; waiting for it ({lock})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
