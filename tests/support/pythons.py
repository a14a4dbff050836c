"""The Pythons of this machine that the rotators' zips can be tried on: the one that runs the tests, and every other that is found.

Others are found by uv, or named by KEYTURN_PYTHONS (interpreters, with the separator of PATH).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

UV = Path(sys.executable).with_name("uv")
VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"
SUPPORTED = frozenset({"3.11", "3.12", "3.13", "3.14"})


def pythons() -> dict[str, str]:
    """Version: interpreter."""
    listed = subprocess.run(
        [str(UV), "python", "list", "--only-installed", "--output-format", "json"], capture_output=True, text=True, check=True
    )
    found = {_version(path): path for path in os.environ.get("KEYTURN_PYTHONS", "").split(os.pathsep) if path}
    for one in json.loads(listed.stdout):
        if one["implementation"] == "cpython" and one["path"]:
            found.setdefault(".".join(one["version"].split(".")[:2]), one["path"])
    found["{}.{}".format(*sys.version_info)] = sys.executable
    return {version: path for version, path in sorted(found.items()) if version in SUPPORTED}


def with_boto3(python: str, folder: Path, *, boto3: str) -> str:
    """An environment of that Python which has boto3 and what it needs, and nothing else; its interpreter."""
    subprocess.run([str(UV), "venv", "--quiet", "--python", python, str(folder)], capture_output=True, check=True)
    made = str(folder / "bin" / "python")
    subprocess.run([str(UV), "pip", "install", "--quiet", "--python", made, f"boto3=={boto3}"], capture_output=True, check=True)
    return made


def _version(python: str) -> str:
    return subprocess.run([python, "-I", "-c", VERSION], capture_output=True, text=True, check=True).stdout.strip()
