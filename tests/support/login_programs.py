"""The lab's client programs as processes of a test, outside of any pod."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.eventually import WITHIN, wait_until

from keyturn_lab.ports import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A client program that was started by a test."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str = "/") -> tuple[int, dict[str, Any]]:
        """Status and content; status 0 where nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)
        except urllib.error.URLError:
            return 0, {}

    def stop(self) -> dict[str, Any]:
        """SIGTERM; returns the counts that it ends with."""
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=WITHIN)
        assert self.process.returncode == 0, errors
        counts: dict[str, Any] = json.loads(output)
        return counts


@contextmanager
def client(*options: str, environ: Mapping[str, str], program: str = "postgres_client") -> Iterator[Running]:
    """A program of keyturn_lab.apps, until the block is left."""
    port = free_port()
    command = [sys.executable, "-m", f"keyturn_lab.apps.{program}", f"--port={port}", "--pause=0.02", *options]
    process = subprocess.Popen(
        command, env=os.environ | dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Running(process=process, url=f"http://127.0.0.1:{port}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def until(condition: Callable[[], bool], *, within: float = 60.0) -> None:
    """Wait for it."""
    wait_until(condition, timeout=within, what="the program")
