"""The folder `operator` is a source root and not a package: as one it would hide a module of the standard library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.unit.packaging.dockerfile import ROOT


@pytest.mark.parametrize("root", ["operator", "rotators", "lab"])
def test_a_source_root_is_not_a_package(root: str) -> None:
    assert not (ROOT / root / "__init__.py").exists()


def test_python_starts_from_the_repositorys_root() -> None:
    program = "import operator; print(operator.eq(1, 1), operator.__file__)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("True"), done.stderr
    assert str(ROOT / "operator") not in done.stdout
