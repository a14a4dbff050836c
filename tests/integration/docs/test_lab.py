"""What docs/lab.md says can be done with the lab is done here, word for word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.support.docs import ROOT, Block, blocks_of

PAGE = ROOT / "docs" / "lab.md"
PROGRAM = ROOT / "examples" / "lab" / "try_rotation.py"
BLOCKS = [block for block in blocks_of(PAGE) if block.language == "python"]


def python(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run Python in an empty environment but for where the control plane's programs are."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "KUBEBUILDER_ASSETS", "XDG_CACHE_HOME") if name in os.environ}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=kept, timeout=timeout)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_program_of_the_page_runs(block: Block) -> None:
    done = python("-c", block.code, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(360)
def test_the_example_rotates_once_and_no_login_fails() -> None:
    done = python(str(PROGRAM), timeout=330)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()[-1]
    assert said.startswith("logins: ")
    assert said.endswith(" good, 0 failed")
    assert int(said.split()[1]) > 0


def test_the_page_names_the_example() -> None:
    assert str(PROGRAM.relative_to(ROOT)) in PAGE.read_text()
