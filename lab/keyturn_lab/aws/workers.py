"""Child processes that run a Lambda function: unpacked once, kept warm, killed when over time."""

import importlib.util
import io
import json
import os
import select
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from .seams import Function

RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
"""What AWS's Python runtimes bring besides the standard library."""

CHILD = Path(__file__).with_name("lambda_child.py")


class TimedOut(Exception):
    """The function did not answer within its Timeout."""


class Exited(Exception):
    """The function's process ended in the middle of a call."""


def runtime_directory(base: Path) -> Path:
    """A directory with links to boto3 and what it needs, and nothing else."""
    runtime = base / "runtime"
    runtime.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"the lab needs {name} to run Lambda functions")
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = runtime / source.name
        if not link.exists():
            link.symlink_to(source)
    return runtime


class Worker:
    """One warm process."""

    def __init__(self, function: Function, *, code: Path, runtime: Path, output: Path, environment: dict[str, str]) -> None:
        request_read, request_write = os.pipe()
        answer_read, answer_write = os.pipe()
        self.output = output
        command = [sys.executable, "-I", "-S", str(CHILD), str(code), str(runtime), function.handler, str(request_read), str(answer_write)]
        with output.open("ab") as sink:
            self.process = subprocess.Popen(
                command,
                cwd=code,
                env=environment,
                pass_fds=(request_read, answer_write),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        os.close(request_read)
        os.close(answer_write)
        self._requests, self._answers = request_write, answer_read
        self._unread = b""

    def call(self, request: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """One answer; the process is of no further use after TimedOut or Exited."""
        deadline = time.monotonic() + timeout
        try:
            os.write(self._requests, json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise Exited(self._status()) from error
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise TimedOut
            chunk = os.read(self._answers, 65_536)
            if not chunk:
                raise Exited(self._status())
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _status(self) -> str:
        code = self.process.wait()
        return f"signal: {-code}" if code < 0 else f"exit status {code}"

    def close(self) -> None:
        """End the process, and wait for it."""
        self.process.kill()
        self.process.wait()
        os.close(self._requests)
        os.close(self._answers)


class Pool:
    """The processes of one function in one state of its code and configuration."""

    def __init__(self, function: Function, *, base: Path, runtime: Path, environment: dict[str, str], concurrency: int) -> None:
        self.function = function
        self._base, self._runtime, self._environment = base, runtime, environment
        self._code = base / "code"
        with zipfile.ZipFile(io.BytesIO(function.code)) as archive:
            archive.extractall(self._code)
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed = False

    def call(self, request: dict[str, Any], *, timeout: float) -> tuple[dict[str, Any], str]:
        """(answer, what the handler printed); over time and dead processes become errors in Lambda's words."""
        with self._slots:
            worker = self._take()
            start = worker.output.stat().st_size
            try:
                answer = worker.call(request, timeout=timeout)
            except TimedOut:
                self._drop(worker)
                answer = _ended("Sandbox.Timedout", f"RequestId: {request['request_id']} Error: Task timed out after {timeout:.2f} seconds")
            except Exited as error:
                self._drop(worker)
                answer = _ended("Runtime.ExitError", f"RequestId: {request['request_id']} Error: Runtime exited with error: {error}")
            else:
                self._give_back(worker)
            with worker.output.open("rb") as printed:
                printed.seek(start)
                return answer, printed.read().decode(errors="replace")

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the lab is closing")
            if self._idle:
                return self._idle.pop()
            output = self._base / f"output-{len(list(self._base.glob('output-*')))}.log"
            worker = Worker(self.function, code=self._code, runtime=self._runtime, output=output, environment=self._environment)
            self._all.add(worker)
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        self._drop(worker)

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.close()

    def close(self) -> None:
        """End all processes; calls in flight end with an error, and clean up after themselves."""
        with self._lock:
            self._closed = True
            for worker in self._idle:
                worker.close()
            for worker in self._all.difference(self._idle):
                worker.process.kill()
                worker.process.wait()
            self._all.clear()
            self._idle.clear()


def _ended(kind: str, message: str) -> dict[str, Any]:
    return {"ok": False, "errorType": kind, "errorMessage": message, "stackTrace": []}
