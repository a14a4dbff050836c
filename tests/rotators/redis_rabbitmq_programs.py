"""Debian's packages for tests: installed where that is allowed, and named where it is not. Never skipped."""

import os
import subprocess
from pathlib import Path


def install(package: str, *, program: Path) -> Path:
    """Make sure that the package's program is there, without starting a server of the machine's own."""
    if not program.exists() and os.geteuid() == 0:
        # RUNLEVEL=1 keeps the package's scripts from starting its service.
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environ, capture_output=True)
        command = ["apt-get", "install", "-qy", "--no-install-recommends", package]
        subprocess.run(command, check=True, env=environ, capture_output=True)
    assert program.exists(), f"{program} is not installed here: apt-get install {package}"
    return program
