"""Debian's MariaDB for tests: installed where that is allowed, and told how to install where it is not. Never skipped."""

import os
import subprocess
from pathlib import Path

from keyturn_lab.backends.mariadb import PROGRAM

PLUGINS = "mariadb-server"  # the package with the plugins; installing it would start a server of the machine's own, so it is unpacked


def install() -> None:
    """Make sure that mariadbd is there."""
    if not PROGRAM.exists() and os.geteuid() == 0:
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=environ, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-qy", "--no-install-recommends", "mariadb-server-core"], check=True, env=environ, capture_output=True
        )
    assert PROGRAM.exists(), "MariaDB is not installed here: apt-get install mariadb-server-core"


def plugins(directory: Path) -> Path:
    """The folder of plugins, such as auth_ed25519, from Debian's package."""
    subprocess.run(["apt-get", "download", "-q", PLUGINS], check=True, cwd=directory, capture_output=True)
    [package] = directory.glob(f"{PLUGINS}_*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(directory / "unpacked")], check=True, capture_output=True)
    return directory / "unpacked" / "usr" / "lib" / "mysql" / "plugin"
