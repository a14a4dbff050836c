"""A server of the lab, in the block of a process that is killed: what is left of it must end by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.eventually import wait_until

OWNER = """
import time
from keyturn_lab.backends.{module} import {server}
with {server}() as server:
    print(server.log.parent, flush=True)
    time.sleep(600)
"""


def ends_with_its_owner(module: str, server: str, *, pid_file: str) -> None:
    """`pid_file`: in the server's data. What it had on disk is removed."""
    with subprocess.Popen([sys.executable, "-c", OWNER.format(module=module, server=server)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        scratch = Path(owner.stdout.readline().strip())
        pid = int((scratch / "data" / pid_file).read_text().splitlines()[0])
        owner.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the server, which outlives whoever started it")
    shutil.rmtree(scratch)
