"""Debian's packages for tests: installed where that is allowed, named where it is not. A test that cannot have them fails; none is skipped.

What is installed is not started: the tests run the programs with data of their own.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

LOCKED_WITHIN = 300  # seconds; another run may be installing
ROOT = Path("/")
# RUNLEVEL=1 keeps the packages' scripts from starting their services.
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def install(*packages: str, program: Path) -> Path:
    """Make sure that the packages' program is there, and return it. `program` may be a pattern: then it is the last one by name."""
    if not _found(program) and os.geteuid() == 0:
        _update()
        apt_get("install", "-y", "--no-install-recommends", *packages)
    found = _found(program)
    assert found, f"{program} is not installed here: apt-get install {' '.join(packages)}"
    return found[-1]


def apt_get(*words: str, cwd: Path = ROOT) -> None:
    """Run apt-get quietly, after anybody else who does."""
    command = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCKED_WITHIN}", *words]
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stderr}"


@cache
def _update() -> None:
    apt_get("update")


def _found(program: Path) -> list[Path]:
    return sorted(ROOT.glob(str(program.relative_to(ROOT))))
