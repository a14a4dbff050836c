"""The process in which the lab's AWS runs: it serves until its standard input ends, that is, until its owner does."""

import argparse
import json
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from . import seams
from .clock import Clock
from .context import Lab
from .control import Control
from .events import EventBus
from .executor import Executor
from .faults import Faults
from .front import Front
from .rotation import run_due
from .settings import Settings
from .store import Secret

TICK = 0.25


class Handler(MotoRequestHandler):
    """Quiet, and without Nagle's algorithm: header and body go out in two writes, which would cost 40 ms each time."""

    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: object) -> None:
        """Calls are counted, not logged."""


class LabKeys:
    """KMS as secrets see it: moto's keys, and the switch."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def unusable(self, secret: Secret) -> str | None:
        """`missing`, or the state that keeps the key from decrypting."""
        if self._faults.for_key([secret.name, secret.arn]):
            return "Disabled"
        if secret.kms_key_id is None or secret.kms_key_id.endswith("alias/aws/secretsmanager"):
            return None
        state = seams.key_state(secret.kms_key_id, account=secret.account, region=secret.region)
        return "missing" if state is None else None if state == "Enabled" else state


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The parts of a lab that is up."""

    lab: Lab
    executor: Executor
    server: BaseWSGIServer

    def serve(self) -> None:
        """Answer calls and keep AWS's schedules, on threads of their own."""
        threading.Thread(target=self.server.serve_forever, args=(0.05,), name="aws", daemon=True).start()
        threading.Thread(target=self._tick, name="schedules", daemon=True).start()

    def _tick(self) -> None:
        while not self.lab.closing.wait(TICK):
            run_due(self.lab)

    def close(self) -> None:
        """Let go of what hangs, end the functions, stop answering."""
        self.lab.closing.set()
        self.executor.close()
        self.server.shutdown()
        self.server.server_close()


def start(*, directory: Path, settings: Settings, port: int = 0) -> Running:
    """A lab on loopback, on `port` or a free one; not serving yet."""
    moto = seams.moto_app()
    server = make_server("127.0.0.1", port, moto, threaded=True, request_handler=Handler)
    faults, clock = Faults(), Clock()
    executor = Executor(
        directory=directory,
        endpoint=f"http://127.0.0.1:{server.port}",
        faults=faults,
        now=clock.now,
        concurrency=settings.lambda_concurrency,
    )
    lab = Lab(functions=executor, bus=EventBus(seams.deliver), keys=LabKeys(faults), clock=clock, faults=faults, settings=settings)
    control = Control(lab=lab, executor=executor)
    server.app = Front(lab=lab, executor=executor, control=control, moto=moto)
    return Running(lab=lab, executor=executor, server=server)


def main() -> None:
    """`python -m keyturn_lab.aws`: one line of JSON with the address, then serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m keyturn_lab.aws", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="for unpacked functions and their output")
    parser.add_argument("--settings", default="{}", help="JSON, see settings.py")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = start(directory=arguments.directory, settings=Settings(**json.loads(arguments.settings)), port=arguments.port)
    running.serve()
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{running.server.port}"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    running.close()
